//! A source that stands still while it is cloned, or cannot.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::disk::LoopDisk;
use crate::support::evidence::Evidence;
use crate::support::sandbox::Sandbox;
use crate::support::scene::{
    Running, SLOWLY, assert_no_rsync, meanwhile, on_transfer, quarter_megabytes, slow_down, wait_for_files,
};
use crate::support::tree::{noise, remove_tree};

const REQUIRED: [&str; 1] = ["--snapshot=require"];

/// A machine whose source is on a btrfs.
fn machine() -> (Sandbox, LoopDisk) {
    let disk = LoopDisk::new("btrfs", 160, &["--mixed"], "");
    let mut sandbox = Sandbox::new();
    sandbox.source = disk.path().join("data");
    fs::create_dir(&sandbox.source).unwrap();
    (sandbox, disk)
}

fn has_snapshot(disk: &LoopDisk) -> bool {
    disk.path().join(".counterpart.snapshots").exists()
}

pub fn a_source_that_cannot_be_frozen_is_77(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "old");
    sandbox.clone(&[]).assert_code(0);
    sandbox.write("file", "new contents");
    evidence.watch(&sandbox);
    let run = sandbox.clone(&REQUIRED);
    evidence.verify(&sandbox, &run);
    evidence.repair(&sandbox);
}

pub fn a_kill_leaves_a_snapshot_that_the_next_run_deletes(evidence: &mut Evidence) {
    let (sandbox, disk) = machine();
    quarter_megabytes(&sandbox, 8);
    slow_down(&sandbox, SLOWLY);
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &REQUIRED);
    wait_for_files(&sandbox);
    run.signal(Signal::SIGKILL);
    let run = run.finish();
    assert_no_rsync(&sandbox);
    assert!(has_snapshot(&disk), "{run}");
    evidence.verify(&sandbox, &run);
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
    assert!(!has_snapshot(&disk));
}

pub fn what_changes_behind_a_snapshot_makes_no_difference(evidence: &mut Evidence) {
    let (sandbox, disk) = machine();
    quarter_megabytes(&sandbox, 8);
    for name in ["directory/vanishing", "directory/changing"] {
        sandbox.write(name, "then");
    }
    slow_down(&sandbox, SLOWLY);
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &REQUIRED);
    wait_for_files(&sandbox);
    meanwhile(&sandbox, || {
        remove_tree(&sandbox.source.join("directory"));
        sandbox.write("directory", "a file");
        fs::write(sandbox.source.join("a slow file"), noise(1, 1000)).unwrap();
    });
    let run = run.finish();
    evidence.verify(&sandbox, &run);
    for name in ["directory/vanishing", "directory/changing"] {
        assert_eq!(fs::read_to_string(sandbox.destination.join(name)).unwrap(), "then");
    }
    assert!(!sandbox.destination.join("a slow file").exists() && !has_snapshot(&disk));
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}
