//! A btrfs with its usual subvolumes: those that are mounted are part of the clone, others are not.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::filesystems::scene::{At, names};
use crate::support::audit::{Options, assert_same};
use crate::support::disk::LoopDisk;
use crate::support::sandbox::Sandbox;

fn btrfs(arguments: &[&str], path: &Path) {
    let made = Command::new("btrfs").args(["-q", "subvolume"]).args(arguments).arg(path).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

struct Machine {
    sandbox: Sandbox,
    home: Option<At>,
    _root: At,
    disk: LoopDisk,
    _clone: LoopDisk,
}

impl Machine {
    fn new(clone: &str) -> Self {
        let disk = LoopDisk::new("btrfs", 160, &["--mixed"], "");
        for name in ["@", "@home"] {
            btrfs(&["create"], &disk.path().join(name));
        }
        let clone = LoopDisk::new(clone, 160, &[], "");
        let mut sandbox = Sandbox::new();
        sandbox.source = sandbox.path().join("root");
        clone.path().clone_into(&mut sandbox.destination);
        let root = At::disk(&disk, "btrfs", &sandbox.source, "subvol=@");
        let home = Some(At::disk(&disk, "btrfs", &sandbox.source.join("home"), "subvol=@home"));
        for name in ["etc/fstab", "home/user/file"] {
            sandbox.write(name, name);
        }
        Self { sandbox, home, _root: root, disk, _clone: clone }
    }
}

#[test]
fn mounted_subvolumes_are_part_and_others_keep_their_copies() {
    let mut machine = Machine::new("ext4");
    let sandbox = &machine.sandbox;
    sandbox.write("home/user/nested/early", "");
    sandbox.write("var/early", "");
    let run = sandbox.clone(&["--filesystems", "all"]);
    run.assert_code(0).assert_err("").assert_no_warning();
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    // They become subvolumes: nothing of them is cloned, and nothing of their copies deleted.
    for path in ["home/user/nested", "var"] {
        fs::remove_dir_all(sandbox.source.join(path)).unwrap();
        btrfs(&["create"], &sandbox.source.join(path));
        sandbox.write(format!("{path}/late"), "");
    }
    for options in [&["--filesystems", "all"][..], &["--filesystems", "all", "--full"]] {
        let run = sandbox.clone(options);
        run.assert_code(0).assert_err("");
        for path in ["home/user/nested", "var"] {
            let shown = sandbox.source.join(path);
            run.assert_log(&format!("{} is another filesystem (a subvolume) and is not", shown.display()));
            assert_eq!(names(&sandbox.destination.join(path)), ["early"], "{path}");
        }
    }
    machine.home = None;
    machine.sandbox.clone(&["--filesystems", "all"]).assert_code(76);
}

#[test]
fn a_snapshot_of_the_root_inside_a_mounted_subvolume_is_not_the_root_again() {
    let machine = Machine::new("ext4");
    let sandbox = &machine.sandbox;
    // As openSUSE has it: the running root is itself a subvolume in one that is mounted below it.
    let inner = machine.disk.path().join("@home/snapshots");
    fs::create_dir(&inner).unwrap();
    btrfs(&["snapshot", machine.disk.path().join("@").to_str().unwrap()], &inner.join("1"));
    let top = At::disk(&machine.disk, "btrfs", &sandbox.source.join("top"), "subvolid=5");
    let run = sandbox.clone(&["--filesystems", "all"]);
    run.assert_code(0).assert_err("");
    // The top of the disk holds the root's and the home's subvolumes, which are cloned in their places only.
    assert_eq!(names(&sandbox.destination.join("top")), ["@", "@home"]);
    assert_eq!(names(&sandbox.destination.join("top/@")), [] as [&str; 0]);
    assert_eq!(names(&sandbox.destination.join("top/@home")), [] as [&str; 0]);
    assert_eq!(names(&sandbox.destination.join("home/snapshots/1")), [] as [&str; 0]);
    assert!(sandbox.destination.join("home/user/file").exists());
    drop(top);
}

#[test]
fn a_destination_with_subvolumes_of_its_own_is_refused() {
    let machine = Machine::new("btrfs");
    let sandbox = &machine.sandbox;
    btrfs(&["create"], &sandbox.destination.join("own"));
    fs::write(sandbox.destination.join("own/file"), "").unwrap();
    let run = sandbox.clone(&["--filesystems", "all", "--adopt"]);
    run.assert_code(66);
    assert!(run.err.contains("it has filesystems or subvolumes of its own in it"), "{run}");
    assert_eq!(names(&sandbox.destination.join("own")), ["file"]);
}
