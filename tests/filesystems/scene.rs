//! A machine with filesystems of its own for its root, /boot and /home, and a disk for its clone.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::support::audit::{Options, assert_same};
use crate::support::disk::LoopDisk;
use crate::support::sandbox::{Finished, Sandbox};
use crate::support::tree::many_files;

/// A disk at a second place, until this is dropped.
pub struct At(PathBuf);

impl At {
    /// Mounts the filesystem of a disk.
    pub fn disk(disk: &LoopDisk, kind: &str, point: &Path, options: &str) -> Self {
        fs::create_dir_all(point).unwrap();
        mount(Some(disk.device()), point, Some(kind), MsFlags::empty(), Some(options)).unwrap();
        Self(point.to_owned())
    }

    /// Mounts one in memory.
    pub fn tmpfs(point: &Path) -> Self {
        fs::create_dir_all(point).unwrap();
        mount(Some("tmpfs"), point, Some("tmpfs"), MsFlags::empty(), Some("size=4m")).unwrap();
        Self(point.to_owned())
    }

    /// Shows a directory at a second place.
    pub fn bind(original: &Path, point: &Path) -> Self {
        fs::create_dir_all(point).unwrap();
        mount(Some(original), point, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
        Self(point.to_owned())
    }

    /// What is mounted there already, or will be.
    pub fn adopt(point: &Path) -> Self {
        Self(point.to_owned())
    }
}

impl Drop for At {
    fn drop(&mut self) {
        // A script of the test may have done so.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// The machine.
pub struct Machine {
    /// Where it runs. Dropped first.
    pub sandbox: Sandbox,
    pub boot: Option<At>,
    pub home: Option<At>,
    pub boot_disk: LoopDisk,
    pub home_disk: LoopDisk,
    _root: LoopDisk,
    _clone: LoopDisk,
}

impl Machine {
    /// An ext4 root with an ext4 /boot and a /home of this kind.
    pub fn new(home: &str) -> Self {
        let size = if home == "xfs" { 320 } else { 64 };
        let (root, clone) = (LoopDisk::new("ext4", 64, &[], ""), LoopDisk::new("ext4", 160, &[], ""));
        let (boot_disk, home_disk) = (LoopDisk::new("ext4", 64, &[], ""), LoopDisk::new(home, size, &[], ""));
        let mut sandbox = Sandbox::new();
        root.path().clone_into(&mut sandbox.source);
        clone.path().clone_into(&mut sandbox.destination);
        let boot = Some(At::disk(&boot_disk, "ext4", &sandbox.source.join("boot"), ""));
        let home = Some(At::disk(&home_disk, home, &sandbox.source.join("home"), ""));
        for name in ["etc/fstab", "boot/vmlinuz", "boot/grub/grub.cfg", "home/user/file"] {
            sandbox.write(name, name);
        }
        Self { sandbox, boot, home, boot_disk, home_disk, _root: root, _clone: clone }
    }

    /// The same, with so many files that quick passes are worth it.
    pub fn large(home: &str) -> Self {
        let machine = Self::new(home);
        many_files(&machine.sandbox.source.join("usr"), 300, 10);
        many_files(&machine.sandbox.source.join("home/many"), 1200, 10);
        machine
    }

    /// A path of the source.
    pub fn source(&self, path: &str) -> PathBuf {
        self.sandbox.source.join(path)
    }

    /// A path of the clone.
    pub fn copy(&self, path: &str) -> PathBuf {
        self.sandbox.destination.join(path)
    }

    /// Clones all of it, without a complaint.
    #[track_caller]
    pub fn clone_all(&self) -> Finished {
        let run = self.sandbox.clone(&["--filesystems", "all"]);
        run.assert_code(0).assert_err("");
        run
    }

    /// The clone holds exactly what the source shows, whatever it is mounted from.
    #[track_caller]
    pub fn assert_whole(&self) {
        assert_same(&self.sandbox.source, &self.sandbox.destination, &Options::default());
    }
}

/// The names in a directory, in order.
pub fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
