//! Walks the destination and the source side by side, to find what is hard-linked at the destination.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use nix::dir::Dir as Entries;
use nix::fcntl::AtFlags;
use nix::libc::dev_t;
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};

use crate::fs::dir::{is_held, is_too_long, open_below, open_subdir};
use crate::phases::endpoints::Endpoints;
use crate::process::interrupts::Interrupts;
use crate::rsync::filter::matcher::{LeftOut, Place};
use crate::tree::parallel;

/// A directory, open at both ends.
pub struct Pair {
    /// The clone's.
    pub clone: OwnedFd,
    /// The source's.
    pub source: OwnedFd,
}

/// Something that is hard-linked at the destination, by one of its names that also exists at the source.
pub struct Linked<'a> {
    /// The directory of that name.
    pub dirs: &'a Pair,
    /// The directory's path relative to both roots.
    pub path: &'a PathBuf,
    /// The name.
    pub name: &'a CStr,
    /// Its metadata at the destination; never a directory.
    pub clone: FileStat,
    /// Its metadata at the source.
    pub source: FileStat,
}

/// Calls `visit` for each hard-linked entry of the destination, for each of its names that also exists at the source.
///
/// It follows no links and enters no other filesystem. Entries that cannot be examined are skipped: rsync reports them.
/// It ends early when a signal asks us to stop. All names of a directory are read before the first is visited, so they
/// may be removed.
pub fn walk(
    ends: &Endpoints,
    left_out: &LeftOut,
    interrupts: &Interrupts,
    visit: impl Fn(&Linked<'_>) + Sync,
) -> io::Result<()> {
    let top = Pair {
        clone: open_subdir(&ends.destination.dir, c".")?,
        source: open_subdir(&ends.source.dir, c".")?,
    };
    let devices = (fstat(&top.clone)?.st_dev, fstat(&top.source)?.st_dev);
    let walk = Walk { devices, left_out, interrupts, visit };
    let way = vec![c".".to_owned()];
    let top = Below { base: Arc::new(top), way, path: PathBuf::new(), depth: 0, place: left_out.top() };
    // If a directory is gone or unreadable, go on with the others.
    parallel::share(top, interrupts, |below, found, (): &mut ()| {
        walk.read(&below, found).unwrap_or_default();
    });
    Ok(())
}

/// A directory that is still to be read.
struct Below {
    /// An ancestor of it.
    base: Arc<Pair>,
    /// The names that lead from there to it.
    way: Vec<CString>,
    path: PathBuf,
    depth: usize,
    place: Place,
}

struct Walk<'a, V> {
    /// The device numbers of the clone's and the source's filesystem.
    devices: (dev_t, dev_t),
    left_out: &'a LeftOut,
    interrupts: &'a Interrupts,
    visit: V,
}

impl<V: Fn(&Linked<'_>)> Walk<'_, V> {
    fn read(&self, below: &Below, found: &mut Vec<Below>) -> io::Result<()> {
        let dirs = Arc::new(Pair {
            clone: open_below(&below.base.clone, &below.way)?,
            source: open_below(&below.base.source, &below.way)?,
        });
        let mut linked = Vec::new();
        for entry in Entries::from_fd(dirs.clone.as_fd().try_clone_to_owned()?)? {
            if self.interrupts.received().is_some() {
                break;
            }
            let entry = entry?;
            let name = entry.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            let Some((clone, source)) = self.look(&dirs, below, name) else { continue };
            if kind(&clone) == SFlag::S_IFDIR {
                if is_too_long(&below.path, name) {
                    continue;
                }
                found.push(below.dir(&dirs, name));
            } else {
                linked.push((name.to_owned(), clone, source));
            }
        }
        for (name, clone, source) in linked {
            (self.visit)(&Linked { dirs: &dirs, path: &below.path, name: &name, clone, source });
        }
        Ok(())
    }

    /// Returns the metadata at both ends if this is a directory to enter or hard-linked; `None` for anything else.
    fn look(&self, dirs: &Pair, below: &Below, name: &CStr) -> Option<(FileStat, FileStat)> {
        let clone = fstatat(&dirs.clone, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
        let is_dir = kind(&clone) == SFlag::S_IFDIR;
        if clone.st_dev != self.devices.0
            || !is_dir && clone.st_nlink < 2
            || self.left_out.has(&below.place, name.to_bytes(), is_dir)
        {
            return None;
        }
        let source = fstatat(&dirs.source, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
        // Like rsync's --one-file-system, which only applies to directories.
        let is_same = is_dir && kind(&source) == SFlag::S_IFDIR && source.st_dev == self.devices.1;
        (!is_dir || is_same).then_some((clone, source))
    }
}

impl Below {
    /// The directory `name` in this one, which is open as `dirs`.
    fn dir(&self, dirs: &Arc<Pair>, name: &CStr) -> Below {
        let held = is_held(self.depth, self.way.len());
        let (base, mut way) = if held { (dirs, Vec::new()) } else { (&self.base, self.way.clone()) };
        way.push(name.to_owned());
        Below {
            base: Arc::clone(base),
            way,
            path: self.path.join(OsStr::from_bytes(name.to_bytes())),
            depth: self.depth + 1,
            place: self.place.below(name.to_bytes()),
        }
    }
}

/// The file type.
pub fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}
