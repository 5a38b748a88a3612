//! The groups of hard-linked names at the source: rsync links only what it is given together.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::libc::{dev_t, ino_t};

/// An inode of the source, with its device.
pub type Original = (dev_t, ino_t);

/// How many inodes are remembered: some 20 MB.
const MOST: usize = 1 << 19;

/// What a survey has collected about them.
#[derive(Debug)]
pub struct Groups {
    known: Mutex<Known>,
    most: usize,
}

#[derive(Debug, Default)]
struct Known {
    /// The destination's inode by one name of each hard-linked inode of the source.
    copies: HashMap<Original, ino_t>,
    /// How many names are not listed of each inode of which one is.
    missing: HashMap<Original, u64>,
    /// Inodes whose names are not one file, or not alone, at the destination.
    split: HashSet<Original>,
    /// There were more than can be remembered.
    is_full: bool,
}

/// One name of a hard-linked inode of the source.
#[derive(Debug, Clone, Copy)]
pub struct Name {
    /// The inode.
    pub original: Original,
    /// How many names it has.
    pub names: u64,
    /// The destination's inode of this name.
    pub copy: Option<ino_t>,
    /// rsync is to look at this name.
    pub is_listed: bool,
}

impl Default for Groups {
    fn default() -> Self {
        Self::with_room(MOST)
    }
}

impl Groups {
    fn with_room(most: usize) -> Self {
        Self { known: Mutex::default(), most }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a name.
    pub fn see(&self, name: Name) {
        let Name { original, names, copy, is_listed } = name;
        let mut known = self.known();
        if known.copies.len() >= self.most || known.missing.len() >= self.most {
            known.is_full = true;
            return;
        }
        if copy.is_some_and(|copy| *known.copies.entry(original).or_insert(copy) != copy) {
            known.split.insert(original);
        }
        if is_listed {
            let missing = known.missing.entry(original).or_insert(names);
            *missing = missing.saturating_sub(1);
        }
    }

    /// Notes inodes that are one file at the destination.
    pub fn split(&self, originals: [Original; 2]) {
        self.known().split.extend(originals);
    }

    /// The inodes of the source of which every name has to be handed to rsync besides what is listed; `None` if there are
    /// too many to know.
    ///
    /// Where all names of a changed file are listed, as usual, nothing is left to be handed over.
    #[must_use]
    pub fn wanted(&self) -> Option<HashSet<Original>> {
        let known = self.known();
        if known.is_full {
            return None;
        }
        let partly = known.missing.iter().filter(|(_, missing)| **missing > 0).map(|(original, _)| *original);
        Some(partly.chain(known.split.iter().copied()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Groups, Name};

    fn see(groups: &Groups, inode: u64, copy: Option<u64>, is_listed: bool) {
        groups.see(Name { original: (1, inode), names: 2, copy, is_listed });
    }

    #[test]
    fn a_group_is_wanted_if_it_is_split_or_listed_in_part() {
        let groups = Groups::default();
        for (inode, copy, is_listed) in [
            (1, Some(10), false),
            (1, Some(10), false),
            (2, Some(20), false),
            (2, Some(21), false),
            (3, None, true),
            (3, Some(30), false),
            (4, None, true),
            (4, Some(40), true),
        ] {
            see(&groups, inode, copy, is_listed);
        }
        assert_eq!(groups.wanted(), Some([(1, 2), (1, 3)].into()));
        groups.split([(1, 4), (1, 5)]);
        assert_eq!(groups.wanted().map(|wanted| wanted.len()), Some(4));
    }

    #[test]
    fn of_more_than_are_remembered_nothing_is_known() {
        let groups = Groups::with_room(3);
        (1..=3).for_each(|inode| see(&groups, inode, Some(inode), false));
        assert_eq!(groups.wanted(), Some([].into()));
        see(&groups, 4, Some(4), false);
        assert_eq!(groups.wanted(), None);
    }
}
