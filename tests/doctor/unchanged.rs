//! The doctor changes nothing, whatever it finds.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::doctor::patient::{ask, healthy};
use crate::support::sandbox::Sandbox;
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

/// The access times of a directory and of all directories and files in it.
fn accessed(dir: &Path, found: &mut Vec<(String, i64, i64)>) {
    let metadata = fs::symlink_metadata(dir).unwrap();
    found.push((dir.display().to_string(), metadata.atime(), metadata.atime_nsec()));
}

/// Examines with more options; nothing may change anywhere in the sandbox, nor the ends' own access times.
#[track_caller]
fn examine(sandbox: &Sandbox, more: &[&str], code: i32) {
    let times = || {
        let mut found = Vec::new();
        for dir in [&sandbox.source, &sandbox.destination, &sandbox.host()] {
            accessed(dir, &mut found);
        }
        found
    };
    // Looking at a tree touches it, so the times are taken last and first.
    let before = snapshot_with_ctime(sandbox.path());
    let accessed_before = times();
    ask(sandbox, more).assert_code(code);
    assert_eq!(times(), accessed_before);
    assert_unchanged(&before, &snapshot_with_ctime(sandbox.path()));
}

/// Gives the directories access times that any look would renew.
fn make_old(sandbox: &Sandbox) {
    for dir in [&sandbox.source, &sandbox.destination] {
        let file = fs::File::open(dir).unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        file.set_times(fs::FileTimes::new().set_accessed(long_ago)).unwrap();
    }
}

#[test]
fn nothing_changes_on_a_machine_that_has_never_cloned() {
    let sandbox = healthy();
    make_old(&sandbox);
    examine(&sandbox, &[], 0);
    for name in ["log", "lock", "state", "backup"] {
        assert!(!sandbox.host().join(name).exists(), "{name}");
    }
}

#[test]
fn nothing_changes_where_clones_were_made() {
    let sandbox = healthy();
    sandbox.clone(&[]).assert_code(0);
    sandbox.write("more", "");
    make_old(&sandbox);
    examine(&sandbox, &[], 0);
    examine(&sandbox, &["-B", "-e", "/nonexistent", "-p", "/nonexistent"], 67);
    examine(&sandbox, &["-b", "password", "--json"], 93);
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
}

#[test]
fn a_failing_examination_leaves_no_marker() {
    let sandbox = healthy();
    sandbox.write_destination("precious", "x");
    let before = snapshot_with_ctime(sandbox.path());
    ask(&sandbox, &[]).assert_code(76);
    assert_unchanged(&before, &snapshot_with_ctime(sandbox.path()));
    assert_eq!(sandbox.markers(), [""; 0]);
}
