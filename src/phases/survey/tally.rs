//! Counts what a walk finds in one tree.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::stat::{FileStat, SFlag};

use crate::fs::dir::Dir;
use crate::phases::survey::census::Census;
use crate::process::interrupts::Interrupts;
use crate::record::Kinds;
use crate::rsync::filter::matcher::LeftOut;
use crate::tree::pair::{Entry, Here, Trees, Visitor, kind, names_of, walk};
use crate::tree::sides::{Side, Sides};

/// The unit of `st_blocks`, in bytes, on every system.
const BLOCK: u64 = 512;

/// The maximum number of hard-linked inodes remembered, so that each is counted once: some 20 MB. Without a limit,
/// anybody who can fill the source could fill the memory.
const MOST_LINKED: usize = 1 << 20;

/// Counts what `dir` holds, itself included, except what is left out, as [`walk`] sees it.
pub fn count(dir: &Dir, left_out: &LeftOut, interrupts: &Interrupts) -> io::Result<Census> {
    let counter = Linked::default();
    let trees = Trees { roots: Sides::source(dir), left_out, points: &[] };
    let (tops, tallies) = walk(&trees, interrupts, &counter)?;
    let mut tally = Tally::default();
    tops.source.iter().for_each(|top| tally.count(&counter, top));
    for part in &tallies {
        tally.add(part);
    }
    Ok(tally.census(&counter))
}

impl Visitor for Linked {
    type Kept = Tally;

    fn see(&self, _here: &Here<'_>, entry: &Entry<'_>, tally: &mut Tally) {
        entry.stats.source.iter().for_each(|stat| tally.count(self, stat));
    }

    fn unreadable(&self, _side: Side, _path: &Path, tally: &mut Tally) {
        tally.unreadable += 1;
    }
}

/// The counts of one thread.
#[derive(Debug, Default)]
pub struct Tally {
    entries: u64,
    /// Inodes with one name, and each other inode when its first name is met.
    used: Used,
    /// How many of them are hard-linked.
    linked: u64,
    /// Hard-linked inodes that are not remembered: each name counts for its share.
    shares: Shares,
    /// Names by type.
    kinds: Kinds,
    /// The sizes of all files and symbolic links, by each of their names.
    size: u64,
    /// What could not be read or examined.
    pub unreadable: u64,
}

/// Bytes of a regular file's contents in allocated blocks, but no more than its size; 0 for anything else.
#[must_use]
pub fn content(stat: &FileStat) -> u64 {
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    let bytes = number(stat.st_blocks).saturating_mul(BLOCK);
    if kind(stat) == SFlag::S_IFREG { bytes.min(number(stat.st_size)) } else { 0 }
}

/// Inodes and the bytes they use.
#[derive(Debug, Default, Clone, Copy)]
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
#[derive(Debug, Default, Clone, Copy)]
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

/// Hashes of the hard-linked inodes of a tree met so far, shared because another thread may meet another name.
#[derive(Debug)]
pub struct Linked {
    known: Mutex<Known>,
    numbers: RandomState,
    room: usize,
}

#[derive(Debug, Default)]
struct Known {
    /// For each: what is known of the clone's copy.
    inodes: HashMap<u64, Copying>,
    is_full: bool,
}

/// Whether a hard-linked inode of the source has to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copying {
    /// No name has been compared yet.
    Open,
    /// Its contents have to be copied, as far as known.
    Needed,
    /// A name of it has the same contents in the clone, so that others are only linked to it.
    Spared,
}

/// What a name is to a hard-linked inode.
#[derive(Debug, PartialEq, Eq)]
enum Met {
    First,
    Again,
    /// There is no room to remember the inode.
    Unknown,
}

/// What a name of a hard-linked inode changes about the bytes that are to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// They are added.
    Added,
    /// They were added and need not be copied after all.
    TakenBack,
    /// They are as they were.
    AsBefore,
}

impl Default for Linked {
    fn default() -> Self {
        Self::with_room(MOST_LINKED)
    }
}

impl Linked {
    fn with_room(room: usize) -> Self {
        Self { known: Mutex::default(), numbers: RandomState::new(), room }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self, stat: &FileStat) -> u64 {
        self.numbers.hash_one((stat.st_dev, stat.st_ino))
    }

    fn meet(&self, stat: &FileStat) -> Met {
        let number = self.number(stat);
        let mut known = self.known();
        if known.inodes.contains_key(&number) {
            return Met::Again;
        }
        // Once full it stays full: another name of an inode that was not remembered must not count as its first.
        if known.is_full || known.inodes.len() >= self.room || known.inodes.try_reserve(1).is_err() {
            known.is_full = true;
            return Met::Unknown;
        }
        known.inodes.insert(number, Copying::Open);
        Met::First
    }

    /// Notes whether the clone has the same contents under this name of an inode that was counted.
    ///
    /// Of an inode that is not remembered nothing has to be copied: the need is never overestimated.
    pub fn copy(&self, stat: &FileStat, is_same: bool) -> Bytes {
        let number = self.number(stat);
        let mut known = self.known();
        let Some(copying) = known.inodes.get_mut(&number) else { return Bytes::AsBefore };
        let before = *copying;
        if is_same {
            *copying = Copying::Spared;
            return if before == Copying::Needed { Bytes::TakenBack } else { Bytes::AsBefore };
        }
        if before == Copying::Open {
            *copying = Copying::Needed;
            return Bytes::Added;
        }
        Bytes::AsBefore
    }

    fn is_full(&self) -> bool {
        self.known().is_full
    }
}

impl Tally {
    /// Adds an entry.
    pub fn count(&mut self, linked: &Linked, stat: &FileStat) {
        let bytes = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK);
        let used = Used { inodes: 1, bytes, content: content(stat) };
        self.entries += 1;
        self.see_kind(stat);
        if stat.st_nlink <= 1 || kind(stat) == SFlag::S_IFDIR {
            self.used.add(used);
            return;
        }
        match linked.meet(stat) {
            Met::First => {
                self.linked += 1;
                self.used.add(used);
            }
            Met::Again => {}
            Met::Unknown => self.shares.see(used, names_of(stat)),
        }
    }

    fn see_kind(&mut self, stat: &FileStat) {
        let kinds = &mut self.kinds;
        let (count, has_size) = match kind(stat) {
            SFlag::S_IFREG => (&mut kinds.files, true),
            SFlag::S_IFLNK => (&mut kinds.links, true),
            SFlag::S_IFDIR => (&mut kinds.dirs, false),
            SFlag::S_IFCHR | SFlag::S_IFBLK => (&mut kinds.devices, false),
            _ => (&mut kinds.special, false),
        };
        *count += 1;
        if has_size {
            self.size = self.size.saturating_add(u64::try_from(stat.st_size).unwrap_or(0));
        }
    }

    /// Adds what another thread has counted.
    pub fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.kinds.add(&other.kinds);
        self.size = self.size.saturating_add(other.size);
        self.used.add(other.used);
        self.linked += other.linked;
        self.shares.add(other.shares);
        self.unreadable += other.unreadable;
    }

    /// The result.
    #[must_use]
    pub fn census(&self, linked: &Linked) -> Census {
        let shares = self.shares.used();
        let mut used = self.used;
        used.add(shares);
        Census {
            entries: self.entries,
            kinds: self.kinds,
            size: self.size,
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
    use super::{Bytes, Linked, Met, Tally};
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

    #[test]
    fn contents_are_copied_once_and_not_at_all_if_one_name_has_them() {
        let linked = Linked::default();
        for inode in 1..=2 {
            linked.meet(&stat(inode));
        }
        assert_eq!(linked.copy(&stat(1), false), Bytes::Added);
        assert_eq!(linked.copy(&stat(1), false), Bytes::AsBefore);
        assert_eq!(linked.copy(&stat(1), true), Bytes::TakenBack);
        assert_eq!(linked.copy(&stat(1), false), Bytes::AsBefore);
        assert_eq!(linked.copy(&stat(2), true), Bytes::AsBefore);
        assert_eq!(linked.copy(&stat(2), false), Bytes::AsBefore);
        assert_eq!(linked.copy(&stat(3), false), Bytes::AsBefore);
    }
}
