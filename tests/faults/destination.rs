//! The destination fills up, breaks, disappears, or cannot store what a clone needs.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use crate::support::disk::{LoopDisk, OwnerlessFuse, Tmpfs};
use crate::support::evidence::Evidence;
use crate::support::sandbox::{Sandbox, names_of};
use crate::support::scene::{
    RSYNC, Running, SLOWLY, assert_clone, assert_failure, assert_no_rsync, assert_nothing_extra, beside, dir,
    on_transfer, quarter_megabytes, sentence, slow_down, text, thousands, tool, wait_for_files,
};
use crate::support::tree::{acl, assert_unchanged, edit_in_the_same_second, noise, snapshot_with_ctime};

/// The reason of a full destination as everybody may read it: it names no file.
fn for_everybody(sandbox: &Sandbox) -> String {
    format!(
        "The destination {} is full. Make room there, exclude more, or use a larger disk.\n",
        text(&sandbox.destination)
    )
}

fn sandbox_on(destination: &Path) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.destination = destination.into();
    sandbox
}

/// A destination on a disk that has only so many bytes left.
fn nearly_full(disk: &Path, left: u64) -> Sandbox {
    let sandbox = sandbox_on(&dir(disk, "clone"));
    let filler = disk.join("filler");
    // What is reserved for root counts too: a clone runs as root.
    let free = |disk| statvfs(disk).map(|stat| stat.blocks_free() * stat.fragment_size()).unwrap();
    let chunk = noise(1, 1 << 20);
    let mut file = fs::File::create(&filler).unwrap();
    while free(disk) > left && std::io::Write::write_all(&mut file, &chunk).is_ok() {
        file.sync_all().unwrap();
    }
    sandbox
}

pub fn a_full_ext4_is_74(evidence: &mut Evidence) {
    full_on(evidence, LoopDisk::new("ext4", 24, &[], "").path(), 8 << 20);
}

pub fn a_full_xfs_is_74(evidence: &mut Evidence) {
    full_on(evidence, LoopDisk::new("xfs", 300, &[], "").path(), 8 << 20);
}

pub fn a_full_btrfs_is_74(evidence: &mut Evidence) {
    let disk = LoopDisk::new("btrfs", 115, &["--mixed"], "");
    let sandbox = nearly_full(disk.path(), 24 << 20);
    quarter_megabytes(&sandbox, 192);
    evidence.watch(&sandbox);
    let run = sandbox.clone(&["--no-space-check"]);
    evidence.verify(&sandbox, &run);
    run.assert_code(74).assert_log("No space left on device (28)");
    // A rename needs room there too, so the reason may have to stay in the log, which then says so.
    let is_told =
        sandbox.marker("error").exists() || run.out.contains(": Warning: the reason could not be written");
    assert!(is_told && !sandbox.marker("completed").exists(), "{run}");
    fs::remove_file(disk.path().join("filler")).unwrap();
    evidence.repair(&sandbox);
}

pub fn a_full_tmpfs_is_74(evidence: &mut Evidence) {
    full_on(evidence, Tmpfs::new("size=12m").path(), 8 << 20);
}

fn full_on(evidence: &mut Evidence, disk: &Path, left: u64) {
    let sandbox = nearly_full(disk, left);
    quarter_megabytes(&sandbox, left / (128 * 1024));
    evidence.watch(&sandbox);
    // Whatever room rsync gives back when it fails is taken at once.
    let fill = format!("for i in 1 2 3; do cat /dev/zero >'{0}/more'$i; sync -f '{0}'; done", text(disk));
    let fill = beside(&sandbox, &fill);
    on_transfer(&sandbox, &format!("{RSYNC} \"$@\"; code=$?; {fill} 2>/dev/null; exit $code"));
    let run = sandbox.clone(&["--no-space-check"]);
    evidence.verify(&sandbox, &run);
    run.assert_code(74);
    let sentence = sentence(&run).to_owned();
    let start = format!("The destination {} is full: rsync: ", text(&sandbox.destination));
    assert!(sentence.starts_with(&start), "{run}");
    assert!(
        sentence.ends_with(
            ": No space left on device (28). Make room there, exclude more, or use a larger disk."
        ),
        "{run}"
    );
    // Written on a disk without any room left.
    let error = fs::read_to_string(sandbox.marker("error"));
    assert_eq!(error.ok(), Some(for_everybody(&sandbox)), "{run}\n{:?}", sandbox.markers());
    assert!(!sandbox.marker("completed").exists());
    assert_nothing_extra(&sandbox);

    for name in ["filler", "more1", "more2", "more3"] {
        // Not every filesystem has room left for another name.
        let _ = fs::remove_file(disk.join(name));
    }
    for number in 4..left / (128 * 1024) {
        fs::remove_file(sandbox.source.join(format!("{number:03}"))).unwrap();
    }
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}

pub fn a_destination_without_inodes_is_74(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 32, &["-N", "128"], "");
    let sandbox = sandbox_on(disk.path());
    thousands(&sandbox, 200);
    evidence.watch(&sandbox);
    let run = sandbox.clone(&["--no-space-check"]);
    evidence.verify(&sandbox, &run);
    run.assert_code(74).assert_log("No space left on device (28)");
    run.assert_log(": rsync ended with code 23: some files or attributes were not transferred.\n");
    let sentence = sentence(&run).to_owned();
    assert!(sentence.starts_with(&format!("The destination {} is full: ", text(disk.path()))), "{run}");
    assert_eq!(sandbox.read_marker("error"), for_everybody(&sandbox));
    assert!(!sandbox.marker("completed").exists());
    assert_nothing_extra(&sandbox);
    for number in 50..200 {
        fs::remove_file(sandbox.source.join(format!("0000/{number:08}"))).unwrap();
    }
    evidence.repair(&sandbox);
}

pub fn an_error_in_the_destinations_filesystem_is_72(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 64, &[], "errors=remount-ro");
    let sandbox = sandbox_on(disk.path());
    quarter_megabytes(&sandbox, 20);
    slow_down(&sandbox, SLOWLY);
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &[]);
    wait_for_files(&sandbox);
    disk.trigger_fs_error();
    let run = run.finish();
    evidence.verify_end(&sandbox, &run);
    let path = text(disk.path());
    run.assert_code(72).assert_err(&format!(
        "counterpart: The destination {path} became unwritable during the clone: Read-only file system. \
         Check its disk.\n"
    ));
    run.assert_log(": Warning: the reason could not be written to the destination: Read-only file system.\n");
    assert!(!sandbox.marker("completed").exists());
    disk.repair();
    evidence.verify_loss(&sandbox);
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}

pub fn a_destination_that_shuts_down_is_72(evidence: &mut Evidence) {
    shut_down(evidence, &LoopDisk::new("xfs", 300, &[], ""));
    shut_down(evidence, &LoopDisk::new("ext4", 64, &[], ""));
}

fn shut_down(evidence: &mut Evidence, disk: &LoopDisk) {
    let sandbox = sandbox_on(disk.path());
    quarter_megabytes(&sandbox, 20);
    slow_down(&sandbox, SLOWLY);
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &[]);
    wait_for_files(&sandbox);
    disk.shutdown();
    let run = run.finish();
    evidence.verify_end(&sandbox, &run);
    let path = text(disk.path());
    run.assert_code(72).assert_err(&format!(
        "counterpart: The destination {path} became unwritable during the clone: Input/output error. \
         Check its disk.\n"
    ));
    run.assert_log(": Warning: the reason could not be written to the destination: Input/output error.\n");
    disk.repair();
    evidence.verify_loss(&sandbox);
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}

pub fn a_destination_that_is_unmounted_in_between_is_72(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let sandbox = sandbox_on(disk.path());
    quarter_megabytes(&sandbox, 20);
    slow_down(&sandbox, 500);
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &[]);
    wait_for_files(&sandbox);
    disk.unmount_lazily();
    let run = run.finish();
    let sentence = format!(
        "The destination {} became unwritable during the clone: another directory is at its path now \
         (was it unmounted?). Check its disk.",
        text(disk.path())
    );
    run.assert_code(72).assert_err(&format!("counterpart: {sentence}\n"));
    assert!(names_of(disk.path()).is_empty(), "something was written below the mount point");
    disk.mount_again();
    evidence.verify(&sandbox, &run);
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    assert_eq!(sandbox.read_marker("error"), format!("{sentence}\n"));
    evidence.repair(&sandbox);
}

pub fn a_read_only_destination_is_66_and_not_touched(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 32, &[], "");
    let sandbox = sandbox_on(disk.path());
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    disk.remount_read_only();
    let before = snapshot_with_ctime(disk.path());
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    let sentence =
        format!("The destination {} cannot be written: it is mounted read-only.", text(disk.path()));
    assert_failure(&sandbox, &run, 66, &sentence, &["completed", "id", "stats"]);
    assert_unchanged(&before, &snapshot_with_ctime(disk.path()));
    disk.remount_writable();
    evidence.repair(&sandbox);
}

pub fn data_that_does_not_reach_the_disk_is_no_success(evidence: &mut Evidence) {
    let host = Tmpfs::new("size=24m");
    let disk = LoopDisk::inside(host.path(), "ext4", 200, &["-J", "size=4"], "");
    let sandbox = sandbox_on(disk.path());
    quarter_megabytes(&sandbox, 160);
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    // Depending on when the disk's cache is written, rsync, the flush or a marker is what fails first.
    assert!([11, 72, 74].contains(&run.code), "{run}");
    run.assert_code(run.code);
    assert!(!sandbox.marker("completed").exists());
}

pub fn a_destination_without_access_control_lists_is_23_and_the_path_named(evidence: &mut Evidence) {
    let ram = Tmpfs::without_attributes();
    let sandbox = sandbox_on(ram.path());
    sandbox.write("plain", "content");
    sandbox.write("directory/listed", "content");
    let listed = sandbox.source.join("directory/listed");
    xattr::set(&listed, "system.posix_acl_access", &acl(54321, 6)).unwrap();
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    let sentence = "rsync ended with code 23: some files or attributes were not transferred. \
                    The failing paths are in the log.";
    assert_failure(&sandbox, &run, 23, sentence, &["error", "id", "stats"]);
    let messages = run.messages();
    let at = messages.iter().position(|message| *message == "Failing paths:").expect("no path is named");
    assert!(messages[at + 1].contains("directory/") && messages[at + 1].contains("listed"), "{run}");
    assert_eq!(fs::read_to_string(ram.path().join("plain")).unwrap(), "content");
}

pub fn a_destination_without_owners_is_90_and_nothing_is_written(evidence: &mut Evidence) {
    for (fuse, how) in [(OwnerlessFuse::new(), "loses"), (OwnerlessFuse::refusing_chown(), "refuses")] {
        fs::write(fuse.backing().join("theirs"), "content").unwrap();
        let sandbox = sandbox_on(&fuse.path());
        sandbox.write("file", "content");
        for more in [&[][..], &["--adopt"]] {
            evidence.watch_at(&sandbox.source, &fuse.backing());
            let run = sandbox.clone(more);
            evidence.verify(&sandbox, &run);
            let sentence = format!(
                "The destination {} ignores ownership: an owner that was set on a new file there was lost. \
                 Use another filesystem.",
                text(&fuse.path())
            );
            assert_failure(&sandbox, &run, 90, &sentence, &[]);
            assert_eq!(names_of(&fuse.backing()), ["theirs"], "{how}");
        }
    }
}

pub fn a_full_log_disk_does_not_stop_the_clone(evidence: &mut Evidence) {
    let disk = Tmpfs::new("size=16k");
    let _ = fs::write(disk.path().join("filler"), vec![0; 12 * 1024]);
    let sandbox = Sandbox::new();
    thousands(&sandbox, 20);
    // Another process fills it for good while rsync runs.
    let fill = beside(&sandbox, &format!("cat /dev/zero >'{}/more'", text(disk.path())));
    on_transfer(&sandbox, &format!("{fill} 2>/dev/null; seq 2000; exec {RSYNC} \"$@\""));
    evidence.watch(&sandbox);
    let run = sandbox.clone(&["--log-dir", &text(disk.path())]);
    evidence.verify(&sandbox, &run);
    run.assert_code(0);
    let log =
        names_of(disk.path()).into_iter().find(|name| name.to_string_lossy().starts_with("Counterpart_"));
    run.assert_err(&format!(
        "counterpart: The log {} cannot be written any more: No space left on device. The run continues.\n",
        text(&disk.path().join(log.unwrap()))
    ));
    assert_clone(&sandbox);
}

pub fn a_log_that_cannot_be_begun_does_not_stop_the_clone(evidence: &mut Evidence) {
    let disk = Tmpfs::new("size=8k,nr_inodes=2");
    fs::write(disk.path().join("filler"), "").unwrap();
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    evidence.watch(&sandbox);
    let run = sandbox.clone(&["--log-dir", &text(disk.path())]);
    evidence.verify(&sandbox, &run);
    run.assert_code(0).assert_err(&format!(
        "counterpart: The log in {} cannot be written: No space left on device. The run continues without it.\n",
        text(disk.path())
    ));
    assert_clone(&sandbox);
    assert_no_rsync(&sandbox);
}

pub fn an_immutable_file_at_the_destination_is_23_and_named(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 32, &[], "");
    let sandbox = sandbox_on(disk.path());
    sandbox.write("file", "content");
    sandbox.write("gone", "content");
    sandbox.clone(&[]).assert_code(0);
    fs::remove_file(sandbox.source.join("gone")).unwrap();
    let stubborn = disk.path().join("gone");
    tool("chattr", &[OsStr::new("+i"), stubborn.as_os_str()]);
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    tool("chattr", &[OsStr::new("-i"), stubborn.as_os_str()]);
    run.assert_code(23).assert_log("]: Failing paths:\n").assert_log("]:   gone\n");
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    evidence.repair(&sandbox);
}

/// Where not even a probe can be made, nothing may be compared by whole seconds.
pub fn without_inodes_an_edit_within_a_second_is_copied(evidence: &mut Evidence) {
    let disk = LoopDisk::new("ext4", 32, &["-N", "128"], "");
    let sandbox = sandbox_on(&dir(disk.path(), "clone"));
    thousands(&sandbox, 20);
    sandbox.clone(&[]).assert_code(0);
    let inodes = dir(disk.path(), "filler");
    let number = (0..1000).find(|number| fs::write(inodes.join(number.to_string()), "").is_err());
    assert!(number.is_some(), "there are inodes without end");
    edit_in_the_same_second(&sandbox.source.join("0000/00000007"));
    // What the clone deletes makes room for what it copies.
    for name in ["0000/00000001", "0000/00000002"] {
        fs::remove_file(sandbox.source.join(name)).unwrap();
    }
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    run.assert_err("");
    evidence.verify(&sandbox, &run);
    fs::remove_dir_all(inodes).unwrap();
    evidence.repair(&sandbox);
}
