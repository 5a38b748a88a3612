//! The files that may be written in place: large ones of which only the contents have changed.

use std::path::{Path, PathBuf};

use nix::libc::off_t;
use nix::sys::stat::{FileStat, SFlag};

use crate::fs::attributes;
use crate::phases::survey::differences::both;
use crate::tree::compare::Difference;
use crate::tree::pair::{Entry, Here, kind};

/// A smaller file is replaced, which costs little.
const LEAST: off_t = 1 << 20;

/// How many there are at most: the full pass gets rules for them, and all must fit into one command line.
const MOST: usize = 256;

/// The limit on the total length of their paths, in bytes.
const MOST_BYTES: usize = 64 << 10;

/// One of them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Large {
    size: off_t,
    path: PathBuf,
    /// What it and its old copy take together, in bytes.
    both: u64,
}

/// The largest of them.
#[derive(Debug, Default)]
pub struct InPlace {
    files: Vec<Large>,
    /// The most that one of those that are replaced after all takes together with its old copy, in bytes.
    pub replaced: u64,
}

impl InPlace {
    /// Adds an entry, if it is such a file; returns whether it is.
    ///
    /// What is written into a file shows under all its names and to whoever has it open. So it must have one name, and
    /// whoever may read the copy now must be allowed to read what comes.
    pub fn see(&mut self, here: &Here<'_>, entry: &Entry<'_>, difference: Difference) -> bool {
        let (Some(source), Some(copy)) = (entry.stats.source, entry.stats.destination) else { return false };
        let (Some(from), Some(to)) = (here.dirs.source, here.dirs.destination) else { return false };
        let is_alone = |stat: &FileStat| kind(stat) == SFlag::S_IFREG && stat.st_nlink == 1;
        let readers = |stat: &FileStat| (stat.st_uid, stat.st_gid, stat.st_mode);
        let is_fit = difference == Difference::Content
            && source.st_size.min(copy.st_size) >= LEAST
            && is_alone(source)
            && is_alone(copy)
            && readers(source) == readers(copy)
            && attributes::are_equal(from, to, entry.name);
        if is_fit {
            let (path, both) = (here.path_of(entry.name), both(source, copy));
            self.files.push(Large { size: source.st_size, path, both });
            if self.files.len() >= 2 * MOST {
                self.keep_the_largest();
            }
        }
        is_fit
    }

    /// Adds what another thread has found.
    pub fn add(&mut self, other: Self) {
        self.files.extend(other.files);
        self.replaced = self.replaced.max(other.replaced);
        self.keep_the_largest();
    }

    fn keep_the_largest(&mut self) {
        self.files.sort_unstable_by(|one, other| other.cmp(one));
        let (mut kept, mut left) = (0, MOST_BYTES);
        self.files.retain(|file| {
            let length = file.path.as_os_str().len();
            let has_room = kept < MOST && length <= left;
            if has_room {
                kept += 1;
                left -= length;
            } else {
                self.replaced = self.replaced.max(file.both);
            }
            has_room
        });
    }

    /// Their paths, relative to the roots.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| &*file.path)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{InPlace, Large, MOST, MOST_BYTES};

    #[test]
    fn only_the_largest_are_kept() {
        let of = |name: &str, count: i64| {
            let large = |size| Large { size, path: name.into(), both: u64::try_from(size).unwrap() };
            InPlace { files: (0..count).map(large).collect(), replaced: 0 }
        };
        let mut all = of("a", 300);
        all.add(of("b", 300));
        assert_eq!(all.files.len(), MOST);
        assert_eq!((all.files[0].size, all.paths().next()), (299, Some(Path::new("b"))));
        assert!(all.files.iter().all(|file| file.size >= 172));
        assert_eq!(all.replaced, 171);
        let mut long = of(&"x".repeat(4000), 200);
        long.add(of("b", 1));
        assert_eq!(long.files.len(), MOST_BYTES.div_ceil(4000));
        assert_eq!(long.paths().last().map(|path| path.as_os_str().len()), Some(1));
        assert_eq!(long.replaced, 199 - MOST_BYTES as u64 / 4000);
    }
}
