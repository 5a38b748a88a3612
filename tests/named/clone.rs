//! Clones to filesystems that are mounted nowhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::named::scene::{
    arguments, assert_free, assert_no_private_path, clone, digest, label, mounts, sandbox, state, states,
    uuid,
};
use crate::support::disk::{BareDisk, LoopDisk, supported};
use crate::support::sandbox::{Sandbox, marks_of, wait_until};

/// A script that writes down what it and the test's own process see mounted.
fn witness(sandbox: &Sandbox, name: &str) -> String {
    let dir = sandbox.path().display();
    let test = std::process::id();
    let body = format!(
        "cat /proc/self/mounts >'{dir}/{name}-inside'; cat /proc/{test}/mounts >'{dir}/{name}-outside'\n\
         ls -A \"$COUNTERPART_DESTINATION\" >'{dir}/{name}-names'"
    );
    sandbox.script(name, &body).to_str().unwrap().to_owned()
}

#[test]
fn nobody_else_sees_the_disk_on_any_filesystem() {
    for kind in ["ext4", "xfs", "btrfs"] {
        assert!(supported(kind), "{kind}");
        let sandbox = sandbox();
        let disk = BareDisk::new(kind, &[]);
        let (before, after) = (witness(&sandbox, "before"), witness(&sandbox, "after"));
        let name = uuid(&disk);
        let finished = clone(&sandbox, &name, &["-p", &before, "-o", &after]);
        finished.assert_code(0).assert_no_warning().assert_err("");
        finished.assert_log(&format!("Destination: {name}\n"));
        finished.assert_log(&format!("{name} is {} ({kind}).\n", disk.device().display()));
        assert_no_private_path(&sandbox, &finished);
        for script in ["before", "after"] {
            let table = |side: &str| mounts(&sandbox.path().join(format!("{script}-{side}")), &disk);
            let inside = table("inside");
            assert_eq!(inside.len(), 1, "{inside:?}");
            for option in ["rw,", "nosuid", "nodev", "noatime"] {
                assert!(inside[0].contains(option), "{inside:?}");
            }
            assert_eq!(table("outside"), [] as [String; 0]);
        }
        let names = fs::read_to_string(sandbox.path().join("after-names")).unwrap();
        assert!(names.contains(".me.jedda.counterpart.completed\n") && names.contains("file\n"), "{names}");
        assert_free(&disk);
        disk.inside(|point| {
            assert_eq!(fs::read_to_string(point.join("dir/other")).unwrap(), "more");
            assert_eq!(marks_of(point), ["completed", "id", "stats"]);
        });
        let known = state(&sandbox);
        assert_eq!(known["destination"], name);
        assert_eq!(known["disks"][0]["filesystem"], disk.tag("UUID"));
        assert_eq!(known["disks"][0]["mount_point"], name);
    }
}

#[test]
fn the_next_run_knows_it_by_any_of_its_names() {
    let sandbox = sandbox();
    let label = label();
    let disk = BareDisk::new("ext4", &["-L", &label]);
    let name = uuid(&disk);
    clone(&sandbox, &name, &[]).assert_code(0);
    let id = disk.inside(|point| fs::read_to_string(point.join(".me.jedda.counterpart.id")).unwrap());
    let upper = name.replace("UUID=", "").to_uppercase();
    for (number, spelling) in [
        format!("LABEL={label}"),
        format!("/dev/disk/by-label/{label}"),
        format!("/dev/disk/by-uuid/{}", disk.tag("UUID")),
        format!("UUID=\"{upper}\""),
    ]
    .iter()
    .enumerate()
    {
        sandbox.write("file", &format!("content {number}"));
        let finished = clone(&sandbox, spelling, &["--safety-net"]);
        finished.assert_code(0).assert_err("");
        assert_no_private_path(&sandbox, &finished);
        finished.assert_log("What was deleted or overwritten is in the safety net ");
        let known = state(&sandbox);
        assert_eq!(
            (&known["destination"], known["disks"].as_array().unwrap().len()),
            (&name.clone().into(), 1)
        );
        disk.inside(|point| {
            assert_eq!(fs::read_to_string(point.join("file")).unwrap(), format!("content {number}"));
            assert_eq!(fs::read_to_string(point.join(".me.jedda.counterpart.id")).unwrap(), id);
        });
    }
    // Its label is known of it even when it is away.
    disk.unplug();
    let finished = clone(&sandbox, &format!("LABEL={label}"), &[]);
    finished.assert_code(66);
    assert_eq!(state(&sandbox)["last"]["exit_code"], 66);
    assert_eq!(state(&sandbox)["last_success"]["exit_code"], 0);
}

#[test]
fn its_path_when_it_is_mounted_is_the_same_clone() {
    let sandbox = sandbox();
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let path = disk.path().to_str().unwrap();
    let id = || fs::read_to_string(disk.path().join(".me.jedda.counterpart.id")).unwrap();
    clone(&sandbox, path, &[]).assert_code(0);
    let first = id();
    let probed = Command::new("blkid").args(["-p", "-o", "value", "-s", "UUID"]).arg(disk.device()).output();
    let name = format!("UUID={}", String::from_utf8(probed.unwrap().stdout).unwrap().trim());
    let finished = clone(&sandbox, &name, &[]);
    finished.assert_code(0).assert_log(&format!("It is also mounted at {path}, where others may change it."));
    assert_eq!(state(&sandbox)["destination"], name);
    // What was stored for the path is gone with it.
    let files = fs::read_dir(sandbox.host().join("state")).unwrap().map(|entry| entry.unwrap().file_name());
    let others: Vec<_> = files.filter(|file| !file.to_str().unwrap().starts_with("UUID")).collect();
    assert!(others.is_empty(), "{others:?}");
    for destination in [path, &name, path] {
        clone(&sandbox, destination, &[]).assert_code(0);
        let known = state(&sandbox);
        assert_eq!((&known["destination"], &known["spellings"][0]), (&name.clone().into(), &path.into()));
        assert_eq!(known["disks"].as_array().unwrap().len(), 1);
        assert_eq!(id(), first);
    }
    // Another disk in that place is another destination.
    let other = LoopDisk::new("ext4", 64, &[], "");
    let plugged = Command::new("mount").arg(other.device()).arg(disk.path()).status().unwrap();
    assert!(plugged.success());
    let finished = clone(&sandbox, path, &[]);
    let unplugged = Command::new("umount").arg(disk.path()).status().unwrap();
    assert!(unplugged.success());
    finished.assert_code(0);
    let known: Vec<String> =
        states(&sandbox).iter().map(|(_, state)| state["destination"].as_str().unwrap().to_owned()).collect();
    assert_eq!(known, [&*name, path]);
    // The directory below a disk that was named by its tag is not the disk.
    fs::remove_dir_all(sandbox.host().join("state")).unwrap();
    clone(&sandbox, &name, &[]).assert_code(0);
    clone(&sandbox, path, &[]).assert_code(0);
    let unmounted = Command::new("umount").arg(disk.path()).status().unwrap();
    assert!(unmounted.success());
    let finished = clone(&sandbox, path, &[]);
    disk.mount_again();
    finished.assert_code(88);
    assert!(finished.err.contains("Mount the disk"), "{finished}");
}

#[test]
fn whatever_kills_the_run_the_disk_is_free() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let sandbox = sandbox();
        let disk = BareDisk::new("ext4", &[]);
        let begun = sandbox.path().join("begun");
        let script = sandbox.script("wait", &format!("touch '{}'\nexec sleep 1000", begun.display()));
        let words = arguments(&sandbox, &uuid(&disk), &["-p", script.to_str().unwrap()]);
        let mut child = sandbox.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        assert!(wait_until(|| begun.exists()));
        assert!(!disk.is_free());
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        let status = child.wait().unwrap();
        let expected = if signal == Signal::SIGKILL { (Some(9), None) } else { (None, Some(20)) };
        assert_eq!((status.signal(), status.code()), expected);
        assert!(wait_until(|| disk.is_free()));
        assert_free(&disk);
        // The next run goes on where it ended.
        clone(&sandbox, &uuid(&disk), &[]).assert_code(0);
    }
}

#[test]
fn a_test_run_and_the_doctor_change_not_one_byte() {
    for kind in ["ext4", "xfs", "btrfs"] {
        let sandbox = sandbox();
        let disk = BareDisk::new(kind, &[]);
        let name = uuid(&disk);
        let before = digest(&disk);
        let finished = clone(&sandbox, &name, &["-t"]);
        finished.assert_code(70).assert_log("file");
        let source = sandbox.source.to_str().unwrap().to_owned();
        let doctor = sandbox.run(["doctor", "-s", &source, "-d", &name]);
        assert_eq!(doctor.code, 0, "{doctor}");
        let words = format!("{name} is {} ({kind}).", disk.device().display());
        assert!(
            doctor.out.contains(&words) && doctor.out.contains(&format!("{name} can be written.")),
            "{doctor}"
        );
        assert_no_private_path(&sandbox, &doctor);
        assert_free(&disk);
        assert_eq!(digest(&disk), before, "{kind}");
    }
}

#[test]
fn a_disk_that_was_not_unmounted_cleanly_is_told() {
    let sandbox = sandbox();
    let mounted = LoopDisk::new("ext4", 64, &[], "");
    fs::write(mounted.path().join("x"), "x").unwrap();
    let disk = BareDisk::of_image(&mounted.save());
    let device = mounted.device().to_owned();
    drop(mounted);
    assert_ne!(disk.device(), device);
    let name = uuid(&disk);
    let before = digest(&disk);
    let warning = format!("the filesystem {name}: it was not unmounted cleanly.");
    let source = sandbox.source.to_str().unwrap().to_owned();
    let doctor = sandbox.run(["doctor", "-s", &source, "-d", &name]);
    assert!(doctor.out.contains(&warning), "{doctor}");
    assert_eq!(digest(&disk), before, "not even the journal is written back");
    let finished = clone(&sandbox, &name, &["--adopt"]);
    finished.assert_code(0).assert_log(&format!("Warning: {warning}"));
    // Now it was.
    clone(&sandbox, &name, &[]).assert_code(0).assert_no_warning();
}

#[test]
fn a_filesystem_of_two_devices_is_one() {
    let sandbox = sandbox();
    let one = BareDisk::made(128, |_| {});
    let other = BareDisk::made(128, |_| {});
    let made =
        Command::new("mkfs.btrfs").args(["-q", "-f"]).args([one.device(), other.device()]).status().unwrap();
    assert!(made.success());
    clone(&sandbox, &uuid(&one), &[]).assert_code(0);
    assert_free(&one);
    assert_free(&other);
}

#[test]
fn a_partition_is_found_by_its_own_names() {
    let sandbox = sandbox();
    let label = label();
    let disk = BareDisk::made(64, |_| {});
    let table = sandbox.path().join("table");
    fs::write(&table, format!("label: gpt\nstart=2048,size=100000,name=\"{label}\"\n")).unwrap();
    let input = fs::File::open(&table).unwrap();
    let made =
        Command::new("sfdisk").args(["-q", "--no-reread"]).arg(disk.device()).stdin(input).status().unwrap();
    assert!(made.success());
    let known = Command::new("partx").arg("-u").arg(disk.device()).status().unwrap();
    assert!(known.success());
    let device = format!("{}p1", disk.device().display());
    let made = Command::new("mkfs.ext4").args(["-q", "-F", &device]).status().unwrap();
    assert!(made.success());
    let printed =
        Command::new("blkid").args(["-p", "-o", "value", "-s", "PART_ENTRY_UUID", &device]).output().unwrap();
    let part = String::from_utf8(printed.stdout).unwrap().trim().to_owned();
    for name in
        [format!("PARTUUID={part}"), format!("PARTLABEL={label}"), format!("/dev/disk/by-partlabel/{label}")]
    {
        let finished = clone(&sandbox, &name, &[]);
        finished.assert_code(0);
        assert!(finished.out.contains(&format!(" is {device} (ext4).")), "{finished}");
    }
    assert!(state(&sandbox)["destination"].as_str().unwrap().starts_with("UUID="));
    // The namespace of another test's rsync may still hold a copy of its mount.
    let is_gone = || Command::new("partx").arg("-d").arg(disk.device()).output().unwrap().status.success();
    assert!(wait_until(is_gone));
}

#[test]
fn devices_and_programs_on_the_disk_are_cloned_though_they_take_no_effect_there() {
    let sandbox = sandbox();
    sandbox.write("program", "#!/bin/sh\n");
    fs::set_permissions(sandbox.source.join("program"), fs::Permissions::from_mode(0o4755)).unwrap();
    let made = Command::new("mknod").arg(sandbox.source.join("null")).args(["c", "1", "3"]).status().unwrap();
    assert!(made.success());
    let disk = BareDisk::new("ext4", &[]);
    clone(&sandbox, &uuid(&disk), &[]).assert_code(0);
    disk.inside(|point: &Path| {
        use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
        assert_eq!(fs::metadata(point.join("program")).unwrap().mode() & 0o7777, 0o4755);
        let null = fs::metadata(point.join("null")).unwrap();
        assert!(null.file_type().is_char_device());
        assert_eq!(null.rdev(), 259);
    });
}

#[test]
fn it_is_unmounted_before_a_failure_is_reported() {
    let sandbox = sandbox();
    let disk = BareDisk::new("ext4", &[]);
    let fails = sandbox.script("fails", "exit 3");
    let dir = sandbox.path().display();
    let body =
        format!("cat /proc/self/mounts >'{dir}/mounts'; echo \"$COUNTERPART_DESTINATION\" >'{dir}/name'");
    let report = sandbox.script("report", &body);
    let more = ["-p", fails.to_str().unwrap(), "--strict-scripts", "--on-error", report.to_str().unwrap()];
    clone(&sandbox, &uuid(&disk), &more).assert_code(81);
    assert_eq!(mounts(&sandbox.path().join("mounts"), &disk), [] as [String; 0]);
    assert_eq!(fs::read_to_string(sandbox.path().join("name")).unwrap(), format!("{}\n", uuid(&disk)));
    assert_free(&disk);
    disk.inside(|point| assert_eq!(marks_of(point), ["error"]));
}
