//! A mount at a given path, for the lifetime of the value.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A mount.
#[derive(Debug)]
pub struct Mounted(PathBuf);

impl Mounted {
    /// Bind-mounts a directory at a second path.
    pub fn bind(dir: &Path, at: &Path) -> Self {
        mount(Some(dir), at, None::<&OsStr>, MsFlags::MS_BIND, None::<&OsStr>).unwrap();
        Self(at.to_owned())
    }

    /// The same, read-only.
    pub fn bind_read_only(dir: &Path, at: &Path) -> Self {
        let mounted = Self::bind(dir, at);
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&OsStr>, at, None::<&OsStr>, flags, None::<&OsStr>).unwrap();
        mounted
    }

    /// An empty in-memory filesystem.
    pub fn tmpfs(at: &Path) -> Self {
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some("size=16m")).unwrap();
        Self(at.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = umount2(&self.0, MntFlags::MNT_DETACH) {
            eprintln!("{} stays mounted: {error}", self.0.display());
        }
    }
}
