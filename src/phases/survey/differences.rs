//! What a clone would change at the destination.

use std::path::{Path, PathBuf};

use log::info;
use nix::sys::stat::{FileStat, SFlag};

use crate::display;
use crate::marker::Prefix;
use crate::phases::survey::tally::{Bytes, Linked, content};
use crate::tree::compare::Difference;
use crate::tree::pair::{Entry, Here, kind};

/// How many paths are kept of each kind.
pub const EXAMPLES: usize = 5;

/// What only the destination has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Names.
    pub entries: u64,
    /// Bytes of regular files' contents, as in [`Census::content`](super::census::Census::content): of hard-linked files
    /// only those that lose all their names.
    pub bytes: u64,
}

/// The first paths in the order of their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct First(Vec<PathBuf>);

impl First {
    fn add(&mut self, path: impl FnOnce() -> PathBuf, above: &Path) {
        // All that is below a directory comes after it.
        if self.0.len() >= EXAMPLES && self.0.last().is_some_and(|last| above > last.as_path()) {
            return;
        }
        let path = path();
        let at = self.0.partition_point(|known| *known < path);
        if at < EXAMPLES {
            self.0.insert(at, path);
            self.0.truncate(EXAMPLES);
        }
    }

    /// The paths, relative to the destination.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.0
    }
}

/// The hard-linked inodes of both ends.
#[derive(Debug, Clone, Copy)]
pub struct Both<'a> {
    /// The source's.
    pub source: &'a Linked,
    /// The destination's.
    pub destination: &'a Linked,
}

/// The differences of both ends.
#[derive(Debug, Default)]
pub struct Differences {
    /// How many entries only the source has.
    pub created: u64,
    /// How many have other contents or another type at the source.
    pub replaced: u64,
    /// How many have other attributes at the source.
    attributes: u64,
    /// How many only the destination has.
    deleted: u64,
    /// The bytes of those that have no other name, never overestimated.
    gone: i128,
    /// The first of what only the destination has, without what is below it.
    pub first_deleted: First,
    /// What is deleted or replaced, but for our own files, and the directories that are deleted.
    pub lost: (u64, u64),
    /// The first of what is lost.
    pub first_lost: First,
    /// Bytes that have to be written, never overestimated: each hard-linked file once, and none that has a copy.
    written: i128,
    /// Bytes in use at the destination by what is deleted or replaced, never underestimated.
    pub freed: u64,
    /// The most that one replaced file takes while its old copy is still there, both together, in bytes.
    pub largest: u64,
}

/// The bytes that a file and its old copy take together.
#[must_use]
pub fn both(source: &FileStat, destination: &FileStat) -> u64 {
    content(source).saturating_add(content(destination))
}

impl Differences {
    /// Adds an entry.
    /// `is_in_place` if its copy is written over, instead of replaced.
    pub fn see(
        &mut self,
        here: &Here<'_>,
        entry: &Entry<'_>,
        difference: Difference,
        linked: Both<'_>,
        is_in_place: bool,
    ) {
        if let Some(destination) = entry.stats.destination {
            self.keep(linked.destination, destination, entry.stats.source.is_some());
        }
        let linked = linked.source;
        match (entry.stats.source, entry.stats.destination) {
            (Some(source), None) => {
                self.created += 1;
                self.write(linked, source, false);
            }
            (None, Some(destination)) => self.delete(here, entry, destination),
            (Some(source), Some(destination)) => {
                if !is_in_place {
                    self.need_both(source, destination, difference);
                }
                self.differ(here, entry, (source, destination), difference, linked);
            }
            (None, None) => {}
        }
    }

    /// Counts a copy that is kept until the new one is whole.
    fn need_both(&mut self, source: &FileStat, destination: &FileStat, difference: Difference) {
        if matches!(difference, Difference::Content | Difference::Kind) {
            self.largest = self.largest.max(both(source, destination));
        }
    }

    fn differ(
        &mut self,
        here: &Here<'_>,
        entry: &Entry<'_>,
        (source, destination): (&FileStat, &FileStat),
        difference: Difference,
        linked: &Linked,
    ) {
        match difference {
            Difference::Nothing => self.write(linked, source, true),
            Difference::Attributes => {
                self.attributes += 1;
                self.write(linked, source, true);
            }
            Difference::Content | Difference::Kind => {
                self.replaced += 1;
                self.write(linked, source, false);
                self.free(destination);
                self.lost.0 += 1;
                self.first_lost.add(|| here.path_of(entry.name), here.path);
            }
        }
    }

    fn delete(&mut self, here: &Here<'_>, entry: &Entry<'_>, destination: &FileStat) {
        self.deleted += 1;
        self.free(destination);
        let is_dir = kind(destination) == SFlag::S_IFDIR;
        if here.dirs.source.is_some() {
            self.first_deleted.add(|| here.path_of(entry.name), here.path);
        }
        // What an earlier failure left under the original's prefix is ours, so it is no loss.
        let path = here.path_of(entry.name);
        if here.path.as_os_str().is_empty() && Prefix::default().owns(path.as_os_str()) {
            return;
        }
        if is_dir {
            self.lost.1 += 1;
        } else {
            self.lost.0 += 1;
        }
        self.first_lost.add(|| path, here.path);
    }

    fn write(&mut self, linked: &Linked, source: &FileStat, is_same: bool) {
        if kind(source) != SFlag::S_IFREG {
            return;
        }
        let bytes = content(source);
        if source.st_nlink > 1 {
            match linked.copy(source, is_same) {
                Bytes::Added => self.written += i128::from(bytes),
                Bytes::TakenBack => self.written -= i128::from(bytes),
                Bytes::AsBefore => {}
            }
        } else if !is_same {
            self.written += i128::from(bytes);
        }
    }

    /// Counts the bytes of what has no name left.
    fn keep(&mut self, linked: &Linked, destination: &FileStat, is_kept: bool) {
        let bytes = content(destination);
        if destination.st_nlink <= 1 || kind(destination) == SFlag::S_IFDIR {
            self.gone += if is_kept { 0 } else { i128::from(bytes) };
            return;
        }
        match linked.copy(destination, is_kept) {
            Bytes::Added => self.gone += i128::from(bytes),
            Bytes::TakenBack => self.gone -= i128::from(bytes),
            Bytes::AsBefore => {}
        }
    }

    fn free(&mut self, destination: &FileStat) {
        let blocks = u64::try_from(destination.st_blocks).unwrap_or(0);
        self.freed = self.freed.saturating_add(blocks.saturating_mul(512));
    }

    /// Adds what another thread has seen.
    pub fn add(&mut self, other: Self) {
        self.created += other.created;
        self.replaced += other.replaced;
        self.attributes += other.attributes;
        self.deleted += other.deleted;
        self.lost = (self.lost.0 + other.lost.0, self.lost.1 + other.lost.1);
        self.written += other.written;
        self.gone += other.gone;
        self.freed = self.freed.saturating_add(other.freed);
        self.largest = self.largest.max(other.largest);
        for (first, others) in
            [(&mut self.first_deleted, other.first_deleted), (&mut self.first_lost, other.first_lost)]
        {
            others.0.into_iter().for_each(|path| first.add(|| path, Path::new("")));
        }
    }

    /// What only the destination has.
    #[must_use]
    pub fn deleted(&self) -> Deleted {
        Deleted { entries: self.deleted, bytes: u64::try_from(self.gone).unwrap_or(0) }
    }

    /// Logs the numbers, and the first paths that only the destination has.
    pub fn log(&self) {
        let Self { created, replaced, attributes, deleted, .. } = self;
        info!(
            "Entries that differ: only at the source {created}, in their contents {replaced}, in attributes alone \
             {attributes}, only at the destination {deleted}."
        );
        for path in self.first_deleted.paths() {
            info!("Only at the destination: {}", display::path(path));
        }
    }

    /// Bytes that have to be written: each hard-linked file counts once, and not at all if the clone has it.
    #[must_use]
    pub fn written(&self) -> u64 {
        u64::try_from(self.written).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::First;
    use std::path::{Path, PathBuf};

    #[test]
    fn the_first_paths_are_kept_in_whatever_order_they_come() {
        let names = ["f", "b/x", "a", "c", "b", "e", "d"];
        let (mut forth, mut back) = (First::default(), First::default());
        let add = |first: &mut First, name: &str| {
            let path = PathBuf::from(name);
            let above = path.parent().unwrap_or(Path::new("")).to_owned();
            first.add(|| path, &above);
        };
        for (name, last) in names.iter().zip(names.iter().rev()) {
            add(&mut forth, name);
            add(&mut back, last);
        }
        assert_eq!(forth, back);
        assert_eq!(forth.paths(), ["a", "b", "b/x", "c", "d"].map(PathBuf::from));
    }
}
