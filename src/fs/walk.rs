//! Walks a tree through open directories and single names: however deep or hostile it is, no path is too long, no link
//! is followed, no other filesystem is entered, and only one directory is open at a time.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::dir::{Dir as Entries, Type};
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};

use crate::fs::file_identity::FileIdentity;

/// What to do at each entry of a walk.
pub trait Visitor {
    /// A directory was entered; the root comes first, with an empty name.
    fn enter(&mut self, _dir: &File, _name: &OsStr) -> io::Result<()> {
        Ok(())
    }

    /// Called for every entry of `directory` that is not a directory.
    fn entry(&mut self, _dir: &File, _name: &OsStr) -> io::Result<()> {
        Ok(())
    }

    /// Everything in the directory `name` was visited; `above` contains it. Not called for the root.
    fn leave(&mut self, _above: &File, _name: &OsStr) -> io::Result<()> {
        Ok(())
    }

    /// Whether to skip this entry of the root.
    fn leaves_out(&self, _name: &OsStr) -> bool {
        false
    }

    /// Whether to enter the directory of this name in the one that was entered last and not left.
    fn enters(&self, _name: &OsStr) -> bool {
        true
    }

    /// How many names of one directory may be held in memory. One with more is a problem (`OutOfMemory`), and not entered.
    fn most_names(&self) -> usize {
        usize::MAX
    }

    /// Whether to stop the walk here.
    fn stops(&self) -> bool {
        false
    }

    /// Reading `path`, relative to the root, or acting on it failed. The walk continues.
    fn problem(&mut self, path: &Path, error: io::Error);
}

/// A directory between the root and the current one.
struct Level {
    identity: FileIdentity,
    name: OsString,
    dirs: std::vec::IntoIter<OsString>,
}

/// Visits everything below `root`, the root itself first; in each directory other entries before subdirectories, both by name.
///
/// Errors if the root cannot be read, if the visitor stops the walk (`Interrupted`), or if the way back up is lost
/// because a directory was moved meanwhile.
pub fn walk(root: impl AsFd, visitor: &mut dyn Visitor) -> io::Result<()> {
    let mut here = open(root, OsStr::new("."))?;
    let root = identity(&here)?;
    let mut path = PathBuf::new();
    let mut levels = vec![arrive(&here, root, OsStr::new(""), &path, visitor)?];
    while let Some(level) = levels.last_mut() {
        if visitor.stops() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if let Some(name) = level.dirs.next() {
            if !visitor.enters(&name) {
                continue;
            }
            // The path is never copied: with a hundred thousand levels that would take minutes.
            path.push(&name);
            match open(&here, &name).and_then(|dir| Ok((identity(&dir)?, dir))) {
                // Something else is mounted there.
                Ok((found, _)) if found.device != root.device => {}
                Ok((found, dir)) => match arrive(&dir, found, &name, &path, visitor) {
                    Ok(level) => {
                        levels.push(level);
                        here = dir;
                        continue;
                    }
                    Err(error) => visitor.problem(&path, error),
                },
                Err(error) => visitor.problem(&path, error),
            }
            path.pop();
        } else if let (Some(done), Some(above)) = (levels.pop(), levels.last()) {
            here = climb(&here, above.identity)?;
            if let Err(error) = visitor.leave(&here, &done.name) {
                visitor.problem(&path, error);
            }
            path.pop();
        }
    }
    Ok(())
}

/// Opens a directory in another one, without following links.
fn open(above: impl AsFd, name: &OsStr) -> io::Result<File> {
    let flags =
        OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    Ok(File::from(openat(above, name, flags, Mode::empty())?))
}

fn identity(dir: &File) -> io::Result<FileIdentity> {
    dir.metadata().map(|metadata| FileIdentity::from(&metadata))
}

/// Goes back up to the directory we came from, and to no other.
fn climb(here: &File, expected: FileIdentity) -> io::Result<File> {
    let above = open(here, OsStr::new(".."))?;
    if identity(&above)? == expected {
        return Ok(above);
    }
    Err(io::Error::other("a directory was moved while it was read"))
}

/// Reads a directory and visits its entries, leaving subdirectories for later.
fn arrive(
    dir: &File,
    identity: FileIdentity,
    name: &OsStr,
    path: &Path,
    visitor: &mut dyn Visitor,
) -> io::Result<Level> {
    // Read all names first: removing entries while listing could make others be skipped.
    let entries = entries(dir, visitor.most_names())?;
    if let Err(error) = visitor.enter(dir, name) {
        visitor.problem(path, error);
    }
    let mut dirs = Vec::new();
    for (name, is_dir) in entries {
        if path.as_os_str().is_empty() && visitor.leaves_out(&name) {
            continue;
        }
        if is_dir {
            dirs.push(name);
        } else if let Err(error) = visitor.entry(dir, &name) {
            visitor.problem(&path.join(&name), error);
        }
    }
    Ok(Level { identity, name: name.to_owned(), dirs: dirs.into_iter() })
}

/// The names in a directory, sorted, and whether each is a directory.
fn entries(dir: &File, most: usize) -> io::Result<Vec<(OsString, bool)>> {
    let mut found = Vec::new();
    for entry in Entries::from_fd(open(dir, OsStr::new("."))?.into())?.iter() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let is_dir = match entry.file_type() {
            Some(kind) => kind == Type::Directory,
            // Some filesystems do not report the type.
            None => match fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(stat) => stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits(),
                Err(nix::errno::Errno::ENOENT) => continue,
                Err(error) => return Err(error.into()),
            },
        };
        if found.len() >= most {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        found.push((name.to_owned(), is_dir));
    }
    found.sort_unstable();
    Ok(found)
}
