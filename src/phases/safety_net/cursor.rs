//! A position in a tree that moves by single names, so no path is too long and no link is followed.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::fs::dir::{Dir, FileIdentity};

/// The open directory, and the directories above it.
#[derive(Debug)]
pub struct Cursor {
    here: File,
    above: Vec<FileIdentity>,
}

impl Cursor {
    /// Starts at the root of a tree.
    pub fn new(root: &Dir) -> io::Result<Self> {
        Ok(Self { here: open(root, OsStr::new("."))?, above: Vec::new() })
    }

    /// The current directory.
    #[must_use]
    pub fn here(&self) -> &File {
        &self.here
    }

    /// Enters the directory `name`; returns false if there is none, or if it is a symbolic link.
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

    /// Goes back up and returns the directory it was in. Fails if that was moved meanwhile.
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
