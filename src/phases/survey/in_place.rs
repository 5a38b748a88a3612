//! The files that may be written in place: large ones of which only the contents have changed.

use std::path::{Path, PathBuf};

use nix::libc::off_t;
use nix::sys::stat::{FileStat, SFlag};

use crate::fs::attributes;
use crate::tree::compare::Difference;
use crate::tree::pair::{Entry, Here, kind};

/// A smaller file is replaced, which costs little.
const LEAST: off_t = 1 << 20;

/// How many there are at most: the full pass gets rules for them, and all must fit into one command line.
const MOST: usize = 256;

/// The limit on the total length of their paths, in bytes.
const MOST_BYTES: usize = 64 << 10;

/// The largest of them.
#[derive(Debug, Default)]
pub struct InPlace(Vec<(off_t, PathBuf)>);

impl InPlace {
    /// Adds an entry, if it is such a file.
    ///
    /// What is written into a file shows under all its names and to whoever has it open. So it must have one name, and
    /// whoever may read the copy now must be allowed to read what comes.
    pub fn see(&mut self, here: &Here<'_>, entry: &Entry<'_>, difference: Difference) {
        let (Some(source), Some(copy)) = (entry.stats.source, entry.stats.destination) else { return };
        let (Some(from), Some(to)) = (here.dirs.source, here.dirs.destination) else { return };
        let is_alone = |stat: &FileStat| kind(stat) == SFlag::S_IFREG && stat.st_nlink == 1;
        let readers = |stat: &FileStat| (stat.st_uid, stat.st_gid, stat.st_mode);
        if difference == Difference::Content
            && source.st_size.min(copy.st_size) >= LEAST
            && is_alone(source)
            && is_alone(copy)
            && readers(source) == readers(copy)
            && attributes::are_equal(from, to, entry.name)
        {
            self.0.push((source.st_size, here.path_of(entry.name)));
            if self.0.len() >= 2 * MOST {
                self.keep_the_largest();
            }
        }
    }

    /// Adds what another thread has found.
    pub fn add(&mut self, other: Self) {
        self.0.extend(other.0);
        self.keep_the_largest();
    }

    fn keep_the_largest(&mut self) {
        self.0.sort_unstable_by(|one, other| other.cmp(one));
        self.0.truncate(MOST);
        let mut left = MOST_BYTES;
        self.0.retain(|(_, path)| {
            let length = path.as_os_str().len();
            let has_room = length <= left;
            left = left.saturating_sub(if has_room { length } else { 0 });
            has_room
        });
    }

    /// Their paths, relative to the roots.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(_, path)| &**path)
    }
}

#[cfg(test)]
mod tests {
    use super::{InPlace, MOST, MOST_BYTES};

    #[test]
    fn only_the_largest_are_kept() {
        let of = |name: &str, count: i64| InPlace((0..count).map(|size| (size, name.into())).collect());
        let mut all = of("a", 300);
        all.add(of("b", 300));
        assert_eq!(all.0.len(), MOST);
        assert_eq!(all.0[0], (299, "b".into()));
        assert!(all.0.iter().all(|(size, _)| *size >= 172));
        let mut long = of(&"x".repeat(4000), 200);
        long.add(of("b", 1));
        assert_eq!(long.0.len(), MOST_BYTES.div_ceil(4000));
        assert_eq!(long.paths().last().map(|path| path.as_os_str().len()), Some(1));
    }
}
