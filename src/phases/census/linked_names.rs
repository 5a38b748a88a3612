//! Which names of the source are one of several of a file: a set of bounded size, that may hold a name too many but never
//! one too few.
//!
//! rsync copies such a file by one name and links the others to it. When that name vanishes before it is copied, rsync
//! passes the other names over, and its code is 24 all the same (measured from 3.2.3 to 3.5.1 with `--no-inc-recursive`;
//! without it, it waits for ever).

use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bits of the set, a power of two: 16 MiB of memory where there are many such names. With ten million of them one
/// name in fifty is taken for such a one and is none.
const BITS: u64 = 1 << 27;

/// How many bits a name sets.
const HASHES: u64 = 4;

/// The set.
#[derive(Debug)]
pub struct LinkedNames {
    /// Empty where there was no memory for it; then every name counts as held.
    words: Vec<AtomicU64>,
    hasher: RandomState,
}

/// A path below the source, or what is kept of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way(u64);

impl Default for LinkedNames {
    fn default() -> Self {
        let count = usize::try_from(BITS / 64).unwrap_or(0);
        let mut words = Vec::new();
        if words.try_reserve_exact(count).is_ok() {
            words.resize_with(count, AtomicU64::default);
        }
        Self { words, hasher: RandomState::new() }
    }
}

impl LinkedNames {
    /// The source itself.
    #[must_use]
    pub fn top(&self) -> Way {
        Way(0)
    }

    /// The entry of this name there.
    #[must_use]
    pub fn below(&self, way: Way, name: &[u8]) -> Way {
        Way(self.hasher.hash_one((way.0, name)))
    }

    /// Adds an entry.
    pub fn add(&self, way: Way) {
        for (word, bit) in self.places(way) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Adds the entry of this name in the directory at this path below the source.
    pub fn add_at(&self, directory: &Path, name: &[u8]) {
        let way = directory.iter().fold(self.top(), |way, part| self.below(way, part.as_bytes()));
        self.add(self.below(way, name));
    }

    /// Whether the entry at this path below the source may be one of them.
    #[must_use]
    pub fn may_hold(&self, path: &[u8]) -> bool {
        let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
        let way = parts.fold(self.top(), |way, part| self.below(way, part));
        self.places(way).all(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    fn places(&self, way: Way) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let step = (way.0 >> 32) | 1;
        (0..HASHES).filter_map(move |number| {
            let bit = way.0.wrapping_add(step.wrapping_mul(number)) & (BITS - 1);
            let word = self.words.get(usize::try_from(bit / 64).ok()?)?;
            Some((word, 1 << (bit % 64)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::LinkedNames;

    #[test]
    fn what_was_added_is_held_and_little_else() {
        let names = LinkedNames::default();
        let folder = names.below(names.top(), b"folder");
        for number in 0..1000 {
            names.add(names.below(folder, format!("{number}").as_bytes()));
        }
        for number in 0..1000 {
            assert!(names.may_hold(format!("folder/{number}").as_bytes()));
        }
        let wrong = (0..1000).filter(|number| names.may_hold(format!("other/{number}").as_bytes())).count();
        assert!(wrong < 3, "{wrong}");
        assert!(!names.may_hold(b"folder") && !names.may_hold(b""));
    }
}
