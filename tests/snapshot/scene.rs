//! A machine whose root and /home are subvolumes of one btrfs, and a disk for its clone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::Value;

use crate::support::disk::LoopDisk;
use crate::support::sandbox::Sandbox;

/// The directory of our snapshots at the top of a filesystem.
pub const PLACE: &str = ".counterpart.snapshots";

/// The options of a run that must have a snapshot.
pub const REQUIRED: [&str; 2] = ["--snapshot", "require"];

/// A subvolume at a second place, until this is dropped.
pub struct At(PathBuf);

impl Drop for At {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// The machine.
pub struct Machine {
    /// Where it runs. Dropped first.
    pub sandbox: Sandbox,
    _home: At,
    _root: At,
    disk: LoopDisk,
    _clone: LoopDisk,
}

/// Runs `btrfs subvolume`.
pub fn btrfs(arguments: &[&str], path: &Path) {
    let made = Command::new("btrfs").args(["-q", "subvolume"]).args(arguments).arg(path).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

impl Machine {
    pub fn new() -> Self {
        let disk = LoopDisk::new("btrfs", 200, &["--mixed"], "");
        for name in ["@", "@home"] {
            btrfs(&["create"], &disk.path().join(name));
        }
        let clone = LoopDisk::new("ext4", 160, &[], "");
        let mut sandbox = Sandbox::new();
        sandbox.source = sandbox.path().join("root");
        clone.path().clone_into(&mut sandbox.destination);
        let place = |point: &Path, options: &str| {
            fs::create_dir_all(point).unwrap();
            mount(Some(disk.device()), point, Some("btrfs"), MsFlags::empty(), Some(options)).unwrap();
            At(point.to_owned())
        };
        let root = place(&sandbox.source, "subvol=@");
        let home = place(&sandbox.source.join("home"), "subvol=@home");
        for name in ["etc/fstab", "etc/changing", "home/user/file"] {
            sandbox.write(name, "then");
        }
        Self { sandbox, _home: home, _root: root, disk, _clone: clone }
    }

    /// The top of the filesystem, where no user looks.
    pub fn top(&self) -> &Path {
        self.disk.path()
    }

    /// The names of our snapshots.
    pub fn snapshots(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.top().join(PLACE)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The UUID of its filesystem.
    pub fn uuid(&self) -> String {
        self.disk.tag("UUID")
    }

    /// Asserts that nothing of a snapshot is left, on the disk or in the state.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        assert!(!self.top().join(PLACE).exists(), "{:?}", self.snapshots());
        assert_eq!(self.known(), Value::Array(Vec::new()));
    }

    /// The snapshots that the machine's state of the clone knows.
    pub fn known(&self) -> Value {
        let state = fs::read(self.sandbox.state_file("json")).unwrap();
        serde_json::from_slice::<Value>(&state).unwrap()["snapshots"].clone()
    }
}
