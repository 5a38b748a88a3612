//! What cannot be proven, and why: each is refused before anything is started.

use std::fs;
use std::path::Path;

use crate::prove::scene::{host, image, prove, uuid};
use crate::support::disk::{BareDisk, LoopDisk};
use crate::support::sandbox::{Finished, Sandbox};

#[track_caller]
fn refused(done: &Finished, code: i32, sentence: &str) {
    assert_eq!(
        (done.code, done.err.as_str()),
        (code, format!("counterpart: {sentence}\n").as_str()),
        "{done}"
    );
}

#[test]
fn a_missing_qemu_or_firmware_is_named_with_its_package() {
    let sandbox = host("");
    let image = image(&sandbox);
    let image = image.to_str().unwrap();
    refused(
        &prove(&sandbox, image, &["--firmware", "uefi"]),
        1,
        "UEFI firmware for QEMU (OVMF) was not found. Install it: ovmf on Debian and Ubuntu, edk2-ovmf on Fedora and \
         Arch, qemu-ovmf-x86_64 on openSUSE.",
    );
    fs::remove_file(sandbox.host().join("usr/bin/qemu-system-x86_64")).unwrap();
    let done =
        Finished::from(sandbox.command(["prove", "-d", image]).env("PATH", "/nonexistent").output().unwrap());
    refused(
        &done,
        1,
        "QEMU (qemu-system-x86_64) was not found. Install it: qemu-system-x86 on Debian, Ubuntu and Arch, \
         qemu-system-x86-core on Fedora, qemu-x86 on openSUSE.",
    );
}

#[test]
fn a_qemu_that_does_not_work_is_quoted() {
    let sandbox = host("");
    let image = image(&sandbox);
    let program = sandbox.host().join("usr/bin/qemu-system-x86_64");
    fs::write(&program, "#!/bin/sh\necho 'qemu: no \"q35\" here' >&2; exit 1\n").unwrap();
    let done = prove(&sandbox, image.to_str().unwrap(), &[]);
    refused(&done, 1, "QEMU cannot be used: qemu: no \"q35\" here.");
}

#[test]
fn what_is_no_disk_is_66() {
    let sandbox = host("");
    let missing = "UUID=00000000-0000-4000-8000-00000000abcd";
    refused(
        &prove(&sandbox, missing, &[]),
        66,
        &format!("{missing} cannot be proven: no such device is there."),
    );
    let dir = sandbox.source.to_str().unwrap();
    let done = prove(&sandbox, dir, &[]);
    assert_eq!(done.code, 66, "{done}");
    assert!(done.err.contains("it is a directory of the filesystem at /"), "{done}");
    refused(&prove(&sandbox, "/dev/null", &[]), 66, "/dev/null cannot be proven: it is not a block device.");
    let gone = sandbox.path().join("gone");
    let gone = gone.to_str().unwrap();
    refused(&prove(&sandbox, gone, &[]), 66, &format!("{gone} cannot be proven: No such file or directory."));
}

#[test]
fn two_devices_of_one_name_are_refused() {
    let sandbox = host("");
    let one = BareDisk::new("ext4", &[]);
    let other = BareDisk::of_image(&one.image());
    let done = prove(&sandbox, &uuid(&one), &[]);
    assert_eq!(done.code, 66, "{done}");
    assert!(done.err.contains("several devices have that name: /dev/loop"), "{done}");
    drop(other);
}

#[test]
fn a_disk_in_use_elsewhere_is_66_and_one_being_cloned_to_80() {
    let sandbox = host("");
    let disk = BareDisk::new("ext4", &[]);
    let point = sandbox.path().join("point");
    fs::create_dir(&point).unwrap();
    // Mounted where only another process sees it.
    let script = "mount \"$0\" \"$1\" && touch \"$2\" && read forever";
    let ready = sandbox.path().join("ready");
    let mut other = std::process::Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .args([disk.device(), Path::new(&point), &ready])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !ready.exists() {
        assert!(other.try_wait().unwrap().is_none(), "it cannot be mounted");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let done = prove(&sandbox, &uuid(&disk), &[]);
    drop(other.stdin.take());
    other.wait().unwrap();
    let name = uuid(&disk);
    let device = disk.device().display();
    let why = "another program, or mounted where only that sees it; close or unmount it first";
    refused(&done, 66, &format!("{name} cannot be proven: {device} is in use by {why}."));

    let mounted = LoopDisk::new("ext4", 64, &[], "");
    let pre = sandbox.script("wait", "touch \"$0.ready\"; while [ ! -e \"$0.go\" ]; do sleep 0.05; done");
    sandbox.write("file", "x");
    let clone = sandbox
        .command(["-s", sandbox.source.to_str().unwrap(), "-d", mounted.path().to_str().unwrap()])
        .args(["--pre-script", pre.to_str().unwrap()])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !sandbox.path().join("wait.ready").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let done = prove(&sandbox, mounted.path().to_str().unwrap(), &[]);
    fs::write(sandbox.path().join("wait.go"), "").unwrap();
    assert!(clone.wait_with_output().unwrap().status.success());
    let point = mounted.path().display();
    refused(&done, 80, &format!("Another Counterpart is cloning to {point}. Wait for it to finish."));
}

#[test]
fn wrong_words_are_2_and_a_mac_cannot() {
    let sandbox = host("");
    for words in [
        &["prove"][..],
        &["prove", "-d", "UUID="],
        &["prove", "-d", "/x", "--timeout", "0s"],
        &["prove", "-d", "/x", "--firmware", "coreboot"],
        &["prove", "-d", "/x", "--memory", "64"],
    ] {
        assert_eq!(sandbox.run(words).code, 2, "{words:?}");
    }
    let mac = Sandbox::mac("10.15.7");
    refused(
        &prove(&mac, "/Volumes/Clone", &[]),
        1,
        "A clone can be proven on Linux only: no virtual machine boots a copy of macOS.",
    );
}
