//! Removes a whole tree, whatever its depth and names, and reports the space freed.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::fs::walk::{Visitor, walk};

/// The result of a removal.
#[derive(Debug, Default)]
pub struct Removal {
    /// The bytes freed on disk, counting only files whose last name was removed.
    pub freed: u64,
    /// The first entry that could not be removed, relative to the tree, and why.
    pub problem: Option<(PathBuf, io::Error)>,
}

struct Remover<'a> {
    removal: Removal,
    goes_on: &'a dyn Fn() -> bool,
}

impl Visitor for Remover<'_> {
    fn entry(&mut self, dir: &File, name: &OsStr) -> io::Result<()> {
        let stat = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        unlinkat(dir, name, UnlinkatFlags::NoRemoveDir)?;
        // Removing the last name of a file frees its space.
        if stat.st_nlink == 1 && stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits() {
            self.removal.freed += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        }
        Ok(())
    }

    fn leave(&mut self, above: &File, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(above, name, UnlinkatFlags::RemoveDir)?)
    }

    fn stops(&self) -> bool {
        !(self.goes_on)()
    }

    fn problem(&mut self, path: &Path, error: io::Error) {
        self.removal.problem.get_or_insert_with(|| (path.to_owned(), error));
    }
}

/// Removes the directory `name` and its contents, except for filesystems mounted there and the directories that hold
/// them.
///
/// Errors if the directory cannot be opened, or if `goes_on` stops the removal (`Interrupted`).
pub fn remove_tree(above: impl AsFd, name: &OsStr, goes_on: &dyn Fn() -> bool) -> io::Result<Removal> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let tree = openat(&above, name, flags, Mode::empty())?;
    if fstat(&tree)?.st_dev != fstat(&above)?.st_dev {
        return Err(io::Error::other("another filesystem is mounted there"));
    }
    let mut remover = Remover { removal: Removal::default(), goes_on };
    walk(&tree, &mut remover)?;
    let mut removal = remover.removal;
    if removal.problem.is_none() {
        removal.problem = match unlinkat(&above, name, UnlinkatFlags::RemoveDir) {
            Ok(()) => None,
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::EBUSY) => {
                let why = "another filesystem is mounted in it, or something was added to it meanwhile";
                Some((PathBuf::new(), io::Error::other(why)))
            }
            Err(error) => return Err(error.into()),
        };
    }
    Ok(removal)
}
