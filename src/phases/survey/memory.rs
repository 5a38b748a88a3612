//! What a survey knows from the last clone, and what it learns for the next.

use std::ffi::CStr;
use std::time::Duration;

use nix::sys::stat::{FileStat, SFlag, fstat};

use crate::fs::attributes;
use crate::fs::nameless;
use crate::phases::survey::list::{List, Why};
use crate::tree::compare::Difference;
use crate::tree::index::{Index, Key, Place};
use crate::tree::pair::{Entry, Here, kind};

/// A point in time by the clock that stamps changes of inodes, in seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds of the second.
    pub nanoseconds: i64,
}

/// How much earlier than a moment a change must be to be certainly before it, in nanoseconds: a few ticks of the clock.
const TICKS: i64 = 20_000_000;

/// The same where changes are stamped with whole seconds.
const SECONDS: i64 = 2;

impl Stamp {
    /// This moment, by the clock that stamps inodes: no other can be compared with it. Errors where a file without a name
    /// cannot be created.
    pub fn now() -> std::io::Result<Self> {
        let file = nameless::create()?;
        Ok(Self::of(&nix::sys::stat::fstat(&file)?))
    }

    /// The same, or the time by the system's clock where that cannot be had.
    #[must_use]
    pub fn about_now() -> Self {
        Self::now().unwrap_or_else(|_| {
            let now = chrono::Utc::now();
            Self { seconds: now.timestamp(), nanoseconds: i64::from(now.timestamp_subsec_nanos()) }
        })
    }

    /// How long after another moment it is; `None` if it is before.
    #[must_use]
    pub fn since(self, earlier: Self) -> Option<Duration> {
        let nanoseconds =
            |stamp: Self| i128::from(stamp.seconds) * 1_000_000_000 + i128::from(stamp.nanoseconds);
        let passed = u64::try_from(nanoseconds(self) - nanoseconds(earlier)).ok()?;
        Some(Duration::from_nanos(passed))
    }

    /// When an inode last changed.
    #[must_use]
    pub fn of(stat: &FileStat) -> Self {
        Self { seconds: stat.st_ctime, nanoseconds: stat.st_ctime_nsec }
    }

    /// Whether a change with this stamp certainly happened before that moment, and none with the same stamp can follow.
    #[must_use]
    pub fn is_before(self, moment: Self) -> bool {
        let mut margin = self;
        if self.nanoseconds == 0 {
            margin.seconds = margin.seconds.saturating_add(SECONDS);
        } else {
            margin.nanoseconds += TICKS;
            if margin.nanoseconds >= 1_000_000_000 {
                margin.nanoseconds -= 1_000_000_000;
                margin.seconds = margin.seconds.saturating_add(1);
            }
        }
        margin < moment
    }
}

/// The moments before which changes were seen by what has run since.
#[derive(Debug, Clone, Copy)]
pub struct Settled {
    /// What changed at the source before this moment is in the clone.
    pub source: Stamp,
    /// What changed at the destination before this moment was not changed since.
    pub destination: Stamp,
}

/// What a survey compares with.
#[derive(Debug, Clone, Copy)]
pub struct Memory<'a> {
    /// The key of the hashes.
    pub key: Key,
    /// The index of the last clone.
    pub index: Option<&'a Index>,
    /// Set after a transfer: from then on equal metadata prove equal contents.
    pub settled: Option<Settled>,
    /// rsync copies attributes and access control lists, so they have to be equal too.
    pub attributes: bool,
    /// After this moment neither side was found to have any.
    pub plain: Option<Stamp>,
    /// When the survey began.
    pub began: Option<Stamp>,
}

/// What one thread has found with it.
#[derive(Debug, Default)]
pub struct Found {
    place: Place,
    /// What is to be handed to rsync.
    pub list: List,
    /// The hashes of what was proved equal and is not in the index.
    pub keys: Vec<u64>,
    /// A directory of the source has changed since the survey began.
    pub moves: bool,
}

impl Memory<'_> {
    /// The entries of a directory follow.
    pub fn enter(&self, here: &Here<'_>, found: &mut Found) {
        found.place = self.key.place(here.path);
    }

    /// The entries of a directory have been seen. One that changes meanwhile may have lost a name to a directory that was
    /// listed before: such a name was seen nowhere, although it was always there.
    pub fn leave(&self, here: &Here<'_>, found: &mut Found) {
        if let (Some(began), Some(dir)) = (self.began, here.dirs.source) {
            found.moves |= fstat(dir).map_or(true, |stat| !Stamp::of(&stat).is_before(began));
        }
    }

    /// Whether an entry has not changed since the last clone.
    #[must_use]
    pub fn knows(&self, entry: &Entry<'_>, found: &Found) -> bool {
        let (Some(source), Some(destination), Some(index)) =
            (entry.stats.source, entry.stats.destination, self.index)
        else {
            return false;
        };
        index.meets(self.key.entry(found.place, entry.name.to_bytes(), source, Some(destination)))
    }

    /// Whether what metadata do not show is equal as well.
    #[must_use]
    pub fn has_equal_attributes(
        &self,
        here: &Here<'_>,
        name: &CStr,
        (source, copy): (&FileStat, &FileStat),
    ) -> bool {
        let (Some(source_dir), Some(copy_dir)) = (here.dirs.source, here.dirs.destination) else {
            return false;
        };
        if !self.attributes {
            return true;
        }
        let is_plain = |stat| self.plain.is_some_and(|moment| Stamp::of(stat).is_before(moment));
        match (is_plain(source), is_plain(copy)) {
            (true, true) => true,
            (true, false) => attributes::has_none(copy_dir, name),
            (false, _) => attributes::are_equal(source_dir, copy_dir, name),
        }
    }

    /// Whether it is worth knowing that there are no attributes at all: before a full pass, and if a later survey finds
    /// those that have come meanwhile.
    #[must_use]
    pub fn asks_for_attributes(self) -> bool {
        self.attributes && self.index.is_none() && self.settled.is_none()
    }

    /// Lists an entry that is not known, if rsync has to look at it; returns whether it has.
    pub fn judge(
        &self,
        here: &Here<'_>,
        entry: &Entry<'_>,
        difference: Difference,
        found: &mut Found,
    ) -> bool {
        let why = match (entry.stats.source, entry.stats.destination) {
            (Some(source), Some(destination)) if difference == Difference::Nothing => {
                let both = (source, destination);
                match self.settled.filter(|settled| Stamp::of(source).is_before(settled.source)) {
                    // rsync gets some access control lists right only at the second attempt.
                    Some(_) if !self.has_equal_attributes(here, entry.name, both) => Why::Changed,
                    Some(settled) => {
                        if Stamp::of(destination).is_before(settled.destination)
                            && found.keys.try_reserve(1).is_ok()
                        {
                            let name = entry.name.to_bytes();
                            found.keys.push(self.key.entry(found.place, name, source, Some(destination)));
                        }
                        return false;
                    }
                    None if kind(source) == SFlag::S_IFREG => Why::Doubtful,
                    None => Why::Changed,
                }
            }
            // What has other attributes may have other contents too: the place of one file may have been taken by another.
            (Some(source), Some(_))
                if difference == Difference::Attributes && kind(source) == SFlag::S_IFREG =>
            {
                Why::Doubtful
            }
            (Some(_), _) => Why::Changed,
            // What is below it goes with it.
            (None, Some(_)) if here.dirs.source.is_some() => {
                if entry.is_left_out {
                    found.list.require_rules();
                }
                Why::Deleted
            }
            (None, _) => return false,
        };
        found.list.add(why, here, entry.name);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Stamp;

    #[test]
    fn what_changed_within_a_few_ticks_is_not_before() {
        let stamp = |seconds, nanoseconds| Stamp { seconds, nanoseconds };
        assert!(stamp(5, 1).is_before(stamp(5, 30_000_000)) && !stamp(5, 1).is_before(stamp(5, 20_000_001)));
        assert!(stamp(5, 990_000_000).is_before(stamp(6, 20_000_000)));
        assert!(!stamp(5, 990_000_000).is_before(stamp(6, 5_000_000)));
        // A filesystem that stamps whole seconds.
        assert!(!stamp(5, 0).is_before(stamp(6, 900_000_000)) && stamp(5, 0).is_before(stamp(7, 1)));
    }
}
