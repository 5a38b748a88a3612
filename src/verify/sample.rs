//! Which files are read: all, a share of them, every day others and the same all day, one part after the other, or those that
//! were repaired.

use std::collections::HashSet;
use std::hash::Hasher as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use chrono::Utc;
use siphasher::sip::SipHasher13;

use crate::plan::share::{Share, WHOLE};

/// The seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// The files that are read.
#[derive(Debug)]
pub enum Chosen {
    /// All.
    All,
    /// A share of them.
    Sample(Sample),
    /// One part of so many, to which a path always belongs.
    Part {
        /// Its number, from 0 on.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// Those at these paths.
    Paths(HashSet<PathBuf>),
}

impl Chosen {
    /// Today's share of all files, or all.
    #[must_use]
    pub fn of_today(share: Option<Share>) -> Self {
        let today = u64::try_from(Utc::now().timestamp() / DAY).unwrap_or(0);
        share.map_or(Self::All, |share| Self::Sample(Sample::new(share, today)))
    }

    /// Whether the file at this path is one of them.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        match self {
            Self::All => true,
            Self::Sample(sample) => sample.has(path),
            Self::Part { number, of } => hash(0, path) % (*of as u64) == *number as u64,
            Self::Paths(paths) => paths.contains(path),
        }
    }

    /// How many bytes are read of so many; `None` if that is not known.
    #[must_use]
    pub fn of(&self, bytes: u64) -> Option<u64> {
        match self {
            Self::All => Some(bytes),
            Self::Sample(sample) => Some(sample.of(bytes)),
            Self::Part { of, .. } => Some(bytes / *of as u64),
            Self::Paths(_) => None,
        }
    }
}

fn hash(key: u64, path: &Path) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(key, 0);
    hasher.write(path.as_os_str().as_bytes());
    hasher.finish()
}

/// A choice of files by chance.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    share: u32,
    day: u64,
}

impl Sample {
    /// This share of all files, on this day.
    #[must_use]
    pub fn new(share: Share, day: u64) -> Self {
        Self { share: share.0, day }
    }

    /// Whether the file at this path is one of them.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        hash(self.day, path) % u64::from(WHOLE) < u64::from(self.share)
    }

    /// The share of a number of bytes.
    #[must_use]
    pub fn of(&self, bytes: u64) -> u64 {
        let share = u128::from(bytes) * u128::from(self.share) / u128::from(WHOLE);
        u64::try_from(share).unwrap_or(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Chosen, Sample};
    use crate::plan::share::Share;

    #[test]
    fn every_path_belongs_to_one_part_and_all_parts_are_alike() {
        let mut sizes = [0; 7];
        for number in 0..7_000 {
            let path = PathBuf::from(format!("directory/{number}"));
            let parts = (0..7).filter(|part| Chosen::Part { number: *part, of: 7 }.has(&path));
            let parts: Vec<usize> = parts.collect();
            assert_eq!(parts.len(), 1, "{number}");
            sizes[parts[0]] += 1;
        }
        assert!(sizes.iter().all(|size| (800..1200).contains(size)), "{sizes:?}");
        assert_eq!(Chosen::Part { number: 0, of: 7 }.of(70), Some(10));
    }

    #[test]
    fn each_day_has_its_share_and_another_than_the_next() {
        let paths: Vec<PathBuf> = (0..20_000).map(|number| format!("directory/{number}").into()).collect();
        let chosen = |day| {
            let sample = Sample::new(Share(5_000), day);
            paths.iter().filter(|path| sample.has(path)).collect::<Vec<_>>()
        };
        let (today, tomorrow) = (chosen(20_000), chosen(20_001));
        assert_eq!(today, chosen(20_000));
        assert!((800..1200).contains(&today.len()) && (800..1200).contains(&tomorrow.len()));
        let both = today.iter().filter(|path| tomorrow.contains(path)).count();
        assert!(both < 150, "{both}");
        let all = Sample::new(Share(100_000), 1);
        assert!(paths.iter().all(|path| all.has(path)));
        assert_eq!((Sample::new(Share(5_000), 1).of(1000), all.of(u64::MAX)), (50, u64::MAX));
    }
}
