//! `--skip-if-missing`: a disconnected disk is not a failure, and nothing else is mistaken for one.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::disk::LoopDisk;
use crate::support::sandbox::{Sandbox, names_of};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox
}

/// What the machine remembers, if it remembers anything.
fn state(sandbox: &Sandbox) -> Option<serde_json::Value> {
    let dir = sandbox.host().join("state");
    let name = fs::read_dir(&dir).ok()?.next()?.unwrap().path();
    Some(serde_json::from_slice(&fs::read(name).unwrap()).unwrap())
}

#[test]
fn a_missing_destination_is_skipped_quietly() {
    let sandbox = sandbox();
    fs::remove_dir(&sandbox.destination).unwrap();
    let script = sandbox.script("script", "echo ran");
    let script = script.to_str().unwrap();
    let finished = sandbox.clone(&["--skip-if-missing", "-p", script, "-o", script, "--on-error", script]);
    finished.assert_code(0).assert_err("").assert_no_log("ran\n").assert_no_log("Error");
    let why = format!(
        "The destination {} cannot be written: it does not exist, and Counterpart does not create it. Perhaps its disk is not mounted.",
        sandbox.destination.display()
    );
    let messages = finished.messages();
    let end = [why.as_str(), "Nothing is cloned (--skip-if-missing).", "Counterpart exited with code 0."];
    assert_eq!(messages[messages.len() - 3..], end);
    assert!(!sandbox.destination.exists());
    // A path that was never a destination is not remembered: it may be mistyped.
    assert_eq!(state(&sandbox), None);
    // Without the option it is the failure that it was.
    let finished = sandbox.clone(&[]);
    finished.assert_code(66).assert_err(&format!("counterpart: {why}\n"));
}

#[test]
fn what_was_known_of_it_stays_known() {
    let sandbox = sandbox();
    sandbox.clone(&["--skip-if-missing"]).assert_code(0);
    let before = state(&sandbox).unwrap();
    let kept = sandbox.path().join("kept");
    fs::rename(&sandbox.destination, &kept).unwrap();
    sandbox.clone(&["--skip-if-missing"]).assert_code(0);
    let after = state(&sandbox).unwrap();
    assert_eq!(after["last_success"], before["last_success"]);
    assert_eq!((&after["last"]["outcome"], &after["last"]["exit_code"]), (&"skipped".into(), &0.into()));
    assert_eq!(after["last"]["reason"], serde_json::Value::Null);
    // It comes back as it was.
    fs::rename(&kept, &sandbox.destination).unwrap();
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    sandbox.clone(&["--skip-if-missing"]).assert_code(0).assert_log("The clone is complete.");
    assert_eq!(state(&sandbox).unwrap()["last"]["outcome"], "success");
}

#[test]
fn whatever_else_is_wrong_is_still_a_failure() {
    let mut sandbox = sandbox();
    let skip = ["--skip-if-missing"];
    let destination = sandbox.destination.clone();
    // A directory on its way is a file.
    fs::write(sandbox.path().join("plain"), "x").unwrap();
    sandbox.destination = sandbox.path().join("plain/clone");
    sandbox.clone(&skip).assert_code(66);
    sandbox.destination = sandbox.path().join("plain");
    sandbox.clone(&skip).assert_code(66);
    // A link whose end is missing is there itself.
    sandbox.destination = sandbox.path().join("link");
    symlink("/nonexistent", &sandbox.destination).unwrap();
    sandbox.clone(&skip).assert_code(66);
    sandbox.destination = destination;
    sandbox.write_destination("precious", "x");
    sandbox.clone(&skip).assert_code(76);
    fs::remove_dir_all(&sandbox.destination).unwrap();
    sandbox.clone(&["--skip-if-missing", "--rsync", "/nonexistent"]).assert_code(85);
    fs::remove_file(sandbox.source.join("file")).unwrap();
    sandbox.clone(&skip).assert_code(65);
}

#[test]
fn a_test_run_is_skipped_too_and_leaves_nothing() {
    let sandbox = sandbox();
    fs::remove_dir(&sandbox.destination).unwrap();
    sandbox.clone(&["-t", "--skip-if-missing"]).assert_code(0).assert_err("");
    assert!(!names_of(sandbox.path()).contains(&"destination".into()));
    assert_eq!(state(&sandbox), None);
}

#[test]
fn an_unmounted_disk_is_missing_and_its_mount_point_stays_empty() {
    let mut sandbox = sandbox();
    let disk = LoopDisk::new("ext4", 16, &[], "");
    sandbox.destination = disk.path().to_owned();
    sandbox.clone(&[]).assert_code(0);
    disk.unmount_lazily();
    let before = names_of(&sandbox.destination);
    sandbox.clone(&[]).assert_code(88);
    sandbox
        .clone(&["--skip-if-missing"])
        .assert_code(0)
        .assert_err("")
        .assert_log("Nothing is cloned (--skip-if-missing).");
    assert_eq!(names_of(&sandbox.destination), before);
    assert_eq!(state(&sandbox).unwrap()["last"]["outcome"], "skipped");
    disk.mount_again();
    sandbox.clone(&["--skip-if-missing"]).assert_code(0).assert_log("The clone is complete.");
}
