//! Walks a source and a destination side by side, with a few threads: what one survey needs of both, in one look.
//!
//! It follows no link, enters no filesystem but those named to it and opens nothing but directories. Its memory grows with the largest
//! directory, by eight bytes a name, and not with the trees.

use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::dir::Dir as Entries;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::libc::dev_t;
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};

use crate::fs::dir::{Dir, is_too_long, open_subdir};
use crate::fs::encryption;
use crate::process::interrupts::Interrupts;
use crate::rsync::filter::matcher::{LeftOut, Place};
use crate::tree::parallel;
use crate::tree::queue::{Below, Queue};
use crate::tree::sides::{Side, Sides};
use crate::tree::waiting::Waits;

/// What to walk.
#[derive(Debug, Clone, Copy)]
pub struct Trees<'a> {
    /// The roots; one tree alone is a source without a destination.
    pub roots: Sides<&'a Dir>,
    /// What the source leaves out, and the destination protects.
    pub left_out: &'a LeftOut,
    /// The filesystems below the source's root that belong to it.
    pub points: &'a [Point],
}

/// Where another filesystem of the source begins that is walked as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Its path relative to the source's root.
    pub path: PathBuf,
    /// Its device number.
    pub device: dev_t,
}

/// What to do during a walk.
pub trait Visitor: Sync {
    /// What each thread gathers.
    type Kept: Default + Send;

    /// A directory was opened; its entries follow.
    fn enter(&self, _here: &Here<'_>, _kept: &mut Self::Kept) {}

    /// An entry that exists on at least one side. What the source leaves out does not exist there; what the
    /// destination protects does not exist on either side, unless the source has it too.
    fn see(&self, here: &Here<'_>, entry: &Entry<'_>, kept: &mut Self::Kept);

    /// Whether the destination has a directory of this name now, which only the source had when it was shown: then it is
    /// entered on both sides.
    fn makes(&self, _here: &Here<'_>, _name: &CStr, _kept: &mut Self::Kept) -> bool {
        false
    }

    /// All entries of a directory were seen.
    fn leave(&self, _here: &Here<'_>, _kept: &mut Self::Kept) {}

    /// A directory that cannot be read, or an entry that cannot be examined, on this side.
    ///
    /// Nothing more is shown of a directory that the source cannot read: what the destination holds there stays.
    fn unreadable(&self, _side: Side, _path: &Path, _kept: &mut Self::Kept) {}
}

/// A directory that is open during the walk.
#[derive(Debug)]
pub struct Here<'a> {
    /// The directory, on the sides that have it.
    pub dirs: Sides<&'a OwnedFd>,
    /// Its path relative to the roots; that of a root is empty.
    pub path: &'a Path,
    /// It is encrypted at the source and its key is not loaded: its names are not real, and nothing in it can be read.
    /// The destination's is not compared with it.
    pub is_locked: bool,
    /// The directory above it is locked as well.
    pub is_inside_locked: bool,
    /// The device numbers of the filesystems: of the one that this directory of the source is on, and of the destination's
    /// root.
    pub devices: Sides<dev_t>,
    /// Where another filesystem of the source begins that is walked as well.
    pub points: &'a [Point],
    /// The exclusion patterns that apply in it.
    pub place: &'a Place,
}

/// An entry of a directory.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Its name.
    pub name: &'a CStr,
    /// Its metadata.
    pub stats: Sides<&'a FileStat>,
    /// The source has it too, but leaves it out.
    pub is_left_out: bool,
}

impl Here<'_> {
    /// The path of the entry of this name.
    #[must_use]
    pub fn path_of(&self, name: &CStr) -> PathBuf {
        self.path.join(OsStr::from_bytes(name.to_bytes()))
    }

    /// Whether another filesystem begins at this entry of the source, and is not walked.
    ///
    /// A device number alone does not say that it is: a btrfs subvolume shows up wherever one above it is mounted.
    #[must_use]
    pub fn is_boundary(&self, name: &CStr, stat: &FileStat) -> bool {
        let is_point = |point: &Point| point.device == stat.st_dev && point.path == self.path_of(name);
        kind(stat) == SFlag::S_IFDIR
            && Some(stat.st_dev) != self.devices.source
            && !self.points.iter().any(is_point)
    }
}

/// A root cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("a root cannot be read")]
pub struct Unreadable {
    /// Whose root it is.
    pub side: Side,
    /// Why.
    #[source]
    pub error: io::Error,
}

impl From<Unreadable> for io::Error {
    fn from(unreadable: Unreadable) -> Self {
        unreadable.error
    }
}

/// Walks everything below the roots; returns the metadata of the roots and what the threads have gathered.
///
/// Like rsync's `--one-file-system`, it sees a directory on which another filesystem is mounted but not its contents,
/// unless that is one of the trees' points.
/// It ends early, with what it has, when a signal asks us to stop. Fails if a root cannot be read.
pub fn walk<V: Visitor>(
    trees: &Trees<'_>,
    interrupts: &Interrupts,
    visitor: &V,
) -> Result<(Sides<FileStat>, Vec<V::Kept>), Unreadable> {
    let root = |side, root: Option<&Dir>| {
        let open = |root| {
            let open = open_subdir(root, c".")?;
            Ok((fstat(&open)?, open))
        };
        root.map(open).transpose().map_err(|error: io::Error| Unreadable { side, error })
    };
    let (source, destination) =
        (root(Side::Source, trees.roots.source)?, root(Side::Destination, trees.roots.destination)?);
    let stats = Sides {
        source: source.as_ref().map(|found| found.0),
        destination: destination.as_ref().map(|found| found.0),
    };
    let open = Sides { source: source.map(|found| found.1), destination: destination.map(|found| found.1) };
    let devices = Sides {
        source: stats.source.map(|stat| stat.st_dev),
        destination: stats.destination.map(|stat| stat.st_dev),
    };
    let Trees { left_out, points, .. } = *trees;
    let walk = Walk { devices, left_out, points, interrupts, visitor, hashes: RandomState::new() };
    let top = Below::root(open).map_err(|error| Unreadable { side: Side::Source, error })?;
    let kept = parallel::share(top, interrupts, |mut below, found, kept: &mut V::Kept| {
        let Some((name, waits)) = below.names.take() else { return };
        let mut subdirs = Vec::new();
        walk.read(&below, &name, waits, kept, &mut subdirs);
        // Work to be done last goes to the bottom of the stack.
        if !below.names.is_empty() {
            found.push(below);
        }
        found.append(&mut subdirs);
    });
    Ok((stats, kept))
}

struct Walk<'a, V> {
    devices: Sides<dev_t>,
    left_out: &'a LeftOut,
    points: &'a [Point],
    interrupts: &'a Interrupts,
    visitor: &'a V,
    hashes: RandomState,
}

impl<V: Visitor> Walk<'_, V> {
    /// Opens a directory on the sides that should have it; `None` if there is nothing to read.
    fn open(&self, below: &Below, name: &CStr, waits: Waits, kept: &mut V::Kept) -> Option<Sides<OwnedFd>> {
        let mut open = |side, base: Option<&OwnedFd>, waits: bool| {
            if !waits {
                return (None, false);
            }
            match below.open(base, name) {
                Ok(dir) => (Some(dir), false),
                // The trees are live: it may have been removed or replaced since its name was read.
                Err(error) if is_gone(&error) => (None, true),
                Err(_) => {
                    self.visitor.unreadable(side, &below.path(name), kept);
                    (None, true)
                }
            }
        };
        let (source, is_missing) = open(Side::Source, below.above.base.source.as_ref(), waits.source);
        // What stands for it at the destination is neither new nor gone.
        if is_missing {
            return None;
        }
        let base = below.above.base.destination.as_ref();
        let (destination, _) = open(Side::Destination, base, waits.destination);
        (source.is_some() || destination.is_some()).then_some(Sides { source, destination })
    }

    /// Shows a directory's entries to the visitor, and queues its subdirectories.
    fn read(&self, below: &Below, name: &CStr, waits: Waits, kept: &mut V::Kept, found: &mut Vec<Below>) {
        let Some(mut dirs) = self.open(below, name, waits, kept) else { return };
        let path = below.path(name);
        let place =
            if below.depth == 0 { self.left_out.top() } else { below.above.place.below(name.to_bytes()) };
        let is_locked = below.is_locked || dirs.source.as_ref().is_some_and(encryption::is_locked);
        if is_locked {
            // The names there are the real ones, so none is found at the source.
            dirs.destination = None;
        }
        let dirs = Arc::new(dirs);
        let here = Here {
            dirs: Sides::as_ref(&dirs),
            path: &path,
            is_locked,
            is_inside_locked: below.is_locked,
            devices: self.devices_of(&dirs),
            points: self.points,
            place: &place,
        };
        let way = || Arc::new(below.way(name, &dirs, path.clone(), place.clone()));
        let mut queue = Queue::new(found, &way, below.depth + 1, is_locked);
        // The names that only the destination has, when the source's were taken out.
        let mut others = HashSet::new();
        if let Some(dir) = &dirs.destination
            && self.each_name(dir, |name| self.remember(name, &mut others)).is_err()
        {
            self.visitor.unreadable(Side::Destination, &path, kept);
        }
        self.visitor.enter(&here, kept);
        let listed = dirs.source.as_ref().map_or(Ok(()), |dir| {
            self.each_name(dir, |name| self.see_source(&here, name, &mut others, kept, &mut queue))
        });
        match listed {
            Ok(()) if !others.is_empty() => self.see_others(&here, &others, kept, &mut queue),
            Ok(()) => {}
            // What it has not shown is not gone.
            Err(error) if is_gone(&error) => {}
            Err(_) => self.visitor.unreadable(Side::Source, &path, kept),
        }
        self.visitor.leave(&here, kept);
    }

    /// The source's may be on one of several filesystems.
    fn devices_of(&self, dirs: &Sides<OwnedFd>) -> Sides<dev_t> {
        if self.points.is_empty() {
            return self.devices;
        }
        let source = dirs.source.as_ref().and_then(|dir| fstat(dir).ok()).map(|stat| stat.st_dev);
        Sides { source, ..self.devices }
    }

    fn remember(&self, name: &CStr, others: &mut HashSet<u64>) -> io::Result<()> {
        others.try_reserve(1).map_err(|_| io::ErrorKind::OutOfMemory)?;
        others.insert(self.hashes.hash_one(name));
        Ok(())
    }

    /// Calls `each` for every name in an open directory, until a signal asks us to stop.
    fn each_name(&self, dir: &OwnedFd, mut each: impl FnMut(&CStr) -> io::Result<()>) -> io::Result<()> {
        // A descriptor of its own: a duplicate would share its position with the next reading.
        for entry in Entries::from_fd(open_subdir(dir, c".")?)? {
            if self.interrupts.received().is_some() {
                break;
            }
            let entry = entry?;
            if ![c".", c".."].contains(&entry.file_name()) {
                each(entry.file_name())?;
            }
        }
        Ok(())
    }

    fn see_source(
        &self,
        here: &Here<'_>,
        name: &CStr,
        others: &mut HashSet<u64>,
        kept: &mut V::Kept,
        queue: &mut Queue<'_>,
    ) -> io::Result<()> {
        let Some(stat) = self.look(Side::Source, here, name, kept) else { return Ok(()) };
        let is_dir = kind(&stat) == SFlag::S_IFDIR;
        if self.left_out.has(here.place, name.to_bytes(), is_dir) {
            return Ok(());
        }
        let is_there = !others.is_empty() && others.remove(&self.hashes.hash_one(name));
        let there = if is_there { self.look(Side::Destination, here, name, kept) } else { None };
        let stats = Sides { source: Some(&stat), destination: there.as_ref() };
        self.visitor.see(here, &Entry { name, stats, is_left_out: false }, kept);
        let source = is_dir && !here.is_boundary(name, &stat);
        let is_entered =
            |stat: &FileStat| kind(stat) == SFlag::S_IFDIR && Some(stat.st_dev) == self.devices.destination;
        let waits = Waits {
            source,
            // Where another filesystem begins at the source, what the destination has below it is not compared.
            destination: (source || !is_dir) && there.as_ref().is_some_and(is_entered)
                || source && there.is_none() && self.visitor.makes(here, name, kept),
        };
        self.enqueue(here, name, waits, kept, queue)
    }

    /// Shows what only the destination has.
    fn see_others(&self, here: &Here<'_>, others: &HashSet<u64>, kept: &mut V::Kept, queue: &mut Queue<'_>) {
        let Some(dir) = here.dirs.destination else { return };
        let listed = self.each_name(dir, |name| {
            if !others.contains(&self.hashes.hash_one(name)) {
                return Ok(());
            }
            let Some(stat) = self.look(Side::Destination, here, name, kept) else { return Ok(()) };
            let is_dir = kind(&stat) == SFlag::S_IFDIR;
            if self.left_out.protects(here.place, name.to_bytes(), is_dir) {
                return Ok(());
            }
            let Some(is_left_out) = self.is_left_out(here, name, kept) else { return Ok(()) };
            let stats = Sides { source: None, destination: Some(&stat) };
            self.visitor.see(here, &Entry { name, stats, is_left_out }, kept);
            let is_entered = is_dir && Some(stat.st_dev) == self.devices.destination;
            self.enqueue(here, name, Waits { source: false, destination: is_entered }, kept, queue)
        });
        if listed.is_err() {
            self.visitor.unreadable(Side::Destination, here.path, kept);
        }
    }

    /// Whether the source leaves out this entry, or does not have it; `None` if it has come, or cannot be examined.
    fn is_left_out(&self, here: &Here<'_>, name: &CStr, kept: &mut V::Kept) -> Option<bool> {
        let Some(dir) = here.dirs.source else { return Some(false) };
        match fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => Some(false),
            Ok(stat) => {
                let is_dir = kind(&stat) == SFlag::S_IFDIR;
                self.left_out.has(here.place, name.to_bytes(), is_dir).then_some(true)
            }
            Err(_) => {
                self.visitor.unreadable(Side::Source, &here.path_of(name), kept);
                None
            }
        }
    }

    fn enqueue(
        &self,
        here: &Here<'_>,
        name: &CStr,
        waits: Waits,
        kept: &mut V::Kept,
        queue: &mut Queue<'_>,
    ) -> io::Result<()> {
        if !waits.source && !waits.destination {
            return Ok(());
        }
        if is_too_long(here.path, name) {
            let side = if waits.source { Side::Source } else { Side::Destination };
            self.visitor.unreadable(side, &here.path_of(name), kept);
            return Ok(());
        }
        queue.add(name, waits)
    }

    /// Examines an entry; `None` if it is gone, or cannot be examined and was counted as such.
    fn look(&self, side: Side, here: &Here<'_>, name: &CStr, kept: &mut V::Kept) -> Option<FileStat> {
        let dir = match side {
            Side::Source => here.dirs.source,
            Side::Destination => here.dirs.destination,
        };
        match fstatat(dir?, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(stat),
            Err(Errno::ENOENT) => None,
            Err(_) => {
                self.visitor.unreadable(side, &here.path_of(name), kept);
                None
            }
        }
    }
}

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

/// The number of hard links of an inode.
#[allow(clippy::useless_conversion, reason = "nlink_t differs by system")]
#[must_use]
pub fn names_of(stat: &FileStat) -> u64 {
    u64::from(stat.st_nlink)
}
