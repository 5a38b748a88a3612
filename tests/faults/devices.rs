//! A disk removed, truncated or made read-only while rsync copies, and one that is slow or only partly readable.

use std::ffi::OsStr;
use std::fs;

use crate::support::disk::LoopDisk;
use crate::support::evidence::Evidence;
use crate::support::faulty::FaultyFuse;
use crate::support::sandbox::Sandbox;
use crate::support::scene::{
    RSYNC, Running, beside, meanwhile, on_transfer, quarter_megabytes, slow_down, text, tool, wait_for_files,
};
use crate::support::tree::remove_tree;

/// A sandbox with one end on a disk, and a transfer slow enough to be disturbed.
fn slow_sandbox(source: Option<&LoopDisk>, destination: Option<&LoopDisk>) -> Sandbox {
    let mut sandbox = Sandbox::new();
    if let Some(disk) = source {
        sandbox.source = disk.path().into();
    }
    if let Some(disk) = destination {
        sandbox.destination = disk.path().into();
    }
    quarter_megabytes(&sandbox, 10);
    slow_down(&sandbox, 500);
    // What has not reached the disk yet would be lost by the fault, not by the run.
    tool("sync", &[OsStr::new("-f"), sandbox.source.as_os_str()]);
    sandbox
}

/// Starts a run, disturbs it when files arrive, and checks its end.
fn disturb(evidence: &mut Evidence, sandbox: &Sandbox, disturbance: impl FnOnce()) {
    evidence.watch(sandbox);
    let run = Running::start(sandbox, &[]);
    wait_for_files(sandbox);
    meanwhile(sandbox, disturbance);
    let run = run.finish();
    evidence.verify_end(sandbox, &run);
}

pub fn a_detached_source_is_copied_to_the_end(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 32, &[], "");
    let sandbox = slow_sandbox(Some(&disk), None);
    disturb(evidence, &sandbox, || disk.detach());
    evidence.verify_loss(&sandbox);
    evidence.repair(&sandbox);
}

pub fn a_detached_destination_is_written_to_the_end(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 32, &[], "");
    let sandbox = slow_sandbox(None, Some(&disk));
    disturb(evidence, &sandbox, || disk.detach());
    evidence.verify_loss(&sandbox);
    evidence.repair(&sandbox);
}

pub fn an_unmounted_source_is_copied_to_the_end(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 32, &[], "");
    let sandbox = slow_sandbox(Some(&disk), None);
    disturb(evidence, &sandbox, || disk.unmount_lazily());
    disk.mount_again();
    evidence.verify_loss(&sandbox);
    evidence.repair(&sandbox);
}

pub fn a_source_that_turns_read_only_is_copied(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 32, &[], "");
    let sandbox = slow_sandbox(Some(&disk), None);
    disturb(evidence, &sandbox, || disk.remount_read_only());
    evidence.verify_loss(&sandbox);
    evidence.repair(&sandbox);
}

/// The kernel refuses that while a file is open for writing, and ours is for the whole run.
pub fn a_destination_in_use_is_not_remounted(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 32, &[], "");
    let sandbox = slow_sandbox(None, Some(&disk));
    let remount = beside(&sandbox, &format!("mount -o remount,ro '{}'", text(disk.path())));
    on_transfer(&sandbox, &format!("{remount} 2>/dev/null && exit 99; exec {RSYNC} \"$@\""));
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    evidence.repair(&sandbox);
}

pub fn a_destination_whose_device_is_cut_off_is_no_success(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 32, &[], "");
    let sandbox = slow_sandbox(None, Some(&disk));
    let saved = disk.save();
    disturb(evidence, &sandbox, || disk.shrink_device());
    disk.give_back(&saved);
    disk.repair();
    evidence.verify_loss(&sandbox);
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}

/// A clone of a FUSE filesystem that then gets a fault, with something in a directory that the fault must not delete.
fn fault_after_a_clone(evidence: &mut Evidence, fault: &str) {
    let fuse = FaultyFuse::new();
    let mut sandbox = Sandbox::new();
    sandbox.source = fuse.path();
    quarter_megabytes(&sandbox, 3);
    sandbox.write("directory/deeper/precious", "mine");
    sandbox.write("directory/other", "mine");
    sandbox.clone(&[]).assert_code(0);
    sandbox.write("new", "new");
    fuse.tell(fault);
    evidence.watch_at(&fuse.backing(), &sandbox.destination);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    assert_eq!(fs::read_to_string(sandbox.destination.join("directory/deeper/precious")).unwrap(), "mine");
    fuse.tell("");
    remove_tree(&sandbox.source.join("directory"));
    evidence.repair(&sandbox);
}

pub fn a_directory_that_cannot_be_listed_loses_nothing(evidence: &mut Evidence) {
    fault_after_a_clone(evidence, "list /directory\n");
}

pub fn an_entry_without_properties_loses_nothing(evidence: &mut Evidence) {
    fault_after_a_clone(evidence, "stat /directory/deeper\n");
}

pub fn slow_reads_are_waited_for(evidence: &mut Evidence) {
    let fuse = FaultyFuse::new();
    let mut sandbox = Sandbox::new();
    sandbox.source = fuse.path();
    quarter_megabytes(&sandbox, 3);
    fuse.tell("slow *\n");
    evidence.watch_at(&fuse.backing(), &sandbox.destination);
    let run = sandbox.clone(&[]);
    fuse.tell("");
    evidence.verify(&sandbox, &run);
    evidence.repair(&sandbox);
}

pub fn a_hang_that_ends_is_waited_for(evidence: &mut Evidence) {
    let fuse = FaultyFuse::new();
    let mut sandbox = Sandbox::new();
    sandbox.source = fuse.path();
    quarter_megabytes(&sandbox, 3);
    fuse.tell("hang /001\n");
    evidence.watch_at(&fuse.backing(), &sandbox.destination);
    let mut run = Running::start(&sandbox, &[]);
    wait_for_files(&sandbox);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(!run.has_ended(), "nothing hangs");
    fuse.tell("");
    let run = run.finish();
    evidence.verify(&sandbox, &run);
    evidence.repair(&sandbox);
}
