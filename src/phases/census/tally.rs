//! Counts what a walk finds.

use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use nix::sys::stat::{FileStat, SFlag};

use crate::fs::attributes;
use crate::fs::dir::Dir;
use crate::phases::census::linked_names::LinkedNames;
use crate::phases::census::locked;
use crate::phases::census::needs::Needs;
use crate::phases::census::survey::{Census, Survey};
use crate::phases::census::walk::{Directory, Visitor, kind, walk};
use crate::process::interrupts::Interrupts;
use crate::rsync::filter::matcher::LeftOut;

/// The unit of `st_blocks`, in bytes, on every system.
const BLOCK: u64 = 512;

/// The maximum number of hard-linked inodes remembered, so that each is counted once: some 20 MB. Without a limit,
/// anybody who can fill the source could fill the memory.
const MOST_LINKED: usize = 1 << 20;

/// Counts what `directory` holds, itself included, except what is left out, as [`walk`] sees it.
pub fn count(dir: &Dir, left_out: &LeftOut, interrupts: &Interrupts) -> io::Result<Census> {
    let counter = Counter::default();
    Ok(gather(dir, left_out, interrupts, &counter)?.census(&counter.linked))
}

/// Does the same, and gathers what else is needed about a source; attribute sizes only if `attributes` is set.
pub fn survey(
    dir: &Dir,
    left_out: &LeftOut,
    interrupts: &Interrupts,
    attributes: bool,
) -> io::Result<Survey> {
    let counter = Counter { names: Some(LinkedNames::default()), attributes, ..Counter::default() };
    let tally = gather(dir, left_out, interrupts, &counter)?;
    let census = tally.census(&counter.linked);
    let Tally { needs, mut locked, boundaries, more_boundaries, .. } = tally;
    locked.sort();
    let linked = counter.names.unwrap_or_default();
    Ok(Survey { census, needs, locked, boundaries, more_boundaries, linked, before: None })
}

fn gather(dir: &Dir, left_out: &LeftOut, interrupts: &Interrupts, counter: &Counter) -> io::Result<Tally> {
    let (top, tallies) = walk(dir, left_out, interrupts, counter)?;
    let mut tally = Tally::default();
    tally.count(&counter.linked, &top);
    tally.needs.see(c"", &top);
    for part in tallies {
        tally.add(part);
    }
    Ok(tally)
}

struct Counter {
    linked: Linked,
    /// The names of hard-linked files, if wanted.
    names: Option<LinkedNames>,
    attributes: bool,
}

impl Default for Counter {
    fn default() -> Self {
        Self { linked: Linked::with_room(MOST_LINKED), names: None, attributes: false }
    }
}

impl Visitor for Counter {
    type Kept = Tally;

    fn enter(&self, directory: &Directory<'_>, tally: &mut Tally) {
        if directory.is_locked && !directory.is_inside_locked {
            tally.locked.push(directory.path.to_owned());
            locked::bound(&mut tally.locked);
        }
    }

    fn see(&self, directory: &Directory<'_>, name: &CStr, stat: &FileStat, tally: &mut Tally) {
        tally.count(&self.linked, stat);
        if kind(stat) == SFlag::S_IFDIR && stat.st_dev != directory.device {
            tally.see_boundary(directory.path.join(OsStr::from_bytes(name.to_bytes())));
        }
        if kind(stat) == SFlag::S_IFREG
            && stat.st_nlink > 1
            && let Some(names) = &self.names
        {
            names.add_at(directory.path, name.to_bytes());
        }
        // What cannot be read is not copied.
        if directory.is_locked {
            return;
        }
        tally.needs.see(name, stat);
        if self.attributes {
            tally.needs.attributes = tally.needs.attributes.max(attributes::size(directory.file, name));
        }
    }

    fn unreadable(&self, tally: &mut Tally) {
        tally.unreadable += 1;
    }
}

/// The counts of one thread.
#[derive(Default)]
struct Tally {
    entries: u64,
    /// Inodes with one name, and each other inode when its first name is met.
    used: Used,
    /// How many of them are hard-linked.
    linked: u64,
    /// Hard-linked inodes that are not remembered: each name counts for its share.
    shares: Shares,
    unreadable: u64,
    needs: Needs,
    locked: Vec<PathBuf>,
    boundaries: Vec<PathBuf>,
    more_boundaries: u64,
}

/// The maximum number of boundaries kept.
const MOST_BOUNDARIES: usize = 100;

/// Inodes and the bytes they use.
#[derive(Default, Clone, Copy)]
struct Used {
    inodes: u64,
    bytes: u64,
    content: u64,
}

impl Used {
    fn add(&mut self, other: Self) {
        self.inodes = self.inodes.saturating_add(other.inodes);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.content = self.content.saturating_add(other.content);
    }
}

/// Fractions of inodes, in units of 2^-32.
#[derive(Default, Clone, Copy)]
struct Shares {
    inodes: u128,
    bytes: u128,
    content: u128,
}

impl Shares {
    fn see(&mut self, used: Used, names: u64) {
        let share = |value: u64| (u128::from(value) << 32) / u128::from(names.max(1));
        self.add(Self { inodes: share(used.inodes), bytes: share(used.bytes), content: share(used.content) });
    }

    fn add(&mut self, other: Self) {
        self.inodes += other.inodes;
        self.bytes += other.bytes;
        self.content += other.content;
    }

    fn used(&self) -> Used {
        let whole = |value: u128| u64::try_from((value + (1 << 31)) >> 32).unwrap_or(u64::MAX);
        Used { inodes: whole(self.inodes), bytes: whole(self.bytes), content: whole(self.content) }
    }
}

/// Hashes of the hard-linked inodes met so far, shared because another thread may meet another name.
struct Linked {
    known: Mutex<Known>,
    numbers: RandomState,
    room: usize,
}

#[derive(Default)]
struct Known {
    inodes: HashSet<u64>,
    is_full: bool,
}

/// What a name is to a hard-linked inode.
#[derive(Debug, PartialEq, Eq)]
enum Met {
    First,
    Again,
    /// There is no room to remember the inode.
    Unknown,
}

impl Linked {
    fn with_room(room: usize) -> Self {
        Self { known: Mutex::default(), numbers: RandomState::new(), room }
    }

    fn meet(&self, stat: &FileStat) -> Met {
        let number = self.numbers.hash_one((stat.st_dev, stat.st_ino));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.inodes.contains(&number) {
            return Met::Again;
        }
        // Once full it stays full: another name of an inode that was not remembered must not count as its first.
        if known.is_full || known.inodes.len() >= self.room || known.inodes.try_reserve(1).is_err() {
            known.is_full = true;
            return Met::Unknown;
        }
        known.inodes.insert(number);
        Met::First
    }

    fn is_full(&self) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).is_full
    }
}

impl Tally {
    fn count(&mut self, linked: &Linked, stat: &FileStat) {
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        let bytes = number(stat.st_blocks).saturating_mul(BLOCK);
        let kind = kind(stat);
        let content = if kind == SFlag::S_IFREG { bytes.min(number(stat.st_size)) } else { 0 };
        let used = Used { inodes: 1, bytes, content };
        self.entries += 1;
        if stat.st_nlink <= 1 || kind == SFlag::S_IFDIR {
            self.used.add(used);
            return;
        }
        match linked.meet(stat) {
            Met::First => {
                self.linked += 1;
                self.used.add(used);
            }
            Met::Again => {}
            Met::Unknown => self.shares.see(used, crate::phases::census::needs::names_of(stat)),
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
        self.used.add(other.used);
        self.linked += other.linked;
        self.shares.add(other.shares);
        self.unreadable += other.unreadable;
        self.needs.add(&other.needs);
        self.locked.extend(other.locked);
        locked::bound(&mut self.locked);
    }

    fn census(&self, linked: &Linked) -> Census {
        let shares = self.shares.used();
        let mut used = self.used;
        used.add(shares);
        Census {
            entries: self.entries,
            bytes: used.bytes,
            content: used.content,
            inodes: used.inodes,
            hard_linked: self.linked + shares.inodes,
            unreadable: self.unreadable,
            is_estimate: linked.is_full(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Linked, Met, Tally};
    use nix::sys::stat::FileStat;

    /// Two names for each of `files` files of 4 KiB.
    fn counted(files: u64, linked: &Linked) -> super::Census {
        let mut tally = Tally::default();
        for inode in (1..=files).chain(1..=files) {
            tally.count(linked, &stat(inode));
        }
        tally.census(linked)
    }

    fn stat(inode: u64) -> FileStat {
        let mut stat = nix::sys::stat::stat("/").unwrap();
        (stat.st_mode, stat.st_ino, stat.st_nlink) = (0o100_644, inode, 2);
        (stat.st_size, stat.st_blocks) = (4096, 8);
        stat
    }

    #[test]
    fn each_inode_counts_once_as_long_as_it_is_remembered() {
        let linked = Linked::with_room(1000);
        let census = counted(1000, &linked);
        assert_eq!((census.entries, census.inodes, census.hard_linked), (2000, 1000, 1000));
        assert_eq!((census.content, census.is_estimate), (1000 * 4096, false));
    }

    #[test]
    fn more_than_are_remembered_count_in_shares_and_take_no_more_room() {
        let linked = Linked::with_room(10);
        let census = counted(100_000, &linked);
        assert_eq!((census.entries, census.inodes, census.hard_linked), (200_000, 100_000, 100_000));
        assert_eq!((census.content, census.is_estimate), (100_000 * 4096, true));
        assert_eq!(linked.known.lock().unwrap().inodes.len(), 10);
    }

    #[test]
    fn what_was_remembered_before_it_was_full_is_known_afterwards() {
        let linked = Linked::with_room(1);
        assert_eq!(linked.meet(&stat(1)), Met::First);
        assert_eq!(linked.meet(&stat(2)), Met::Unknown);
        assert_eq!((linked.meet(&stat(1)), linked.meet(&stat(2))), (Met::Again, Met::Unknown));
    }
}
