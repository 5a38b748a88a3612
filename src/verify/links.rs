//! Hard links: which names are one file, on each side.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use nix::libc::{dev_t, ino_t};
use nix::sys::stat::{FileStat, SFlag};

use crate::tree::pair::kind;

/// How many inodes are remembered on each side: anybody who can create links could fill the memory.
const MOST: usize = 1 << 20;

/// An inode, with its device.
type Inode = (dev_t, ino_t);

/// The inodes of hard-linked entries, each way.
#[derive(Debug, Default)]
pub struct Links(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    copies: HashMap<Inode, Inode>,
    originals: HashMap<Inode, Inode>,
    /// Those whose contents were chosen to be read.
    read: HashSet<Inode>,
}

/// What is known of two entries of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linked {
    /// They agree with all names before.
    Agree,
    /// Other names of the source's file are another file in the clone, or the other way round.
    Differ,
    /// There are too many to remember.
    Unknown,
}

impl Links {
    /// Whether this pair agrees with all before it.
    pub fn see(&self, source: &FileStat, copy: &FileStat) -> Linked {
        if !is_linked(source, copy) {
            return Linked::Agree;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (source, copy) = (inode(source), inode(copy));
        let (there, here) = (known.copies.get(&source).copied(), known.originals.get(&copy).copied());
        if there.is_some_and(|there| there != copy) || here.is_some_and(|here| here != source) {
            return Linked::Differ;
        }
        if there.is_some() && here.is_some() {
            return Linked::Agree;
        }
        let has_room = known.copies.len() < MOST
            && known.copies.try_reserve(1).is_ok()
            && known.originals.try_reserve(1).is_ok();
        if !has_room {
            return Linked::Unknown;
        }
        known.copies.insert(source, copy);
        known.originals.insert(copy, source);
        Linked::Agree
    }

    /// Whether this pair is the first of its file that is to be read; `true` also if that is not known.
    pub fn is_first_read(&self, source: &FileStat, copy: &FileStat) -> bool {
        if source.st_nlink <= 1 {
            return true;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.copies.get(&inode(source)) != Some(&inode(copy)) {
            return true;
        }
        known.read.len() >= MOST || known.read.try_reserve(1).is_err() || known.read.insert(inode(source))
    }
}

fn inode(stat: &FileStat) -> Inode {
    (stat.st_dev, stat.st_ino)
}

fn is_linked(source: &FileStat, copy: &FileStat) -> bool {
    (source.st_nlink > 1 || copy.st_nlink > 1) && kind(source) != SFlag::S_IFDIR
}

#[cfg(test)]
mod tests {
    use super::{Linked, Links};

    #[test]
    fn names_are_one_file_on_both_sides_or_on_neither() {
        let stat = |inode, links| {
            let mut stat = nix::sys::stat::stat("/").unwrap();
            (stat.st_mode, stat.st_ino, stat.st_nlink) = (0o100_644, inode, links);
            stat
        };
        let links = Links::default();
        assert_eq!(links.see(&stat(1, 2), &stat(11, 2)), Linked::Agree);
        assert!(links.is_first_read(&stat(1, 2), &stat(11, 2)));
        assert_eq!(links.see(&stat(1, 2), &stat(11, 2)), Linked::Agree);
        assert!(!links.is_first_read(&stat(1, 2), &stat(11, 2)));
        // Split in the clone, and joined there.
        assert_eq!(links.see(&stat(1, 2), &stat(12, 1)), Linked::Differ);
        assert!(links.is_first_read(&stat(1, 2), &stat(12, 1)));
        assert_eq!(links.see(&stat(2, 1), &stat(11, 2)), Linked::Differ);
        // Single files are not remembered.
        assert_eq!(links.see(&stat(3, 1), &stat(13, 1)), Linked::Agree);
        assert_eq!(links.0.lock().unwrap().copies.len(), 1);
    }
}
