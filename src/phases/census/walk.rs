//! Walks a tree on one filesystem with a few threads; counting what it holds is one of its uses.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::dir::{Dir, Entry};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::libc::dev_t;
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};

use crate::host::encryption;
use crate::host::folder::{Folder, open_below, open_subfolder};
use crate::host::shared_work;
use crate::process::interrupts::Interrupts;
use crate::rsync::left_out::{LeftOut, Place};

/// Down to this depth a folder that waits is reached from its parent, which is held open for it; below, from the last
/// one that is. A job of launchd may have 256 files open.
const HELD: usize = 24;

/// What is done on a walk.
pub trait Visitor: Sync {
    /// What each thread gathers.
    type Kept: Default + Send;

    /// A directory has been opened, and its entries follow.
    fn enter(&self, _directory: &Directory<'_>, _kept: &mut Self::Kept) {}

    /// An entry that is not left out.
    fn see(&self, directory: &Directory<'_>, name: &CStr, stat: &FileStat, kept: &mut Self::Kept);

    /// All entries of a directory have been seen.
    fn leave(&self, _directory: &Directory<'_>, _kept: &mut Self::Kept) {}

    /// A directory that cannot be read, or an entry that cannot be looked at.
    fn unreadable(&self, _kept: &mut Self::Kept) {}
}

/// An open directory on the way.
pub struct Directory<'a> {
    /// The directory.
    pub file: &'a OwnedFd,
    /// Its path below the top, which is empty for the top itself.
    pub path: &'a Path,
    /// It is encrypted and its key is not there: its names are none, and nothing in it can be read.
    pub is_locked: bool,
    /// And so is the directory above it.
    pub is_inside_locked: bool,
    /// The number of the filesystem that is walked.
    pub device: dev_t,
    /// The patterns that go on in it.
    pub place: &'a Place<'a>,
}

/// Walks all that `folder` holds, without what is left out; returns what the threads have gathered, and what `folder`
/// itself is.
///
/// Like rsync's `--one-file-system` it sees a folder on which another filesystem is mounted, but not what is in it. Links
/// are not followed, and nothing but folders is opened. It ends early, with what it has, when a signal has asked us to
/// end. Errors when `folder` itself cannot be read.
pub fn walk<V: Visitor>(
    folder: &Folder,
    left_out: &LeftOut,
    interrupts: &Interrupts,
    visitor: &V,
) -> io::Result<(FileStat, Vec<V::Kept>)> {
    let root = Arc::new(open_subfolder(folder, c".")?);
    let stat = fstat(&*root)?;
    let walk = Walk { device: stat.st_dev, left_out, interrupts, visitor };
    let above = Above { base: root, way: Vec::new(), path: PathBuf::new() };
    let name = c".".to_owned();
    let top = Below { above: Arc::new(above), name, depth: 0, is_locked: false, place: left_out.top() };
    let kept = shared_work::share(top, interrupts, |below, found, kept: &mut V::Kept| {
        if walk.read(&below, kept, found).is_err_and(|error| !is_gone(&error)) {
            visitor.unreadable(kept);
        }
    });
    Ok((stat, kept))
}

/// A folder that is still to be read.
struct Below<'a> {
    above: Arc<Above>,
    name: CString,
    depth: usize,
    /// The folder above it is locked.
    is_locked: bool,
    place: Place<'a>,
}

/// The way to the folders in a folder: they share it, or a deep tree with many of them would take up the memory.
struct Above {
    /// An open folder above them.
    base: Arc<OwnedFd>,
    /// The names that lead from there to the folder that they are in.
    way: Vec<CString>,
    /// The path of that folder below the top.
    path: PathBuf,
}

impl Below<'_> {
    fn open(&self) -> io::Result<OwnedFd> {
        if self.above.way.is_empty() {
            return open_subfolder(&*self.above.base, &self.name);
        }
        open_subfolder(open_below(&*self.above.base, &self.above.way)?, &self.name)
    }

    fn path(&self) -> PathBuf {
        if self.depth == 0 {
            return PathBuf::new();
        }
        self.above.path.join(OsStr::from_bytes(self.name.to_bytes()))
    }

    /// The way to what is in this folder, which is open.
    fn way(&self, folder: &Arc<OwnedFd>, path: PathBuf) -> Above {
        if self.depth < HELD {
            return Above { base: Arc::clone(folder), way: Vec::new(), path };
        }
        let way = self.above.way.iter().chain([&self.name]).cloned().collect();
        Above { base: Arc::clone(&self.above.base), way, path }
    }
}

struct Walk<'a, V> {
    device: dev_t,
    left_out: &'a LeftOut,
    interrupts: &'a Interrupts,
    visitor: &'a V,
}

impl<'a, V: Visitor> Walk<'a, V> {
    /// Shows a folder's entries to the visitor, and notes the folders among them.
    fn read(&self, below: &Below<'a>, kept: &mut V::Kept, found: &mut Vec<Below<'a>>) -> io::Result<()> {
        let folder = Arc::new(below.open()?);
        let path = below.path();
        let is_locked = below.is_locked || encryption::is_locked(&folder);
        let directory = Directory {
            file: &folder,
            path: &path,
            is_locked,
            is_inside_locked: below.is_locked,
            device: self.device,
            place: &below.place,
        };
        let entries = Dir::from_fd(folder.as_fd().try_clone_to_owned()?)?;
        self.visitor.enter(&directory, kept);
        let mut above = None;
        for entry in entries {
            if self.interrupts.received().is_some() {
                break;
            }
            let entry = entry?;
            let name = entry.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            let Some(stat) = self.look(&folder, &entry, kept) else { continue };
            let is_folder = kind(&stat) == SFlag::S_IFDIR;
            if self.left_out.has(&below.place, name.to_bytes(), is_folder) {
                continue;
            }
            self.visitor.see(&directory, name, &stat, kept);
            if is_folder && stat.st_dev == self.device {
                let above = above.get_or_insert_with(|| Arc::new(below.way(&folder, path.clone())));
                found.push(Below {
                    above: Arc::clone(above),
                    name: name.to_owned(),
                    depth: below.depth + 1,
                    is_locked,
                    place: below.place.below(name.to_bytes()),
                });
            }
        }
        self.visitor.leave(&directory, kept);
        Ok(())
    }

    /// What an entry is; `None` for one that is gone, or that cannot be looked at and is counted as that.
    fn look(&self, folder: &OwnedFd, entry: &Entry, kept: &mut V::Kept) -> Option<FileStat> {
        match fstatat(folder, entry.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(stat),
            Err(Errno::ENOENT) => None,
            Err(_) => {
                self.visitor.unreadable(kept);
                None
            }
        }
    }
}

/// A live source: the folder was removed, or became something else, since its name was read.
fn is_gone(error: &io::Error) -> bool {
    [Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP]
        .iter()
        .any(|gone| error.raw_os_error() == Some(*gone as i32))
}

/// The type of an entry.
#[must_use]
pub fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}
