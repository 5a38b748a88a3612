//! Walks a tree on one filesystem with a few threads and counts what it holds.

use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use nix::dir::{Dir, Entry};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::libc::{dev_t, ino_t};
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};

use super::Census;
use super::linked_names::{LinkedNames, Way};
use crate::host::folder::{Folder, open_below, open_subfolder};
use crate::host::shared_work;
use crate::process::interrupts::Interrupts;
use crate::rsync::left_out::{LeftOut, Place};

/// Down to this depth a folder that waits is reached from its parent, which is held open for it; below, from the last
/// one that is. A job of launchd may have 256 files open.
const HELD: usize = 24;

/// The unit of `st_blocks`, in bytes, on every system.
const BLOCK: u64 = 512;

/// Counts what `folder` holds, itself included, without what is left out.
///
/// Like rsync's `--one-file-system` it counts a folder on which another filesystem is mounted, but not what is in it.
/// Links are not followed, and nothing but folders is opened. It ends early, with what it has, when a signal has
/// asked us to end. Errors when `folder` itself cannot be read.
pub fn count(folder: &Folder, left_out: &LeftOut, interrupts: &Interrupts) -> io::Result<Census> {
    count_noting(folder, left_out, interrupts, None)
}

/// The same, and notes the names of files that have several.
pub fn count_noting(
    folder: &Folder,
    left_out: &LeftOut,
    interrupts: &Interrupts,
    linked: Option<&LinkedNames>,
) -> io::Result<Census> {
    let root = Arc::new(open_subfolder(folder, c".")?);
    let stat = fstat(&*root)?;
    let walk = Walk { device: stat.st_dev, left_out, interrupts, linked };
    let here = linked.map(LinkedNames::top);
    let way = vec![c".".to_owned()];
    let top = Below { base: root, way, path: PathBuf::new(), here, depth: 0, place: left_out.top() };
    let tallies = shared_work::share(top, interrupts, |below, found, tally: &mut Tally| {
        if walk.read(&below, tally, found).is_err_and(|error| !is_gone(&error)) {
            tally.unreadable += 1;
        }
    });
    let mut tally = Tally::default();
    tally.see(&stat);
    for part in tallies {
        tally.add(part);
    }
    Ok(tally.census())
}

/// A folder that is still to be read.
struct Below<'a> {
    /// An open folder above it.
    base: Arc<OwnedFd>,
    /// The names that lead from there to it.
    way: Vec<CString>,
    path: PathBuf,
    here: Option<Way>,
    depth: usize,
    place: Place<'a>,
}

struct Walk<'a> {
    device: dev_t,
    left_out: &'a LeftOut,
    interrupts: &'a Interrupts,
    linked: Option<&'a LinkedNames>,
}

impl<'a> Walk<'a> {
    /// Counts a folder's entries, and notes the folders among them.
    fn read(&self, below: &Below<'a>, tally: &mut Tally, found: &mut Vec<Below<'a>>) -> io::Result<()> {
        let folder = Arc::new(open_below(&*below.base, &below.way)?);
        for entry in Dir::from_fd(folder.as_fd().try_clone_to_owned()?)? {
            if self.interrupts.received().is_some() {
                break;
            }
            let entry = entry?;
            let name = entry.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            let Some(stat) = look(&folder, &entry, tally) else { continue };
            let is_folder = kind(&stat) == SFlag::S_IFDIR;
            if self.left_out.has(&below.place, name.to_bytes(), is_folder) {
                continue;
            }
            tally.see(&stat);
            let here = self.linked.zip(below.here).map(|(linked, way)| linked.below(way, name.to_bytes()));
            if kind(&stat) == SFlag::S_IFREG
                && stat.st_nlink > 1
                && let Some((linked, here)) = self.linked.zip(here)
            {
                linked.add(here);
            }
            if is_folder && stat.st_dev != self.device {
                tally.see_boundary(below.path.join(OsStr::from_bytes(name.to_bytes())));
            } else if is_folder {
                let held = below.depth < HELD;
                let (base, mut way) =
                    if held { (&folder, Vec::new()) } else { (&below.base, below.way.clone()) };
                way.push(name.to_owned());
                let place = below.place.below(name.to_bytes());
                let path = below.path.join(OsStr::from_bytes(name.to_bytes()));
                found.push(Below { base: Arc::clone(base), way, path, here, depth: below.depth + 1, place });
            }
        }
        Ok(())
    }
}

/// What an entry is; `None` for one that is gone, or that cannot be looked at and is counted as that.
fn look(folder: &OwnedFd, entry: &Entry, tally: &mut Tally) -> Option<FileStat> {
    match fstatat(folder, entry.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) => Some(stat),
        Err(Errno::ENOENT) => None,
        Err(_) => {
            tally.unreadable += 1;
            None
        }
    }
}

/// A live source: the folder was removed, or became something else, since its name was read.
fn is_gone(error: &io::Error) -> bool {
    [Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP]
        .iter()
        .any(|gone| error.raw_os_error() == Some(*gone as i32))
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// What one thread has counted.
#[derive(Default)]
struct Tally {
    entries: u64,
    /// What has one name only.
    single: Used,
    /// What has several names, by its number: another thread may meet another of them.
    linked: HashMap<(dev_t, ino_t), Used>,
    unreadable: u64,
    boundaries: Vec<PathBuf>,
    more_boundaries: u64,
}

/// How many boundaries are kept.
const MOST_BOUNDARIES: usize = 100;

/// Inodes and the bytes that they use.
#[derive(Default, Clone, Copy)]
struct Used {
    inodes: u64,
    bytes: u64,
    content: u64,
}

impl Used {
    fn add(&mut self, other: Self) {
        self.inodes += other.inodes;
        self.bytes += other.bytes;
        self.content += other.content;
    }
}

impl Tally {
    fn see(&mut self, stat: &FileStat) {
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        let bytes = number(stat.st_blocks).saturating_mul(BLOCK);
        let kind = kind(stat);
        let content = if kind == SFlag::S_IFREG { bytes.min(number(stat.st_size)) } else { 0 };
        let used = Used { inodes: 1, bytes, content };
        self.entries += 1;
        if stat.st_nlink > 1 && kind != SFlag::S_IFDIR {
            self.linked.insert((stat.st_dev, stat.st_ino), used);
        } else {
            self.single.add(used);
        }
    }

    fn see_boundary(&mut self, path: PathBuf) {
        if self.boundaries.len() < MOST_BOUNDARIES {
            self.boundaries.push(path);
        } else {
            self.more_boundaries += 1;
        }
    }

    fn add(&mut self, other: Self) {
        other.boundaries.into_iter().for_each(|path| self.see_boundary(path));
        self.more_boundaries += other.more_boundaries;
        self.entries += other.entries;
        self.single.add(other.single);
        self.linked.extend(other.linked);
        self.unreadable += other.unreadable;
    }

    fn census(self) -> Census {
        let mut used = self.single;
        self.linked.values().for_each(|linked| used.add(*linked));
        Census {
            entries: self.entries,
            bytes: used.bytes,
            content: used.content,
            inodes: used.inodes,
            hard_linked: self.linked.len() as u64,
            unreadable: self.unreadable,
            boundaries: self.boundaries,
            more_boundaries: self.more_boundaries,
        }
    }
}
