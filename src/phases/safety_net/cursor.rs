//! A place in a tree that is moved by single names, so that no path is too long and no link is followed.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::fs::dir::{Dir, FileIdentity};

/// The open directory, and which ones are above it.
#[derive(Debug)]
pub struct Cursor {
    here: File,
    above: Vec<FileIdentity>,
}

impl Cursor {
    /// At the top of a tree.
    pub fn new(root: &Dir) -> io::Result<Self> {
        Ok(Self { here: open(root, OsStr::new("."))?, above: Vec::new() })
    }

    /// The directory.
    #[must_use]
    pub fn here(&self) -> &File {
        &self.here
    }

    /// Goes into the directory `name`; false if there is none, a link to one included.
    pub fn enter(&mut self, name: &OsStr) -> io::Result<bool> {
        let below = match open(&self.here, name) {
            Ok(below) => below,
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        self.above.push(FileIdentity::from(&self.here.metadata()?));
        self.here = below;
        Ok(true)
    }

    /// Goes back up, and returns the directory that it was in. Errors when that was moved meanwhile.
    pub fn leave(&mut self) -> io::Result<File> {
        let above = open(&self.here, OsStr::new(".."))?;
        if self.above.pop() != Some(FileIdentity::from(&above.metadata()?)) {
            return Err(io::Error::other("a directory was moved meanwhile"));
        }
        Ok(std::mem::replace(&mut self.here, above))
    }
}

fn open(above: impl AsFd, name: &OsStr) -> Result<File, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(above, name, flags, Mode::empty()).map(File::from)
}
