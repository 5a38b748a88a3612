//! The source breaks or disappears during a clone.

use std::ffi::OsStr;
use std::fs;

use crate::support::disk::{LoopDisk, Tmpfs, drop_caches};
use crate::support::evidence::Evidence;
use crate::support::faulty::FaultyFuse;
use crate::support::sandbox::Sandbox;
use crate::support::scene::{
    RSYNC, Running, SLOWLY, assert_failure, assert_nothing_extra, on_transfer, quarter_megabytes, slow_down,
    text, tool, wait_for_files,
};

const PARTIAL: &str = "rsync ended with code 23: some files or attributes were not transferred. \
                       The failing paths are in the log.";

pub fn a_source_whose_device_goes_away_is_71(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let mut sandbox = Sandbox::new();
    sandbox.source = disk.path().into();
    quarter_megabytes(&sandbox, 40);
    slow_down(&sandbox, SLOWLY);
    let image = disk.save();
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &[]);
    wait_for_files(&sandbox);
    disk.lose_device();
    let run = run.finish();
    evidence.verify_end(&sandbox, &run);
    let sentence = format!(
        "The source {} became unreadable during the clone: Input/output error. Check its disk.",
        text(disk.path())
    );
    assert_failure(&sandbox, &run, 71, &sentence, &["error", "id", "stats"]);
    disk.give_back(&image);
    evidence.verify_loss(&sandbox);
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}

pub fn a_source_that_shuts_down_is_71(evidence: &mut Evidence) {
    let disk = LoopDisk::new("xfs", 300, &[], "");
    let mut sandbox = Sandbox::new();
    sandbox.source = disk.path().into();
    quarter_megabytes(&sandbox, 40);
    slow_down(&sandbox, SLOWLY);
    // What has not reached the disk before would be lost by the shutdown, not by the run.
    tool("sync", &[OsStr::new("-f"), disk.path().as_os_str()]);
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &[]);
    wait_for_files(&sandbox);
    disk.shutdown();
    let run = run.finish();
    evidence.verify_end(&sandbox, &run);
    let sentence = format!(
        "The source {} became unreadable during the clone: Input/output error. Check its disk.",
        text(disk.path())
    );
    assert_failure(&sandbox, &run, 71, &sentence, &["error", "id", "stats"]);
    disk.repair();
    evidence.verify_loss(&sandbox);
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}

pub fn one_file_that_cannot_be_read_is_23_and_named(evidence: &mut Evidence) {
    let fuse = FaultyFuse::new();
    let mut sandbox = Sandbox::new();
    sandbox.source = fuse.path();
    quarter_megabytes(&sandbox, 4);
    fuse.tell("fail /002\n");
    evidence.watch_at(&fuse.backing(), &sandbox.destination);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    assert_failure(&sandbox, &run, 23, PARTIAL, &["error", "id", "stats"]);
    run.assert_log("Input/output error (5)").assert_log("]: Failing paths:\n");
    run.assert_log(&format!("]:   {}\n", text(&fuse.path().join("002"))));
    assert_eq!(sandbox.names(), ["000", "001", "003"]);
    fuse.tell("");
    evidence.repair(&sandbox);
}

pub fn only_one_file_and_that_cannot_be_read_is_71(evidence: &mut Evidence) {
    let fuse = FaultyFuse::new();
    let mut sandbox = Sandbox::new();
    sandbox.source = fuse.path();
    quarter_megabytes(&sandbox, 3);
    fuse.tell("fail *\n");
    evidence.watch_at(&fuse.backing(), &sandbox.destination);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    let sentence = format!(
        "The source {} became unreadable during the clone: Input/output error. Check its disk.",
        text(&fuse.path())
    );
    assert_failure(&sandbox, &run, 71, &sentence, &["error", "id", "stats"]);
    assert!(sandbox.names().is_empty());
    fuse.tell("");
    evidence.repair(&sandbox);
}

pub fn a_damaged_inode_is_23_and_named(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 64, &["-O", "metadata_csum"], "");
    let mut sandbox = Sandbox::new();
    sandbox.source = disk.path().into();
    quarter_megabytes(&sandbox, 4);
    evidence.watch(&sandbox);
    disk.unmount();
    let damage = [OsStr::new("-w"), OsStr::new("-R"), OsStr::new("sif /002 checksum 0x1234")];
    tool("debugfs", &[damage[0], damage[1], damage[2], disk.device().as_os_str()]);
    disk.mount_again();
    drop_caches();
    let run = sandbox.clone(&[]);
    evidence.verify_end(&sandbox, &run);
    assert_failure(&sandbox, &run, 23, PARTIAL, &["error", "id", "stats"]);
    run.assert_log("]: Failing paths:\n");
    run.assert_log(&format!("]:   {}\n", text(&disk.path().join("002"))));
    assert_eq!(sandbox.names(), ["000", "001", "003", "lost+found"]);
    disk.repair();
    evidence.verify_loss(&sandbox);
    evidence.repair(&sandbox);
}

pub fn a_file_that_vanishes_at_its_attributes_is_no_failure(evidence: &mut Evidence) {
    let fuse = FaultyFuse::new();
    // Of a filesystem that can hold any attributes: else the survey would be the first to ask for them.
    let destination = Tmpfs::new("size=16m");
    let mut sandbox = Sandbox::new();
    sandbox.source = fuse.path();
    destination.path().clone_into(&mut sandbox.destination);
    quarter_megabytes(&sandbox, 4);
    sandbox.clone(&[]).assert_code(0);
    std::fs::remove_file(fuse.backing().join("003")).unwrap();
    fuse.tell("gone /001\n");
    evidence.watch_at(&fuse.backing(), &sandbox.destination);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    run.assert_code(0)
        .assert_log("No such file or directory (2)")
        .assert_log("nothing else went wrong: retrying (1 of 2)");
    // What is gone is gone from the clone as well, although rsync skips deletions after such a message.
    assert_eq!(sandbox.names(), ["000", "002"]);
}

pub fn a_log_that_is_truncated_is_no_failure(evidence: &mut Evidence) {
    let fuse = FaultyFuse::new();
    let mut sandbox = Sandbox::new();
    sandbox.source = fuse.path();
    quarter_megabytes(&sandbox, 4);
    fuse.tell("trunc /001\n");
    evidence.watch_at(&fuse.backing(), &sandbox.destination);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    run.assert_code(0).assert_log("nothing else went wrong: retrying (1 of 2)");
    assert_eq!(std::fs::metadata(sandbox.destination.join("001")).unwrap().len(), 0);
    assert_eq!(sandbox.names(), ["000", "001", "002", "003"]);
}

pub fn a_source_that_is_emptied_in_between_is_71(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    quarter_megabytes(&sandbox, 20);
    on_transfer(
        &sandbox,
        &format!("{RSYNC} \"$@\"; rm -r '{0}'; mkdir '{0}'; exit 23", text(&sandbox.source)),
    );
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    let sentence = format!(
        "The source {} became unreadable during the clone: another directory is at its path now (was it \
         unmounted?). Check its disk.",
        text(&sandbox.source)
    );
    assert_failure(&sandbox, &run, 71, &sentence, &["error", "id", "stats"]);
}

pub fn a_source_that_is_gone_from_the_start_does_not_wipe_the_destination(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 32, &[], "");
    let mut sandbox = Sandbox::new();
    sandbox.source = disk.path().into();
    quarter_megabytes(&sandbox, 2);
    sandbox.clone(&[]).assert_code(0);
    evidence.watch(&sandbox);
    disk.unmount_lazily();
    let run = sandbox.clone(&[]);
    let sentence = format!(
        "The source {} is empty; a clone of it would delete everything at the destination. Is the volume mounted?",
        text(disk.path())
    );
    assert_failure(&sandbox, &run, 65, &sentence, &["error", "id", "stats"]);
    assert_eq!(sandbox.names(), ["000", "001", "lost+found"]);
    disk.mount_again();
    evidence.verify(&sandbox, &run);
    evidence.repair(&sandbox);
    assert_nothing_extra(&sandbox);
}

/// What is mounted in the source can be read, and says nothing about the source's own disk. Nor is a FIFO waited for.
pub fn a_disk_mounted_in_a_dead_source_does_not_prove_it_alive(evidence: &mut Evidence) {
    let fuse = FaultyFuse::new();
    let mut sandbox = Sandbox::new();
    sandbox.source = fuse.path();
    quarter_megabytes(&sandbox, 3);
    nix::unistd::mkfifo(&sandbox.source.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(sandbox.source.join("inner")).unwrap();
    fuse.tell("fail *\n");
    let inner = Mounted::tmpfs(&sandbox.source.join("inner"));
    quarter_megabytes_at(&sandbox.source.join("inner"));
    evidence.watch_at(&fuse.backing(), &sandbox.destination);
    let run = sandbox.clone(&[]);
    evidence.verify_end(&sandbox, &run);
    drop(inner);
    assert!(run.err.contains(" became unreadable during the clone: Input/output error. "), "{run}");
    evidence.verify_loss(&sandbox);
    fuse.tell("");
    evidence.repair(&sandbox);
}

fn quarter_megabytes_at(dir: &std::path::Path) {
    fs::write(dir.join("readable"), vec![b'x'; 256 * 1024]).unwrap();
}

/// A filesystem in memory that is unmounted at the end.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn tmpfs(point: &std::path::Path) -> Self {
        tool("mount", &[OsStr::new("-t"), OsStr::new("tmpfs"), OsStr::new("tmpfs"), point.as_os_str()]);
        Self(point.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        tool("umount", &[OsStr::new("-l"), self.0.as_os_str()]);
    }
}
