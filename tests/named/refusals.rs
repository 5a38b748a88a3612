//! What is not used, and what is said of it.

use std::fs;
use std::process::{Command, Stdio};

use crate::named::scene::{
    arguments, assert_free, assert_no_private_path, clone, digest, label, sandbox, states, uuid,
};
use crate::support::disk::BareDisk;
use crate::support::sandbox::{Finished, Sandbox, wait_until};

/// The run ends with 66 and says this; nothing is remembered.
#[track_caller]
fn refused(sandbox: &Sandbox, destination: &str, says: &[&str]) -> Finished {
    let finished = clone(sandbox, destination, &[]);
    finished.assert_code(66);
    let start = format!("counterpart: The destination {destination} cannot be written: ");
    for words in [&[&*start], says].concat() {
        assert!(finished.err.contains(words), "{words:?} is not in {finished}");
    }
    assert_eq!(finished.err.lines().count(), 1, "{finished}");
    assert_no_private_path(sandbox, &finished);
    assert!(states(sandbox).is_empty());
    finished
}

#[test]
fn two_disks_of_one_name_are_refused_and_both_are_named() {
    let sandbox = sandbox();
    let label = label();
    let disks = [BareDisk::new("ext4", &["-L", &label]), BareDisk::new("xfs", &["-L", &label])];
    let before = disks.each_ref().map(digest);
    let [one, other] = disks.each_ref().map(|disk| disk.device().to_str().unwrap().to_owned());
    refused(&sandbox, &format!("LABEL={label}"), &["2 devices have this name", &one, &other]);
    assert_eq!(disks.each_ref().map(digest), before);
    disks.iter().for_each(assert_free);
    // A copy of a whole disk has all names of the original.
    let copy = BareDisk::of_image(&disks[0].image());
    refused(&sandbox, &uuid(&disks[0]), &[&one, copy.device().to_str().unwrap()]);
    copy.unplug();
    clone(&sandbox, &uuid(&disks[0]), &[]).assert_code(0);
}

#[test]
fn a_disk_that_is_away_is_missing() {
    let sandbox = sandbox();
    let mut disk = BareDisk::new("ext4", &[]);
    let name = uuid(&disk);
    disk.unplug();
    refused(
        &sandbox,
        &name,
        &["no disk of this machine has that name. Perhaps it is not plugged in; blkid shows all names."],
    );
    let skipped = clone(&sandbox, &name, &["--skip-if-missing"]);
    skipped.assert_code(0).assert_err("").assert_log("Nothing is cloned (--skip-if-missing).");
    let tested = clone(&sandbox, &name, &["-t"]);
    tested.assert_code(66);
    let source = sandbox.source.to_str().unwrap().to_owned();
    let doctor = sandbox.run(["doctor", "-s", &source, "-d", &name]);
    assert_eq!(doctor.code, 66, "{doctor}");
    disk.plug_in();
    clone(&sandbox, &name, &["--skip-if-missing"]).assert_code(0).assert_no_log("Nothing is cloned");
}

#[test]
fn what_holds_no_filesystem_is_refused() {
    let sandbox = sandbox();
    let label = label();
    let swap = BareDisk::made(16, |device| {
        let made = Command::new("mkswap").args(["-q", "-L", &label]).arg(device).status().unwrap();
        assert!(made.success());
    });
    let name = format!("LABEL={label}");
    refused(&sandbox, &name, &[swap.device().to_str().unwrap(), "holds no filesystem, but swap"]);
    let empty = BareDisk::made(16, |_| {});
    let link = sandbox.path().join("link");
    std::os::unix::fs::symlink(empty.device(), &link).unwrap();
    // As udev makes such links; this machine has none.
    fs::create_dir_all("/dev/disk/by-id").unwrap();
    let by_id = format!("/dev/disk/by-id/{label}");
    std::os::unix::fs::symlink(empty.device(), &by_id).unwrap();
    let finished = refused(&sandbox, &by_id, &["holds no filesystem that blkid knows"]);
    fs::remove_file(&by_id).unwrap();
    assert!(finished.err.contains(empty.device().to_str().unwrap()));
    refused(&sandbox, &by_id, &["no disk of this machine has that name."]);
    assert_free(&swap);
    assert_free(&empty);
}

#[test]
fn a_damaged_filesystem_is_not_mounted() {
    let sandbox = sandbox();
    let disk = BareDisk::new("xfs", &[]);
    let name = uuid(&disk);
    // Its first block stays as it is; the roots of its trees do not.
    let wiped = Command::new("dd")
        .args(["if=/dev/urandom", "bs=4096", "seek=1", "count=200", "conv=notrunc,fsync", "status=none"])
        .arg(format!("of={}", disk.device().display()))
        .status()
        .unwrap();
    assert!(wiped.success());
    refused(&sandbox, &name, &["xfs"]);
    assert_free(&disk);
}

#[test]
fn a_mount_that_forbids_writing_is_waited_for_a_moment() {
    let sandbox = sandbox();
    let disk = BareDisk::new("ext4", &[]);
    let point = sandbox.path().join("point");
    fs::create_dir(&point).unwrap();
    let mount = || {
        let done = Command::new("mount").args(["-o", "ro"]).arg(disk.device()).arg(&point).status().unwrap();
        assert!(done.success());
    };
    let unmount = || assert!(Command::new("umount").arg(&point).status().unwrap().success());
    mount();
    let stays = clone(&sandbox, &uuid(&disk), &[]);
    assert!(stays.err.contains("it is in use, or mounted read-only elsewhere"), "{stays}");
    stays.assert_code(66);
    let words = arguments(&sandbox, &uuid(&disk), &[]);
    let child = sandbox.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Once it has left this namespace it tries to mount.
    let own = fs::read_link("/proc/self/ns/mnt").unwrap();
    let namespace = format!("/proc/{}/ns/mnt", child.id());
    assert!(wait_until(|| fs::read_link(&namespace).is_ok_and(|its| its != own)));
    unmount();
    Finished::from(child.wait_with_output().unwrap()).assert_code(0);
    assert_free(&disk);
}

#[test]
fn without_blkid_nothing_counts_as_missing() {
    let sandbox = sandbox();
    let disk = BareDisk::new("ext4", &[]);
    fs::remove_file(sandbox.host().join("tools/blkid")).unwrap();
    let finished = clone(&sandbox, &uuid(&disk), &["--skip-if-missing"]);
    finished.assert_code(66);
    assert!(finished.err.contains("blkid cannot be run (No such file or directory)"), "{finished}");
    sandbox.tool("blkid", "exit 4");
    let finished = clone(&sandbox, &uuid(&disk), &["--skip-if-missing"]);
    finished.assert_code(66);
    assert!(finished.err.contains("blkid failed on "), "{finished}");
}

#[test]
fn what_cannot_be_a_name_is_a_usage_error() {
    let sandbox = sandbox();
    for (destination, why) in [
        ("UUID=", "its value is empty"),
        ("UUID=../../etc", "a UUID has only letters, digits and hyphens"),
        ("LABEL=a\nb", "its value has characters that no label has"),
    ] {
        let finished = clone(&sandbox, destination, &[]);
        assert_eq!(finished.code, 2, "{finished}");
        assert!(finished.err.contains(why), "{finished}");
    }
    assert!(sandbox.logs().is_empty());
}

#[test]
fn a_directory_whose_name_looks_like_a_tag_is_given_as_a_path() {
    let sandbox = sandbox();
    fs::create_dir(sandbox.path().join("LABEL=x")).unwrap();
    let mut command = sandbox.command(arguments(&sandbox, "./LABEL=x", &[]));
    let finished = Finished::from(command.current_dir(sandbox.path()).output().unwrap());
    finished.assert_code(0);
    assert!(sandbox.path().join("LABEL=x/file").exists());
}

#[test]
fn a_device_by_its_number_is_refused_with_the_way_to_name_it() {
    let sandbox = sandbox();
    let disk = BareDisk::new("ext4", &[]);
    let path = disk.device().to_str().unwrap();
    refused(&sandbox, path, &["it is a block device, whose name may mean another one tomorrow", "UUID="]);
}

#[test]
fn the_running_system_is_refused_by_its_name_too() {
    let sandbox = sandbox();
    let root = Command::new("findmnt").args(["-n", "-o", "SOURCE", "/"]).output().unwrap();
    let root = String::from_utf8(root.stdout).unwrap();
    let probed =
        Command::new("blkid").args(["-p", "-o", "value", "-s", "UUID", root.trim()]).output().unwrap();
    let uuid = String::from_utf8(probed.stdout).unwrap();
    if uuid.trim().is_empty() {
        // A container's root is no block device.
        return;
    }
    let finished = clone(&sandbox, &format!("UUID={}", uuid.trim()), &["--adopt"]);
    assert_eq!(finished.code, 90, "{finished}");
    assert_no_private_path(&sandbox, &finished);
}

#[test]
fn an_output_on_the_disk_is_refused_though_it_is_mounted_elsewhere_too() {
    let sandbox = sandbox();
    let disk = BareDisk::new("ext4", &[]);
    disk.inside(|point| {
        let log = point.join("log");
        fs::create_dir(&log).unwrap();
        let finished = clone(&sandbox, &uuid(&disk), &["--log-dir", log.to_str().unwrap(), "--adopt"]);
        assert_eq!(finished.code, 2, "{finished}");
        assert!(finished.err.contains("--log-dir"), "{finished}");
        assert_eq!(fs::read_dir(&log).unwrap().count(), 0);
    });
}
