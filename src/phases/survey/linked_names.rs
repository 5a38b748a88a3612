//! Which names of the source belong to hard-linked files: a bounded set with false positives but no false negatives.
//!
//! rsync copies a hard-linked file by one name and links the others to it. If that name vanishes before it is copied,
//! rsync skips the other names and still ends with 24 (measured from 3.2.3 to 3.5.1 with `--no-inc-recursive`; without
//! it, rsync hangs).

use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of bits in the set, a power of two: 16 MiB of memory if there are many such names. With ten million of
/// them, one name in fifty is a false positive.
const BITS: u64 = 1 << 27;

/// How many bits are allocated at once, when the first of them is set.
const CHUNK: u64 = 1 << 15;

/// How many bits each name sets.
const HASHES: u64 = 4;

/// The set.
#[derive(Debug)]
pub struct LinkedNames {
    /// A chunk that could not be allocated contains every name.
    chunks: Vec<OnceLock<Vec<AtomicU64>>>,
    hasher: RandomState,
}

/// A hash of a path relative to the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way(u64);

impl Default for LinkedNames {
    fn default() -> Self {
        let mut chunks = Vec::new();
        chunks.resize_with(usize::try_from(BITS / CHUNK).unwrap_or(0), OnceLock::new);
        Self { chunks, hasher: RandomState::new() }
    }
}

impl LinkedNames {
    /// The source itself.
    #[must_use]
    pub fn top(&self) -> Way {
        Way(0)
    }

    /// The entry of this name in the directory.
    #[must_use]
    pub fn below(&self, way: Way, name: &[u8]) -> Way {
        Way(self.hasher.hash_one((way.0, name)))
    }

    /// Adds an entry.
    pub fn add(&self, way: Way) {
        for (chunk, word, bit) in self.places(way) {
            if let Some(word) = chunk.get_or_init(zeros).get(word) {
                word.fetch_or(bit, Ordering::Relaxed);
            }
        }
    }

    /// Adds the entry of this name in the directory at this path relative to the source.
    pub fn add_at(&self, directory: &Path, name: &[u8]) {
        let way = directory.iter().fold(self.top(), |way, part| self.below(way, part.as_bytes()));
        self.add(self.below(way, name));
    }

    /// Whether the entry at this path relative to the source may be hard-linked.
    #[must_use]
    pub fn may_hold(&self, path: &[u8]) -> bool {
        let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
        let way = parts.fold(self.top(), |way, part| self.below(way, part));
        let is_set = |word: &AtomicU64, bit| word.load(Ordering::Relaxed) & bit != 0;
        self.places(way).all(|(chunk, word, bit)| {
            chunk.get().is_some_and(|words| words.get(word).is_none_or(|word| is_set(word, bit)))
        })
    }

    /// For each bit of a name: its chunk, the word in the chunk, and the bit in the word.
    fn places(&self, way: Way) -> impl Iterator<Item = (&OnceLock<Vec<AtomicU64>>, usize, u64)> {
        let step = (way.0 >> 32) | 1;
        (0..HASHES).filter_map(move |number| {
            let bit = way.0.wrapping_add(step.wrapping_mul(number)) & (BITS - 1);
            let chunk = self.chunks.get(usize::try_from(bit / CHUNK).ok()?)?;
            Some((chunk, usize::try_from(bit % CHUNK / 64).ok()?, 1 << (bit % 64)))
        })
    }
}

/// Allocates the words of a chunk; empty if there is no memory.
fn zeros() -> Vec<AtomicU64> {
    let count = usize::try_from(CHUNK / 64).unwrap_or(0);
    let mut words = Vec::new();
    if words.try_reserve_exact(count).is_ok() {
        words.resize_with(count, AtomicU64::default);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::LinkedNames;

    #[test]
    fn what_was_added_is_held_and_little_else() {
        let names = LinkedNames::default();
        let dir = names.below(names.top(), b"directory");
        for number in 0..1000 {
            names.add(names.below(dir, format!("{number}").as_bytes()));
        }
        for number in 0..1000 {
            assert!(names.may_hold(format!("directory/{number}").as_bytes()));
        }
        let wrong = (0..1000).filter(|number| names.may_hold(format!("other/{number}").as_bytes())).count();
        assert!(wrong < 3, "{wrong}");
        assert!(!names.may_hold(b"directory") && !names.may_hold(b""));
    }
}
