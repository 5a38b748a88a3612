//! A source and a destination on separate disks, and mounts at any path.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::support::disk::Tmpfs;
use crate::support::sandbox::{Finished, Sandbox};

/// Both ends on filesystems of their own, with something to clone.
pub struct Scene {
    /// The machine. Dropped first.
    pub sandbox: Sandbox,
    source: Tmpfs,
    destination: Tmpfs,
}

impl Scene {
    /// A source of some files and directories, cloned once.
    pub fn cloned() -> Self {
        let scene = Self::new();
        scene.sandbox.clone(&[]).assert_code(0).assert_err("");
        scene
    }

    /// The same, not cloned yet.
    pub fn new() -> Self {
        let (source, destination) = (Tmpfs::new("size=8m"), Tmpfs::new("size=8m"));
        let mut sandbox = Sandbox::new();
        source.path().clone_into(&mut sandbox.source);
        destination.path().clone_into(&mut sandbox.destination);
        for name in ["file", "sub/below", "other/deep/file"] {
            sandbox.write(name, name);
        }
        Self { sandbox, source, destination }
    }

    /// A pre-clone script.
    pub fn script(&self, body: &str) -> String {
        self.sandbox.script("script", body).to_str().unwrap().to_owned()
    }

    /// What is mounted there is gone; the directory below is empty.
    pub fn assert_unmounted(&self, point: &Path) {
        assert!([self.source.path(), self.destination.path()].contains(&point));
        assert_eq!(fs::read_dir(point).unwrap().count(), 0, "{}", point.display());
    }
}

/// Something mounted at a chosen place, until this is dropped.
pub struct At(PathBuf);

impl At {
    /// A filesystem in memory.
    pub fn tmpfs(point: &Path) -> Self {
        mount(Some("tmpfs"), point, Some("tmpfs"), MsFlags::empty(), Some("size=4m")).unwrap();
        Self(point.to_owned())
    }

    /// What is mounted there already.
    pub fn adopt(point: &Path) -> Self {
        Self(point.to_owned())
    }

    /// A file or directory at a second place.
    pub fn bind(original: &Path, point: &Path) -> Self {
        mount(Some(original), point, None::<&OsStr>, MsFlags::MS_BIND, None::<&OsStr>).unwrap();
        Self(point.to_owned())
    }
}

impl Drop for At {
    fn drop(&mut self) {
        // A script of the test may have done so.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// The content of a file of the clone.
pub fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

/// The names in a directory, in order.
pub fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The warnings of a run.
pub fn warnings(run: &Finished) -> Vec<&str> {
    run.messages().into_iter().filter_map(|line| line.strip_prefix("Warning: ")).collect()
}
