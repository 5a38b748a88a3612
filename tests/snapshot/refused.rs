//! Where no snapshot can be taken.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use crate::snapshot::scene::{Machine, PLACE, REQUIRED};
use crate::support::mounted::Mounted;
use crate::support::nobody;
use crate::support::sandbox::Sandbox;
use crate::support::scene::assert_failure;

fn sentence(sandbox: &Sandbox, why: &str) -> String {
    format!(
        "No snapshot could be taken of the source {}: {why}. Nothing was cloned. --snapshot never clones it while it \
         changes.",
        sandbox.source.display()
    )
}

#[test]
fn another_filesystem_is_77_if_one_is_required() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let run = sandbox.clone(&REQUIRED);
    assert_failure(&sandbox, &run, 77, &sentence(&sandbox, "it is neither on btrfs nor on LVM"), &["error"]);
    assert!(!sandbox.destination.join("file").exists());
    assert_eq!(sandbox.record().unwrap()["exit_code"], 77);
    sandbox.clone(&["--snapshot", "never"]).assert_code(0).assert_err("");
}

#[test]
fn a_user_without_rights_gets_none() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    for dir in [&sandbox.source, &sandbox.destination] {
        nobody::give(dir);
    }
    let run = nobody::clone(&sandbox, &REQUIRED);
    run.assert_code(77);
    assert!(run.err.contains("that takes root and Linux 5.10"), "{run}");
}

#[test]
fn a_directory_of_a_user_in_the_place_of_ours_is_not_touched() {
    let machine = Machine::new();
    let sandbox = &machine.sandbox;
    let place = machine.top().join(PLACE);
    fs::create_dir(&place).unwrap();
    for (mode, owner) in [(0o755, 0), (0o700, 65534)] {
        fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(&place, Some(owner), None).unwrap();
        let run = sandbox.clone(&REQUIRED);
        let why = format!("{PLACE} at its top was not made by Counterpart");
        assert_failure(sandbox, &run, 77, &sentence(sandbox, &why), &["error"]);
        assert!(machine.snapshots().is_empty());
    }
    fs::remove_dir(&place).unwrap();
    // A link would lead elsewhere.
    let elsewhere = machine.top().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink("elsewhere", &place).unwrap();
    sandbox.clone(&REQUIRED).assert_code(77);
    assert!(elsewhere.read_dir().unwrap().next().is_none());
}

/// A swap file that is in use until this is dropped.
struct Swap(PathBuf);

impl Swap {
    fn on(path: PathBuf) -> Self {
        let shown = path.display();
        let body = format!(
            "touch '{shown}' && chattr +C '{shown}' && chmod 600 '{shown}' && dd if=/dev/zero of='{shown}' bs=1M count=8 && \
             mkswap '{shown}' && swapon '{shown}'"
        );
        let made = Command::new("sh").args(["-c", &body]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        Self(path)
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        let _ = Command::new("swapoff").arg(&self.0).status();
    }
}

#[test]
fn a_subvolume_with_a_swap_file_in_use_cannot_be_frozen() {
    let machine = Machine::new();
    let swap = Swap::on(machine.sandbox.source.join("swap"));
    let run = machine.sandbox.clone(&REQUIRED);
    let why = "a swap file is in use in its subvolume; keep that in a subvolume of its own";
    assert_failure(&machine.sandbox, &run, 77, &sentence(&machine.sandbox, why), &["error"]);
    machine.assert_nothing_left();
    drop(swap);
    machine.sandbox.clone(&REQUIRED).assert_code(0).assert_err("");
}

#[test]
fn a_part_of_a_subvolume_has_no_top() {
    let mut machine = Machine::new();
    machine.sandbox.write("srv/data/file", "content");
    let point = machine.sandbox.path().join("bound");
    fs::create_dir(&point).unwrap();
    let bound = Mounted::bind(&machine.sandbox.source.join("srv"), &point);
    machine.sandbox.source = point.join("data");
    let run = machine.sandbox.clone(&REQUIRED);
    let why = format!("{}: only a part of its subvolume is mounted there", machine.sandbox.source.display());
    assert_failure(&machine.sandbox, &run, 77, &sentence(&machine.sandbox, &why), &["error"]);
    drop(bound);
}
