//! When a pass is quick, and what it does then.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use crate::quick::{
    FILES, IDLE, add_files, assert_quick, cloned, index, let_the_clock_tick, prepare, settle, watched_rsync,
};
use crate::support::other_rsyncs::with_each;
use crate::support::sandbox::Sandbox;

#[test]
fn a_run_with_nothing_changed_starts_no_rsync_and_counts_the_source() {
    let sandbox = Sandbox::new();
    let arguments = watched_rsync(&sandbox, "");
    prepare(&sandbox);
    let full = sandbox.clone(&["--full"]);
    full.assert_code(0)
        .assert_log(": Full pass: it was requested.")
        .assert_log("Number of regular files transferred: 0");
    let by_rsync = sandbox.record().unwrap();
    fs::remove_file(&arguments).unwrap();
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("").assert_log(IDLE).assert_no_log("Cloning.");
    assert!(!fs::read_to_string(&arguments).unwrap().contains("--archive"), "{run}");
    let record = sandbox.record().unwrap();
    assert_eq!(record["rsync"]["attempts"], 0);
    for count in ["files", "total_size", "files_by_kind"] {
        assert_eq!(record["statistics"][count], by_rsync["statistics"][count], "{count}");
    }
    assert!(sandbox.read_marker("stats").starts_with("Clone Started: "));
    assert!(
        sandbox
            .read_marker("stats")
            .contains(&format!("\nNumber of files: {}\n", record["statistics"]["files"]))
    );
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
}

#[test]
fn only_root_can_read_the_index_and_it_holds_no_names() {
    let sandbox = cloned();
    let found = fs::metadata(index(&sandbox)).unwrap();
    assert_eq!((found.mode() & 0o777, found.uid()), (0o600, 0));
    let content = fs::read(index(&sandbox)).unwrap();
    assert!(!content.windows(8).any(|part| part == b"00000001"));
    assert!(content.len() > FILES * 8);
}

#[test]
fn a_full_pass_is_made_wherever_the_index_does_not_fit() {
    let sandbox = cloned();
    let index = index(&sandbox);
    let content = fs::read(&index).unwrap();
    let assert_full = |why: &str| {
        sandbox.clone(&[]).assert_code(0).assert_err("").assert_log(&format!(": Full pass: {why}.\n"));
        settle(&sandbox);
    };
    for at in [0, 100, content.len() - 1] {
        let mut damaged = fs::read(&index).unwrap();
        damaged[at] ^= 1;
        fs::write(&index, damaged).unwrap();
        assert_full("the index cannot be used: it is damaged");
    }
    fs::write(&index, &content[..50]).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_log(": Full pass: the index cannot be used: ");
    settle(&sandbox);
    fs::set_permissions(&index, fs::Permissions::from_mode(0o644)).unwrap();
    assert_full("the index cannot be used: others could have written or read it");
    fs::remove_file(&index).unwrap();
    assert_full("there is no index of the last clone");
    let other = sandbox.script("other", "exec /usr/bin/rsync \"$@\"");
    let run = sandbox.clone(&["--rsync", other.to_str().unwrap()]);
    run.assert_code(0).assert_log(": Full pass: the last clone was made in another way.\n");
}

#[test]
fn an_index_planted_as_a_link_or_a_fifo_is_not_used() {
    let sandbox = cloned();
    let (index, kept) = (index(&sandbox), sandbox.path().join("kept"));
    fs::rename(&index, &kept).unwrap();
    std::os::unix::fs::symlink(&kept, &index).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_log(": Full pass: there is no index of the last clone.\n");
    assert!(!index.is_symlink());
    fs::remove_file(&index).unwrap();
    nix::unistd::mkfifo(&index, nix::sys::stat::Mode::S_IRUSR).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_log(": Full pass: there is no index of the last clone.\n");
}

#[test]
fn much_that_differs_is_a_full_pass() {
    let sandbox = cloned();
    for number in 0..FILES / 4 {
        sandbox.write(format!("more/{number}"), "content");
    }
    sandbox.clone(&[]).assert_code(0).assert_log(": Full pass: more than an eighth of the entries differ.\n");
}

#[test]
fn a_small_source_is_looked_at_as_a_whole() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    for _ in 0..2 {
        sandbox.clone(&[]).assert_code(0).assert_log(": Full pass: the source is small.\n");
    }
}

#[test]
fn a_damaged_clone_without_an_index_is_repaired_by_the_full_pass() {
    let sandbox = cloned();
    fs::remove_file(index(&sandbox)).unwrap();
    fs::write(sandbox.destination.join("0001/00000100"), "x").unwrap();
    fs::remove_dir_all(sandbox.destination.join("0002")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_log(": Full pass: ");
    crate::support::audit::assert_same(
        &sandbox.source,
        &sandbox.destination,
        &crate::support::audit::Options::default(),
    );
}

#[test]
fn no_name_is_in_an_argument() {
    let sandbox = Sandbox::new();
    let arguments = watched_rsync(&sandbox, "");
    prepare(&sandbox);
    sandbox.write("private/secret name", "content");
    assert_quick(&sandbox, &[]).assert_log(": Quick pass: 2 of ");
    let arguments = fs::read_to_string(arguments).unwrap();
    assert!(arguments.contains("--files-from=-") && !arguments.contains("secret name"), "{arguments}");
}

#[test]
fn a_quick_pass_that_fails_is_followed_by_a_full_one() {
    let sandbox = cloned();
    sandbox.rsync("case \" $* \" in *' --files-from=- '*) exit 23 ;; esac\nexec /usr/bin/rsync \"$@\"");
    // Another rsync has taken over.
    sandbox.clone(&[]).assert_code(0).assert_log(": Full pass: ");
    settle(&sandbox);
    sandbox.write("new", "content");
    let_the_clock_tick();
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("").assert_log(": Quick pass: 1 of ");
    run.assert_log("The quick pass was not complete, so a full pass follows.\n").assert_log("Cloning.");
    assert_eq!(fs::read_to_string(sandbox.destination.join("new")).unwrap(), "content");
    // The list, all, and nothing in a closing pass.
    assert_eq!(sandbox.record().unwrap()["rsync"]["attempts"], 2, "{run}");
}

#[test]
fn every_rsync_that_compares_nanoseconds_makes_quick_passes() {
    with_each(|sandbox, version| {
        prepare_with(sandbox, version);
    });
}

fn prepare_with(sandbox: &Sandbox, version: &str) {
    add_files(&sandbox.source);
    sandbox.clone(&[]).assert_code(0);
    if crate::support::other_rsyncs::is_before(version, "3.1.3") {
        sandbox
            .clone(&[])
            .assert_code(0)
            .assert_log("no quick pass is made here, since this rsync is too old");
        return;
    }
    settle(sandbox);
    sandbox.write("dir/new", "content");
    fs::remove_dir_all(sandbox.source.join("0001")).unwrap();
    fs::write(sandbox.source.join("0002/00000200"), "other content").unwrap();
    fs::hard_link(sandbox.source.join("0003/00000300"), sandbox.source.join("dir/link")).unwrap();
    sandbox
        .clone(&[])
        .assert_code(0)
        .assert_err("")
        .assert_log(": Quick pass: ")
        .assert_no_log("a full pass follows");
    crate::support::audit::assert_same(
        &sandbox.source,
        &sandbox.destination,
        &crate::support::audit::Options::default(),
    );
    settle(sandbox);
}
