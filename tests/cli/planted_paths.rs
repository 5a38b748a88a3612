//! Links planted by other users on the way to an option's path, and directories too deep for a thousand descriptors.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::audit::dir::Dir;
use crate::support::disk::Tmpfs;
use crate::support::sandbox::{FAKE_HOST, Finished, STEM, Sandbox, names_of};
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

const USER: u32 = 1234;

/// A sandbox, a link of another user's in a directory of root's, and what it leads to.
fn scene() -> (Sandbox, PathBuf, PathBuf) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let victim = sandbox.path().join("victim");
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("file"), "/file\n").unwrap();
    let link = sandbox.path().join("link");
    symlink(&victim, &link).unwrap();
    lchown(&link, Some(USER), Some(USER)).unwrap();
    (sandbox, link, victim)
}

const REASON: &str = "another user could have put the symbolic link ";

#[test]
fn a_planted_link_on_the_way_to_what_is_written_is_not_followed() {
    for (option, below) in [("--log-dir", "logs"), ("--log-dir", "more/logs"), ("--metrics-file", "x.prom")] {
        let (sandbox, link, victim) = scene();
        let before = snapshot_with_ctime(&victim);
        let run = sandbox.clone(&[option, link.join(below).to_str().unwrap()]);
        // Neither of them fails a clone.
        assert_eq!(run.code, 0, "{option}: {run}");
        let told = if option == "--log-dir" { &run.err } else { &run.out };
        assert!(told.contains(REASON), "{option}: {run}");
        assert_unchanged(&before, &snapshot_with_ctime(&victim));
    }
}

#[test]
fn a_planted_link_on_the_way_to_the_directories_of_ours_is_not_followed() {
    let (sandbox, _, victim) = scene();
    let before = snapshot_with_ctime(&victim);
    // As if another user could write where the system keeps these.
    for (name, code) in [("state", 88), ("lock", 1)] {
        let place = sandbox.host().join(name);
        let _ = fs::remove_dir_all(&place);
        symlink(&victim, &place).unwrap();
        lchown(&place, Some(USER), Some(USER)).unwrap();
        let run = sandbox.clone(&[]);
        assert_eq!(run.code, code, "{name}: {run}");
        assert_unchanged(&before, &snapshot_with_ctime(&victim));
        fs::remove_file(place).unwrap();
    }
}

#[test]
fn a_planted_link_to_the_excludes_is_67() {
    let (sandbox, link, victim) = scene();
    let run = sandbox.clone(&["-e", link.join("file").to_str().unwrap()]);
    run.assert_code(67).assert_log(REASON);
    // The file itself, by a link in a directory that is the user's.
    let theirs = sandbox.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    symlink(victim.join("file"), theirs.join("excludes")).unwrap();
    lchown(&theirs, Some(USER), Some(USER)).unwrap();
    sandbox.clone(&["-e", theirs.join("excludes").to_str().unwrap()]).assert_code(67).assert_log(REASON);
    // Root's own link is as good as the file.
    let own = sandbox.path().join("own");
    symlink(victim.join("file"), &own).unwrap();
    sandbox.clone(&["-e", own.to_str().unwrap()]).assert_code(0);
    assert!(!sandbox.destination.join("file").exists());
}

#[test]
fn roots_own_links_lead_where_they_did() {
    let (sandbox, _, victim) = scene();
    symlink("victim", sandbox.path().join("own")).unwrap();
    let own = sandbox.path().join("own");
    let (logs, metrics) = (own.join("new/logs"), own.join("x.prom"));
    let run =
        sandbox.clone(&["--log-dir", logs.to_str().unwrap(), "--metrics-file", metrics.to_str().unwrap()]);
    run.assert_code(0).assert_err("").assert_no_warning();
    assert_eq!(names_of(&victim), ["file", "new", "x.prom"]);
    // With the list of changes.
    assert_eq!(names_of(&victim.join("new/logs")).len(), 2);
}

#[test]
fn scripts_that_others_can_change_are_warned_of() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let theirs = sandbox.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    lchown(&theirs, Some(USER), Some(USER)).unwrap();
    let script = sandbox.script("theirs/script", "exit 0");
    let script = script.to_str().unwrap();
    for (option, which) in [("-p", "pre-clone"), ("-o", "post-clone")] {
        let run = sandbox.clone(&[option, script]);
        run.assert_code(0).assert_log(&format!(
            "Warning: the {which} script {script} can be changed by users other than root ({}), and runs as root.",
            theirs.display()
        ));
    }
    fs::remove_file(sandbox.source.join("file")).unwrap();
    let run = sandbox.clone(&["--on-error", script]);
    run.assert_code(65);
    assert!(run.out.contains("Warning: the on-error script "), "{run}");
    sandbox.write("file", "content");
    let own = sandbox.script("own", "exit 0");
    sandbox.clone(&["-p", own.to_str().unwrap()]).assert_code(0).assert_no_warning();
}

/// A directory in a directory, so many of them.
fn plant_deep(path: &Path, levels: usize) {
    fs::create_dir(path).unwrap();
    let mut deep = Dir::open(path).unwrap();
    for _ in 0..levels {
        fs::create_dir(deep.at("d".as_ref())).unwrap();
        deep = deep.enter("d".as_ref()).unwrap();
    }
}

/// Clones with no more than so many descriptors.
fn clone_with_descriptors(sandbox: &Sandbox, number: u32, more: &[&str]) -> Finished {
    let mut command = Command::new("prlimit");
    command.arg(format!("--nofile={number}:{number}")).arg(FAKE_HOST).args(sandbox.arguments(more));
    command.env("COUNTERPART_FAKE_HOST", sandbox.host());
    Finished::from(command.output().unwrap())
}

#[test]
fn directories_however_deep_under_the_names_of_our_files_are_removed() {
    for (levels, descriptors, names) in [
        (
            3000,
            1024,
            &["completed", "error", "stats", "stats.json", "completed.tmp-00112233", "probe.tmp-0"][..],
        ),
        (1500, 64, &["error", "completed.tmp-00112233"]),
        (100_000, 1024, &["completed"]),
    ] {
        // In memory, where so many directories take a second.
        let (mut sandbox, disk) = (Sandbox::new(), Tmpfs::new(""));
        sandbox.destination = disk.path().into();
        sandbox.write("file", "content");
        sandbox.clone(&[]).assert_code(0);
        for name in names {
            let path = sandbox.marker(name);
            let _ = fs::remove_file(&path);
            plant_deep(&path, levels);
        }
        clone_with_descriptors(&sandbox, descriptors, &[]).assert_code(0).assert_err("");
        assert_eq!(sandbox.markers(), ["completed", "id", "stats"], "{levels}");
        assert!(sandbox.record().is_some());

        // The reason of a failure has to be written as well.
        plant_deep(&sandbox.marker("error"), levels.min(3000));
        let script = sandbox.script("script", "exit 1");
        let failing = ["--strict-scripts", "-p", script.to_str().unwrap()];
        let run = clone_with_descriptors(&sandbox, descriptors, &failing);
        run.assert_code(81);
        assert_eq!(sandbox.read_marker("error").lines().count(), 1);
        assert!(!sandbox.destination.join(format!("{STEM}completed")).exists());
    }
}

#[test]
fn a_deep_directory_under_the_name_of_the_metrics_leftover_is_removed() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let metrics = sandbox.path().join("metrics");
    fs::create_dir(&metrics).unwrap();
    plant_deep(&metrics.join("x.prom.tmp-00112233"), 3000);
    let file = metrics.join("x.prom");
    clone_with_descriptors(&sandbox, 64, &["--metrics-file", file.to_str().unwrap()]).assert_code(0);
    assert_eq!(names_of(&metrics), ["x.prom"]);
}
