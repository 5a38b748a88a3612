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
    /// Those of which every name is wanted.
    wanted: HashSet<Original>,
    /// There were more than can be remembered.
    is_full: bool,
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

    /// Notes the copy of one name of a hard-linked inode of the source; `is_listed` if rsync is to look at that name.
    pub fn see(&self, original: Original, copy: Option<ino_t>, is_listed: bool) {
        let mut known = self.known();
        if known.copies.len() >= self.most || known.wanted.len() >= self.most {
            known.is_full = true;
            return;
        }
        let is_split = copy.is_some_and(|copy| *known.copies.entry(original).or_insert(copy) != copy);
        if is_split || is_listed {
            known.wanted.insert(original);
        }
    }

    /// Wants every name of these inodes.
    pub fn want(&self, originals: [Original; 2]) {
        self.known().wanted.extend(originals);
    }

    /// The inodes of the source of which every name has to be handed to rsync, since one is listed, or since they are
    /// not one file, or not alone, at the destination; `None` if there are too many to know.
    #[must_use]
    pub fn wanted(&self) -> Option<HashSet<Original>> {
        let known = self.known();
        (!known.is_full).then(|| known.wanted.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::Groups;

    #[test]
    fn a_group_is_wanted_if_it_is_split_or_a_name_is_listed() {
        let groups = Groups::default();
        for (original, copy, is_listed) in [
            ((1, 1), Some(10), false),
            ((1, 1), Some(10), false),
            ((1, 2), Some(20), false),
            ((1, 2), Some(21), false),
            ((1, 3), None, true),
        ] {
            groups.see(original, copy, is_listed);
        }
        assert_eq!(groups.wanted(), Some([(1, 2), (1, 3)].into()));
        groups.want([(1, 4), (1, 5)]);
        assert_eq!(groups.wanted().map(|wanted| wanted.len()), Some(4));
    }

    #[test]
    fn of_more_than_are_remembered_nothing_is_known() {
        let groups = Groups::with_room(3);
        (1..=3).for_each(|inode| groups.see((1, inode), Some(inode), false));
        assert_eq!(groups.wanted(), Some([].into()));
        groups.see((1, 4), Some(4), false);
        assert_eq!(groups.wanted(), None);
    }
}
