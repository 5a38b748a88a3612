//! A snapshot of a filesystem, seen through a mount in no namespace.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::fs::dir::Dir;
use crate::volume::detached;

/// A snapshot.
#[derive(Debug)]
pub struct Snapshot {
    /// The mount.
    pub tree: OwnedFd,
    /// Where the directory is in it that it was taken for.
    pub inside: PathBuf,
}

impl Snapshot {
    /// Checks that it holds the directory with this inode there, whose copy in a snapshot has the same.
    pub fn ensure_holds(self, inode: u64) -> io::Result<Self> {
        let top = Dir::adopt(&detached::top(&self.tree)?, Path::new("/"))?;
        if top.enter_path(&self.inside)?.metadata()?.ino() == inode {
            return Ok(self);
        }
        Err(io::Error::other("the directory was moved meanwhile"))
    }
}
