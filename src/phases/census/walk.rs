//! Walks a tree on one filesystem with a few threads, for counting among other things.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::dir::{Dir as Entries, Entry};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::libc::dev_t;
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};

use crate::fs::dir::{Dir, is_held, is_too_long, open_below, open_subdir};
use crate::fs::encryption;
use crate::process::interrupts::Interrupts;
use crate::rsync::filter::matcher::{LeftOut, Place};
use crate::tree::parallel;

/// What to do during a walk.
pub trait Visitor: Sync {
    /// What each thread gathers.
    type Kept: Default + Send;

    /// A directory was opened; its entries follow.
    fn enter(&self, _directory: &Directory<'_>, _kept: &mut Self::Kept) {}

    /// An entry that is not left out.
    fn see(&self, directory: &Directory<'_>, name: &CStr, stat: &FileStat, kept: &mut Self::Kept);

    /// All entries of a directory were seen.
    fn leave(&self, _directory: &Directory<'_>, _kept: &mut Self::Kept) {}

    /// A directory that cannot be read, or an entry that cannot be examined.
    fn unreadable(&self, _kept: &mut Self::Kept) {}
}

/// A directory that is open during the walk.
pub struct Directory<'a> {
    /// The directory.
    pub file: &'a OwnedFd,
    /// Its path relative to the root, which itself is empty.
    pub path: &'a Path,
    /// It is encrypted and its key is not loaded: its names are not real, and nothing in it can be read.
    pub is_locked: bool,
    /// The directory above it is locked as well.
    pub is_inside_locked: bool,
    /// The device number of the filesystem that is walked.
    pub device: dev_t,
    /// The exclusion patterns that apply in it.
    pub place: &'a Place,
}

/// Walks everything below `directory` except what is left out; returns what the threads have gathered, and the metadata
/// of `directory` itself.
///
/// Like rsync's `--one-file-system`, it sees a directory on which another filesystem is mounted but not its contents.
/// It follows no links and opens only directories. It ends early, with what it has, when a signal asks us to stop.
/// Fails if `directory` itself cannot be read.
pub fn walk<V: Visitor>(
    dir: &Dir,
    left_out: &LeftOut,
    interrupts: &Interrupts,
    visitor: &V,
) -> io::Result<(FileStat, Vec<V::Kept>)> {
    let root = Arc::new(open_subdir(dir, c".")?);
    let stat = fstat(&*root)?;
    let walk = Walk { device: stat.st_dev, left_out, interrupts, visitor };
    let above = Above { base: root, way: Vec::new(), path: PathBuf::new(), place: Place::default() };
    let mut top = Below { above: Arc::new(above), names: Names::default(), depth: 0, is_locked: false };
    top.names.add(c".")?;
    let kept = parallel::share(top, interrupts, |mut below, found, kept: &mut V::Kept| {
        let Some(name) = below.names.take() else { return };
        let mut below_it = Vec::new();
        if walk.read(&below, &name, kept, &mut below_it).is_err_and(|error| !is_gone(&error)) {
            visitor.unreadable(kept);
        }
        // Work to be done last goes to the bottom of the stack.
        if !below.names.is_empty() {
            found.push(below);
        }
        found.append(&mut below_it);
    });
    Ok((stat, kept))
}

/// Subdirectories of one directory that are still to be read.
struct Below {
    above: Arc<Above>,
    names: Names,
    depth: usize,
    /// The directory above them is locked.
    is_locked: bool,
}

/// The path to a directory's subdirectories, shared by them: copies would fill the memory in a deep tree.
struct Above {
    /// An open directory above them.
    base: Arc<OwnedFd>,
    /// The names that lead from there to their parent directory.
    way: Vec<CString>,
    /// The path of that directory relative to the root.
    path: PathBuf,
    place: Place,
}

/// Up to this many subdirectories are queued one by one for the other threads; any more are queued in groups.
const ALONE: usize = 256;

/// How many are queued in one group.
const TOGETHER: usize = 64;

/// Names stored compactly: one directory may hold millions of directories.
#[derive(Default)]
struct Names {
    /// The names, each with a trailing zero byte.
    bytes: Vec<u8>,
    count: usize,
}

impl Names {
    fn add(&mut self, name: &CStr) -> io::Result<()> {
        let name = name.to_bytes_with_nul();
        self.bytes.try_reserve(name.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.bytes.extend_from_slice(name);
        self.count += 1;
        Ok(())
    }

    fn take(&mut self) -> Option<CString> {
        let end = self.bytes.len().checked_sub(1)?;
        let start = self.bytes[..end].iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1);
        let name = CString::from_vec_with_nul(self.bytes.split_off(start)).ok()?;
        self.count -= 1;
        Some(name)
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Below {
    fn open(&self, name: &CStr) -> io::Result<OwnedFd> {
        if self.above.way.is_empty() {
            return open_subdir(&*self.above.base, name);
        }
        open_subdir(open_below(&*self.above.base, &self.above.way)?, name)
    }

    fn path(&self, name: &CStr) -> PathBuf {
        if self.depth == 0 {
            return PathBuf::new();
        }
        self.above.path.join(OsStr::from_bytes(name.to_bytes()))
    }

    /// The path to the contents of the open directory `name` in this one.
    fn way(&self, name: &CStr, dir: &Arc<OwnedFd>, path: PathBuf, place: Place) -> Above {
        if is_held(self.depth, self.above.way.len()) {
            return Above { base: Arc::clone(dir), way: Vec::new(), path, place };
        }
        let way = self.above.way.iter().map(|name| &**name).chain([name]).map(CStr::to_owned).collect();
        Above { base: Arc::clone(&self.above.base), way, path, place }
    }
}

struct Walk<'a, V> {
    device: dev_t,
    left_out: &'a LeftOut,
    interrupts: &'a Interrupts,
    visitor: &'a V,
}

impl<V: Visitor> Walk<'_, V> {
    /// Shows a directory's entries to the visitor, and queues its subdirectories.
    fn read(&self, below: &Below, name: &CStr, kept: &mut V::Kept, found: &mut Vec<Below>) -> io::Result<()> {
        let dir = Arc::new(below.open(name)?);
        let path = below.path(name);
        let place =
            if below.depth == 0 { self.left_out.top() } else { below.above.place.below(name.to_bytes()) };
        let is_locked = below.is_locked || encryption::is_locked(&dir);
        let directory = Directory {
            file: &dir,
            path: &path,
            is_locked,
            is_inside_locked: below.is_locked,
            device: self.device,
            place: &place,
        };
        let entries = Entries::from_fd(dir.as_fd().try_clone_to_owned()?)?;
        self.visitor.enter(&directory, kept);
        let mut above = None;
        for entry in entries {
            if self.interrupts.received().is_some() {
                break;
            }
            let entry = entry?;
            let entrys_name = entry.file_name();
            if [c".", c".."].contains(&entrys_name) {
                continue;
            }
            let Some(stat) = self.look(&dir, &entry, kept) else { continue };
            let is_dir = kind(&stat) == SFlag::S_IFDIR;
            if self.left_out.has(&place, entrys_name.to_bytes(), is_dir) {
                continue;
            }
            self.visitor.see(&directory, entrys_name, &stat, kept);
            if is_dir && is_too_long(&path, entrys_name) {
                self.visitor.unreadable(kept);
            } else if is_dir && stat.st_dev == self.device {
                let way = || Arc::new(below.way(name, &dir, path.clone(), place.clone()));
                let above = Arc::clone(above.get_or_insert_with(way));
                let together = if found.len() < ALONE { 1 } else { TOGETHER };
                if let Some(last) = found.last_mut().filter(|last| last.names.count < together) {
                    last.names.add(entrys_name)?;
                } else {
                    let mut names = Names::default();
                    names.add(entrys_name)?;
                    found.push(Below { above, names, depth: below.depth + 1, is_locked });
                }
            }
        }
        self.visitor.leave(&directory, kept);
        Ok(())
    }

    /// Examines an entry; `None` if it is gone, or cannot be examined and was counted as such.
    fn look(&self, dir: &OwnedFd, entry: &Entry, kept: &mut V::Kept) -> Option<FileStat> {
        match fstatat(dir, entry.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(stat),
            Err(Errno::ENOENT) => None,
            Err(_) => {
                self.visitor.unreadable(kept);
                None
            }
        }
    }
}

/// The source is live: the entry may have been removed or replaced since its name was read.
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

#[cfg(test)]
mod tests {
    use super::Names;
    use std::ffi::CString;

    #[test]
    fn names_wait_in_the_room_that_they_need() {
        let mut names = Names::default();
        let given: Vec<CString> =
            (0..1000).map(|number| CString::new(format!("n\n{number}")).unwrap()).collect();
        for name in &given {
            names.add(name).unwrap();
        }
        assert_eq!(names.bytes.len(), given.iter().map(|name| name.as_bytes_with_nul().len()).sum::<usize>());
        for (left, name) in given.iter().enumerate().rev() {
            assert_eq!(names.take().as_ref(), Some(name));
            assert_eq!((names.count, names.is_empty()), (left, left == 0));
        }
        assert_eq!(names.take(), None);
    }
}
