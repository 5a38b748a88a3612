//! Real boots: disks with Debian are proven in QEMU, whole ones and broken ones, and a guest does what this machine may not be able
//! to do. A program of its own, for it takes minutes.
//!
//! It makes a Debian from the archive once, in `target/boot`, unless `COUNTERPART_BOOT_TAR` names one. Only
//! `COUNTERPART_SKIP_BOOT=1` leaves it out.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]
#![cfg(target_os = "linux")]

mod support;

#[path = "boot/machine.rs"]
mod machine;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use counterpart::fs::location::Location;
use counterpart::marker::Prefix;
use counterpart::record::Moment;
use counterpart::state::{Disk, State, Store};
use machine::{Attached, Machine, digest, is_skipped, leftovers, say_in_guest, wait_for_guest};

/// The state of a clone to the filesystem with this UUID, as a clone would have left it.
fn remember(state_dir: &Path, uuid: &str) {
    let seen = Moment { rfc3339: "2026-11-27T01:02:03+00:00".to_owned(), epoch: 1_795_741_323 };
    let destination = Path::new("/mnt/clone");
    let mut state = State::new(destination, &Prefix::default());
    state.see(Disk {
        id: "id".to_owned(),
        filesystem: Some(uuid.to_owned()),
        mount_point: "/mnt/clone".to_owned(),
        host: "host".to_owned(),
        source: "/".to_owned(),
        source_filesystem: None,
        source_mount_point: None,
        source_parts: Vec::new(),
        complete: None,
        proven: None,
        reading: None,
        first_seen: seen.clone(),
        last_seen: seen,
    });
    Store::new(state_dir).save(&Location::unresolved(destination), &Prefix::default(), &state).unwrap();
}

/// The state again.
fn recall(state_dir: &Path) -> State {
    Store::new(state_dir)
        .load(&Location::unresolved(Path::new("/mnt/clone")), &Prefix::default())
        .unwrap()
        .unwrap()
}

/// Guests are started one after the other, so that no two share two processors.
static TURN: Mutex<()> = Mutex::new(());

/// A guest's kernel has device-mapper, which this machine's may lack.
#[test]
fn volumes_are_cloned_from_snapshots_and_bad_blocks_are_found() {
    if is_skipped() {
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let script = include_str!("boot/volumes.sh");
    let said = say_in_guest(&Machine::new(), script, &[800, 400]);
    let cases: Vec<String> = script
        .lines()
        .filter_map(|line| line.strip_prefix("begin "))
        .map(|name| format!("ok {name}\n"))
        .collect();
    assert!(cases.len() > 10);
    assert_eq!(said, cases.concat() + "ended with 0\n");
}

#[test]
fn clones_are_proven() {
    if is_skipped() {
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let machine = Machine::new();
    let whole = machine.disk("whole");
    whole_one_boots(&machine, &whole);
    interrupted_one_leaves_nothing(&machine, &whole);
    for (how, reasons) in [
        ("no-boot-code", &["the disk has no boot loader that a BIOS could start"][..]),
        ("no-modules", &["GRUB does not find its own files (grub rescue): error: "]),
        ("no-initrd", &["its kernel panics: ", "Unable to mount root fs"]),
        (
            "wrong-fstab",
            &[
                "fstab names UUID=deadbeef-0000-4000-8000-000000000000 for /, which is not on the clone's disk",
            ],
        ),
    ] {
        broken_one_does_not_boot(&machine, &whole, how, reasons);
    }
}

/// By the UUID of its filesystem; the disk is not written, and belongs to QEMU alone meanwhile.
fn whole_one_boots(machine: &Machine, image: &Path) {
    let before = digest(image);
    let attached = Attached::new(image);
    let uuid = attached.uuid();
    remember(&machine.state_dir(), &uuid);
    let child = machine
        .command(&["prove", "-d", &format!("UUID={uuid}"), "--bus", "virtio"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let qemu = wait_for_guest(child.id());
    let owner = fs::metadata(format!("/proc/{qemu}")).unwrap().uid();
    assert!((61_184..=65_519).contains(&owner), "QEMU runs as {owner}");
    let point = machine.path("point");
    fs::create_dir_all(&point).unwrap();
    let mount = Command::new("mount").arg(attached.partition()).arg(&point).output().unwrap();
    assert!(!mount.status.success(), "a disk that is being proven can be mounted");
    let output = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("by BIOS in QEMU ("), "{out}");
    assert!(out.contains("The clone boots: Linux 6."), "{out}");
    assert!(out.contains(" no failed units. Its root and all of its fstab are on its own disk.\n"), "{out}");
    assert!(!out.contains("not recorded"), "{out}");
    drop(attached);
    assert_eq!(digest(image), before, "the disk was written to");
    assert_eq!(leftovers(), [""; 0]);
    let state = recall(&machine.state_dir());
    let proof = state.proof.unwrap();
    assert!(proof.booted && proof.compared && proof.reason.is_none(), "{proof:?}");
    assert_eq!((proof.firmware.as_str(), state.proven), ("BIOS", Some(proof.at)));
}

fn broken_one_does_not_boot(machine: &Machine, whole: &Path, how: &str, reasons: &[&str]) {
    let image = machine.broken(whole, how);
    let logs = machine.path(&format!("logs-{how}"));
    let path = image.to_str().unwrap();
    let output = machine
        .command(&["prove", "-d", path, "--bus", "virtio", "--log-dir", logs.to_str().unwrap()])
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(79), "{how}: {err}");
    assert!(err.starts_with(&format!("counterpart: The clone on {path} did not boot: ")), "{how}: {err}");
    for reason in reasons {
        assert!(err.contains(reason), "{how}: {err}");
    }
    let mut saved: Vec<_> = fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().path()).collect();
    saved.sort();
    let [png, txt] = saved.as_slice() else { panic!("{how}: {saved:?}") };
    assert!(err.contains(png.to_str().unwrap()) && err.contains(txt.to_str().unwrap()), "{how}: {err}");
    assert!(fs::read(png).unwrap().starts_with(b"\x89PNG"), "{how}");
    assert!(fs::read_to_string(txt).unwrap().contains("Serial console:"), "{how}");
    assert_eq!(leftovers(), [""; 0], "{how}");
    fs::remove_file(image).unwrap();
}

/// Ctrl-C ends the guest and removes what was made for it; `kill -9` ends the guest.
fn interrupted_one_leaves_nothing(machine: &Machine, image: &Path) {
    let start = || {
        let child = machine
            .command(&["prove", "-d", image.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let qemu = wait_for_guest(child.id());
        (child, qemu)
    };
    let (child, qemu) = start();
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signal.success());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(20), "{err}");
    assert_eq!(err, "counterpart: Interrupted (SIGINT): nothing is proven.\n");
    assert!(!Path::new(&format!("/proc/{qemu}")).exists(), "the guest goes on");
    assert_eq!(leftovers(), [""; 0]);
    let (mut child, qemu) = start();
    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while Path::new(&format!("/proc/{qemu}")).exists() {
        assert!(Instant::now() < deadline, "the guest goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
}
