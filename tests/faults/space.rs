//! Running out of space in unexpected places: in attributes, under our own markers, at the lock.

use std::fs;
use std::path::Path;

use crate::support::disk::{BindMount, LoopDisk, Tmpfs};
use crate::support::evidence::Evidence;
use crate::support::sandbox::Sandbox;
use crate::support::scene::{RSYNC, beside, dir, on_transfer, text, thousands};
use crate::support::tree::noise;

pub fn a_disk_without_room_for_attributes_is_74(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 24, &["-N", "4096"], "");
    let mut sandbox = Sandbox::new();
    sandbox.destination = dir(disk.path(), "clone");
    thousands(&sandbox, 1000);
    for number in 0..1000 {
        // Too large for the inode: each takes a block of its own, and no data block is needed besides.
        let file = sandbox.source.join(format!("{:04}/{number:08}", number / 500));
        fs::write(&file, "").unwrap();
        xattr::set(&file, "user.large", &noise(number + 1, 3000)).unwrap();
    }
    fs::write(disk.path().join("filler"), noise(1, 16 << 20)).unwrap();
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    run.assert_log("setxattr(").assert_log("No space left on device (28)");
    fs::remove_file(disk.path().join("filler")).unwrap();
    evidence.repair(&sandbox);
}

pub fn attributes_that_a_filesystem_cannot_keep_are_89(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 24, &["-b", "4096", "-O", "^ea_inode"], "");
    let source = Tmpfs::new("size=16m");
    let mut sandbox = Sandbox::new();
    sandbox.source = source.path().into();
    sandbox.destination = dir(disk.path(), "clone");
    thousands(&sandbox, 20);
    let file = sandbox.source.join("large");
    fs::write(&file, "content").unwrap();
    xattr::set(&file, "trusted.large", &noise(1, 9000)).unwrap();
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    run.assert_log(&format!("Cannot be stored: {}: its attributes do not fit.\n", text(&file)))
        .assert_no_log("is full");
    xattr::remove(&file, "trusted.large").unwrap();
    evidence.repair(&sandbox);
}

/// Fills a disk to the last block when rsync has ended: only our own markers are still to be written.
fn full_at_the_markers(evidence: &mut Evidence, disk: &Path, filling: &str) {
    let mut sandbox = Sandbox::new();
    sandbox.destination = dir(disk, "clone");
    thousands(&sandbox, 20);
    let fill = filling.replace("DISK", &text(disk));
    let fill = beside(&sandbox, &fill);
    on_transfer(&sandbox, &format!("{RSYNC} \"$@\"; code=$?; {fill} 2>/dev/null; exit $code"));
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    for entry in fs::read_dir(disk).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with("filler")) {
            let _ = fs::remove_file(&entry).or_else(|_| fs::remove_dir_all(&entry));
        }
    }
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}

pub fn a_full_disk_has_room_for_the_markers(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 24, &[], "");
    let filling = "for i in 1 2 3; do cat /dev/zero >'DISK/filler'$i; sync -f 'DISK'; done";
    full_at_the_markers(evidence, disk.path(), filling);
}

pub fn a_disk_without_inodes_for_the_markers_is_74(evidence: &mut Evidence) {
    let disk = Tmpfs::new("size=8m,nr_inodes=64");
    let filling = "mkdir 'DISK/filler'; for i in $(seq 100); do : >'DISK/filler/'$i; done";
    full_at_the_markers(evidence, disk.path(), filling);
}

pub fn a_lock_without_room_is_taken_on_the_destination(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    thousands(&sandbox, 20);
    let disk = Tmpfs::new("size=64k,nr_inodes=2,mode=755");
    let number = (0..1000).find(|number| fs::write(disk.path().join(number.to_string()), "").is_err());
    assert!(number.is_some(), "there are inodes without end");
    let lock = sandbox.host().join("lock");
    fs::create_dir(&lock).unwrap();
    let mounted = BindMount::at(disk.path(), &lock);
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    drop(mounted);
    evidence.repair(&sandbox);
}
