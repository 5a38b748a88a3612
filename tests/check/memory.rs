//! Everything in this machine's state, checked at once.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::check::scene::{age_memory, assert_answer, check, cloned, first, forget, memories, performance};
use crate::support::sandbox::{FAKE_HOST, Finished, Sandbox};

const NOBODY: u32 = 65534;

/// Makes a second clone, of the same source.
fn second(sandbox: &Sandbox, name: &str, more: &[&str]) -> PathBuf {
    let path = sandbox.path().join(name);
    fs::create_dir(&path).unwrap();
    let ends = ["-s", sandbox.source.to_str().unwrap(), "-d", path.to_str().unwrap()];
    sandbox.run(ends.iter().chain(more)).assert_code(0);
    path
}

#[test]
fn all_known_clones_are_judged_and_the_worst_decides() {
    let sandbox = cloned();
    age_memory(&sandbox, 30 * 3600);
    // The mark is a second clone's too: what is at the destination is younger than what is remembered.
    fs::remove_dir_all(&sandbox.destination).unwrap();
    let other = second(&sandbox, "other", &[]);
    let run = sandbox.run(["check"]);
    let (one, two) = (sandbox.destination.display().to_string(), other.display().to_string());
    assert_answer(&run, 1, &["2 clones: 1 WARNING, 1 OK; ", &one, "completed 1 d 6 h ago"]);
    assert!(run.out.contains(&format!("\n[OK] {two}: completed ")), "{run}");
    assert!(run.out.contains(&format!("\n[WARNING] {one}: completed ")), "{run}");
    let data = performance(&run);
    assert_eq!(data.len(), 14, "{run}");
    for label in [format!("{one}_age"), format!("{two}_age"), format!("{two}_deleted")] {
        assert!(data.contains_key(&label), "{label}: {run}");
    }
    sandbox.run(["-s", "/nonexistent", "-d", other.to_str().unwrap()]).assert_code(65);
    assert_answer(&sandbox.run(["check"]), 2, &["1 CRITICAL, 1 WARNING; ", &two, "/nonexistent"]);
}

#[test]
fn one_known_clone_is_judged_as_if_it_were_named() {
    let sandbox = cloned();
    let (named, known) = (check(&sandbox, &[]), sandbox.run(["check"]));
    assert_answer(&known, 0, &[&format!("{}: completed", sandbox.destination.display())]);
    assert_eq!(
        performance(&named).keys().collect::<Vec<_>>(),
        performance(&known).keys().collect::<Vec<_>>()
    );
}

#[test]
fn a_prefix_chooses_among_the_known_clones() {
    let sandbox = cloned();
    let other = second(&sandbox, "other", &["-g", "org.example"]);
    let name = format!("{} (org.example): completed", other.display());
    assert_answer(&sandbox.run(["check"]), 0, &["2 clones: 2 OK"]);
    assert!(sandbox.run(["check"]).out.contains(&format!("[OK] {name}")));
    assert_answer(&sandbox.run(["check", "-g", "org.example"]), 0, &[&name]);
    assert_answer(&sandbox.run(["check", "-g", "org.none"]), 3, &["this machine has no record of a clone"]);
}

#[test]
fn nothing_known_is_unknown() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(["check"]);
    assert_answer(&run, 3, &["this machine has no record of a clone: name the destination with -d"]);
    assert!(!sandbox.host().join("state").exists());
}

#[test]
fn a_damaged_memory_is_unknown() {
    let sandbox = cloned();
    let whole = fs::read(&memories(&sandbox)[0]).unwrap();
    let damages: [&[u8]; 4] = [b"", &whole[..whole.len() / 2], b"[]", &[b'x'; 100]];
    for damage in damages {
        fs::write(&memories(&sandbox)[0], damage).unwrap();
        assert_answer(&check(&sandbox, &[]), 3, &["completed ", "this machine's records cannot be read: "]);
        let run = sandbox.run(["check"]);
        assert_answer(&run, 3, &[&memories(&sandbox)[0].display().to_string(), "cannot be read: "]);
    }
    let later = String::from_utf8(whole).unwrap().replacen("\"schema\": 1", "\"schema\": 2", 1);
    fs::write(&memories(&sandbox)[0], later).unwrap();
    assert_answer(&check(&sandbox, &[]), 3, &["a later version of Counterpart wrote it"]);
    // Others are checked beside it.
    second(&sandbox, "other", &[]);
    assert_answer(&sandbox.run(["check"]), 3, &["2 clones: 1 UNKNOWN, 1 OK"]);
    fs::remove_file(&memories(&sandbox)[0]).unwrap();
    fs::create_dir(memories(&sandbox)[0].with_extension("x.json")).unwrap();
    assert_answer(&sandbox.run(["check"]), 3, &["it is not a file"]);
}

#[test]
fn odd_names_are_found_again() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "");
    let other = second(&sandbox, "a|b\nc d=\u{202e}'", &[]);
    let shown = other.file_name().unwrap().to_str().unwrap().replace('|', "\\#174").replace('\n', "\\#012");
    let shown = shown.replace('\u{202e}', "\\#342\\#200\\#256");
    for run in [sandbox.run(["check"]), sandbox.run(["check", "-d", other.to_str().unwrap()])] {
        assert_answer(&run, 0, &[&format!("/{shown}: completed ")]);
        assert!(!first(&run).contains("not there"), "the directory itself was looked at: {run}");
    }
}

/// Runs the product as nobody, without a home; the machine is still root's.
fn as_nobody(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    let program = sandbox.path().join("check_counterpart_clone");
    if !program.exists() {
        fs::copy(FAKE_HOST, &program).unwrap();
    }
    let mut command = Command::new("/usr/bin/setpriv");
    command
        .args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()])
        .arg(program)
        .args(arguments)
        .env_clear()
        .env("COUNTERPART_FAKE_HOST", sandbox.host())
        .stdin(Stdio::null());
    Finished::from(command.output().unwrap())
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn nobody_may_ask_and_sees_what_root_remembers() {
    let sandbox = cloned();
    let destination = sandbox.destination.to_str().unwrap();
    // On this machine root's memory is not where an ordinary user would keep one.
    fs::rename(sandbox.host().join("state"), sandbox.host().join("system-state")).unwrap();
    assert_answer(&as_nobody(&sandbox, &["-d", destination]), 0, &["completed "]);
    assert_answer(&as_nobody(&sandbox, &[]), 0, &[&format!("{destination}: completed ")]);
    assert!(!sandbox.host().join("state").exists(), "nothing is written");
    // A clone that only root may look into.
    chmod(&sandbox.destination, 0o700);
    assert_answer(
        &as_nobody(&sandbox, &["-d", destination]),
        0,
        &["completed ", "this user has no access to the destination, according to"],
    );
    fs::remove_dir_all(sandbox.host().join("system-state")).unwrap();
    assert_answer(&as_nobody(&sandbox, &["-d", destination]), 3, &["this user has no access to it"]);
    chmod(&sandbox.destination, 0o755);
    assert_answer(&as_nobody(&sandbox, &["-d", destination]), 0, &["completed "]);
    chmod(&sandbox.marker("stats"), 0o600);
    assert_answer(
        &as_nobody(&sandbox, &["-d", destination]),
        3,
        &["stats cannot be read: Permission denied"],
    );
}

#[test]
fn a_memory_that_may_not_be_read_is_unknown() {
    let sandbox = cloned();
    let memory = sandbox.host().join("system-state");
    fs::rename(sandbox.host().join("state"), &memory).unwrap();
    chmod(&memory, 0o700);
    assert_answer(
        &as_nobody(&sandbox, &[]),
        3,
        &["system-state: this machine's records cannot be read: Permission denied"],
    );
    let run = as_nobody(&sandbox, &["-d", sandbox.destination.to_str().unwrap()]);
    assert_answer(&run, 3, &["completed ", "this machine's records cannot be read: Permission denied"]);
}

#[test]
fn a_strict_umask_does_not_hide_what_is_remembered() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "umask 077; exec \"$0\" \"$@\"", FAKE_HOST]).args(sandbox.arguments([] as [&str; 0]));
    let run = Finished::from(command.env("COUNTERPART_FAKE_HOST", sandbox.host()).output().unwrap());
    run.assert_code(0);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&sandbox.host().join("state")), 0o755);
    assert_eq!(mode(&memories(&sandbox)[0]), 0o644);
    assert_eq!(mode(&sandbox.host().join("lock")), 0o700);
}

#[test]
fn a_users_own_memory_and_roots_become_one() {
    let sandbox = cloned();
    let (own, system) = (sandbox.host().join("state"), sandbox.host().join("system-state"));
    let copy = |from: &Path, to: &Path| {
        fs::create_dir_all(to).unwrap();
        for path in memories(&sandbox) {
            fs::copy(from.join(path.file_name().unwrap()), to.join(path.file_name().unwrap())).unwrap();
        }
    };
    copy(&own, &system);
    age_memory(&sandbox, 60 * 3600);
    fs::remove_dir_all(&sandbox.destination).unwrap();
    for arguments in [vec!["check"], vec!["check", "-d", sandbox.destination.to_str().unwrap()]] {
        let run = sandbox.run(&arguments);
        assert_answer(&run, 0, &["completed "]);
        assert!(!first(&run).contains("2 clones"), "{run}");
    }
    fs::remove_dir_all(&system).unwrap();
    assert_answer(&sandbox.run(["check"]), 2, &["completed 2 d 12 h ago"]);
    forget(&sandbox);
    assert_answer(&sandbox.run(["check"]), 3, &[]);
}

#[test]
fn one_memory_that_cannot_be_read_does_not_hide_the_other() {
    let sandbox = cloned();
    let destination = sandbox.destination.to_str().unwrap();
    let (own, system) = (sandbox.host().join("state"), sandbox.host().join("system-state"));
    let note = |run: &Finished, dir: &Path| {
        let told = format!(
            "\nNot all of this machine's records can be read: Permission denied (in {})",
            dir.display()
        );
        assert!(run.out.contains(&told), "{run}");
    };
    fs::rename(&own, &system).unwrap();
    // The user's own, as another user's home.
    fs::create_dir(&own).unwrap();
    chmod(&own, 0o700);
    for arguments in [&["-d", destination][..], &[]] {
        let run = as_nobody(&sandbox, arguments);
        assert_answer(&run, 0, &["completed "]);
        note(&run, &own);
    }
    // What the machine remembers is checked all the same: here, a failure.
    fs::remove_dir_all(&sandbox.destination).unwrap();
    fs::rename(&system, sandbox.host().join("aside")).unwrap();
    fs::remove_dir(&own).unwrap();
    fs::rename(sandbox.host().join("aside"), &own).unwrap();
    sandbox.clone(&[]).assert_code(66);
    fs::rename(&own, &system).unwrap();
    fs::create_dir(&own).unwrap();
    chmod(&own, 0o700);
    for arguments in [&["-d", destination][..], &[]] {
        let run = as_nobody(&sandbox, arguments);
        assert_answer(&run, 2, &["failed ", "does not exist"]);
        note(&run, &own);
    }
    // The other way round.
    fs::remove_dir(&own).unwrap();
    fs::rename(&system, &own).unwrap();
    fs::create_dir(&system).unwrap();
    chmod(&system, 0o700);
    let run = as_nobody(&sandbox, &["-d", destination]);
    assert_answer(&run, 2, &["failed "]);
    note(&run, &system);
    // Neither of them: both are named.
    chmod(&own, 0o700);
    let run = as_nobody(&sandbox, &["-d", destination]);
    let told =
        format!("Permission denied (in {}); Permission denied (in {})", system.display(), own.display());
    assert_answer(&run, 3, &["this machine's records cannot be read: ", &told]);
}

#[test]
fn a_run_by_a_clock_that_was_ahead_does_not_outlive_those_after_it() {
    let sandbox = cloned();
    let destination = sandbox.destination.to_str().unwrap();
    let (own, system) = (sandbox.host().join("state"), sandbox.host().join("system-state"));
    // Root's clone of ten years ahead, and a failure of today.
    fs::create_dir(&system).unwrap();
    age_memory(&sandbox, -10 * 365 * 86_400);
    let name = memories(&sandbox)[0].file_name().unwrap().to_owned();
    fs::copy(own.join(&name), system.join(&name)).unwrap();
    forget(&sandbox);
    fs::remove_dir_all(&sandbox.destination).unwrap();
    assert_answer(&sandbox.run(["check", "-d", destination]), 1, &["in the future: a clock is or was wrong"]);
    fs::create_dir(&sandbox.destination).unwrap();
    sandbox.clone(&[]).assert_code(0);
    age_memory(&sandbox, 60 * 3600);
    fs::remove_dir_all(&sandbox.destination).unwrap();
    for arguments in [&["check", "-d", destination][..], &["check"]] {
        assert_answer(&sandbox.run(arguments), 2, &["completed 2 d 12 h ago"]);
    }
}

#[test]
fn a_disk_with_a_completion_in_the_future_does_not_hide_what_is_remembered() {
    let sandbox = cloned();
    crate::support::tree::set_mtime(
        &sandbox.marker("completed"),
        crate::check::scene::now() + 10 * 365 * 86_400,
        0,
    );
    age_memory(&sandbox, 60 * 3600);
    let run = check(&sandbox, &[]);
    assert_answer(&run, 2, &["completed 2 d 12 h ago"]);
    assert!(run.out.contains("\nThe disk that is there now holds the clone of 20"), "{run}");
    forget(&sandbox);
    assert_answer(&check(&sandbox, &[]), 1, &["in the future: a clock is or was wrong"]);
}
