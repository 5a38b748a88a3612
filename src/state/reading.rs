//! What of a clone was read again, and when.

use serde::{Deserialize, Serialize};

use crate::record::{Moment, Verification};

/// How soon after one turn the next is due, in seconds: half a day, since runs do not all take equally long.
const PAUSE: i64 = 12 * 60 * 60;

/// What was read again of the clone on one disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// When each part of the files was read last, in seconds since 1970; 0 for never. The hash of a path says to which part
    /// it belongs.
    parts: Vec<i64>,
    /// What is known by now.
    pub known: Verification,
}

/// What was read at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All files.
    All,
    /// One part of so many.
    Part {
        /// Its number, from 0 on.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// Some files.
    Some,
}

/// What a verification has counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Damaged entries.
    pub damaged: u64,
    /// Entries that could not be compared.
    pub not_compared: u64,
}

impl Reading {
    /// The part to read next of so many: the one that has waited for the longest time. `None` if one was read so shortly
    /// before `now` that the next is not due yet.
    #[must_use]
    pub fn next(known: Option<&Self>, of: usize, now: i64) -> Option<usize> {
        let Some(known) = known else { return Some(0) };
        // One in the future is the work of a wrong clock.
        if known.parts.len() == of
            && known.parts.iter().any(|read| (0..PAUSE).contains(&now.saturating_sub(*read)))
        {
            return None;
        }
        let parts = known.divided(of);
        (0..of).min_by_key(|number| parts.get(*number).copied().filter(|read| *read <= now).unwrap_or(0))
    }

    /// What is known after another verification.
    #[must_use]
    pub fn after(known: Option<&Self>, extent: Extent, at: &Moment, counts: Counts) -> Self {
        let mut parts = match (extent, known) {
            (Extent::All, _) => vec![at.epoch],
            (Extent::Part { of, .. }, Some(known)) => known.divided(of),
            (Extent::Part { of, .. }, None) => vec![0; of],
            (Extent::Some, known) => known.map_or(vec![0], |known| known.parts.clone()),
        };
        if let Extent::Part { number, .. } = extent
            && let Some(part) = parts.get_mut(number)
        {
            *part = at.epoch;
        }
        let oldest = parts.iter().min().copied().filter(|epoch| *epoch > 0);
        let earlier = known.and_then(|known| known.known.damage_found.clone());
        // Once everything has been read since, and nothing was damaged, it was repaired.
        let is_read_since = |found: &Moment| oldest.is_some_and(|oldest| oldest > found.epoch);
        let earlier = earlier.filter(|found| extent != Extent::All && !is_read_since(found));
        let Counts { files, bytes, damaged, not_compared } = counts;
        Self {
            parts,
            known: Verification {
                at: at.clone(),
                files,
                bytes,
                damaged,
                not_compared,
                oldest: oldest.and_then(Moment::at),
                damage_found: if damaged > 0 { Some(at.clone()) } else { earlier },
            },
        }
    }

    /// Other parts than before: of each is only known what is known of all.
    fn divided(&self, of: usize) -> Vec<i64> {
        if self.parts.len() == of {
            return self.parts.clone();
        }
        vec![self.parts.iter().min().copied().unwrap_or(0); of]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;
    const START: i64 = 20_000 * DAY;

    fn at(epoch: i64) -> Moment {
        Moment { rfc3339: String::new(), epoch }
    }

    fn nights(
        known: Option<Reading>,
        of: usize,
        days: std::ops::Range<i64>,
    ) -> (Option<Reading>, Vec<usize>) {
        let (mut known, mut turns) = (known, Vec::new());
        for day in days {
            let now = START + day * DAY;
            let number = Reading::next(known.as_ref(), of, now).unwrap();
            turns.push(number);
            let extent = Extent::Part { number, of };
            known = Some(Reading::after(known.as_ref(), extent, &at(now), Counts::default()));
        }
        (known, turns)
    }

    fn oldest(known: Option<&Reading>) -> Option<i64> {
        Some((known?.known.oldest.as_ref()?.epoch - START) / DAY)
    }

    #[test]
    fn every_part_has_its_turn_and_what_was_read_longest_ago_is_known() {
        let (known, turns) = nights(None, 4, 0..3);
        assert_eq!((turns, oldest(known.as_ref())), (vec![0, 1, 2], None));
        let (known, turns) = nights(known, 4, 3..10);
        assert_eq!((turns, oldest(known.as_ref())), (vec![3, 0, 1, 2, 3, 0, 1], Some(6)));
        // Two on one day.
        assert_eq!(Reading::next(known.as_ref(), 4, START + 9 * DAY + 60), None);
        // Other turns begin with what is known of all.
        let (known, turns) = nights(known, 2, 10..11);
        assert_eq!((turns, oldest(known.as_ref())), (vec![0], Some(6)));
        let (known, turns) = nights(known, 2, 11..12);
        assert_eq!((turns, oldest(known.as_ref())), (vec![1], Some(10)));
        let all = Reading::after(known.as_ref(), Extent::All, &at(START + 20 * DAY), Counts::default());
        assert_eq!(oldest(Some(&all)), Some(20));
        let some = Reading::after(Some(&all), Extent::Some, &at(START + 30 * DAY), Counts::default());
        assert_eq!((oldest(Some(&some)), some.known.at.epoch), (Some(20), START + 30 * DAY));
    }

    #[test]
    fn a_clock_that_was_wrong_puts_off_nothing() {
        let (known, _) = nights(None, 2, 1000..1002);
        assert_eq!(Reading::next(known.as_ref(), 2, START), Some(0));
    }

    #[test]
    fn damage_is_remembered_until_all_has_been_read_without_any() {
        let damaged = Counts { damaged: 3, ..Counts::default() };
        let found = |known: &Reading| known.known.damage_found.as_ref().map(|at| (at.epoch - START) / DAY);
        let part = |number| Extent::Part { number, of: 2 };
        let day = |day| at(START + day * DAY);
        let first = Reading::after(None, part(0), &day(1), damaged);
        assert_eq!(found(&first), Some(1));
        let second = Reading::after(Some(&first), part(1), &day(2), Counts::default());
        assert_eq!((found(&second), second.known.damaged), (Some(1), 0));
        // The part in which it was is read once more without any.
        let third = Reading::after(Some(&second), part(0), &day(3), Counts::default());
        assert_eq!(found(&third), None);
        assert_eq!(found(&Reading::after(Some(&second), Extent::All, &day(3), damaged)), Some(3));
        assert_eq!(found(&Reading::after(Some(&second), Extent::All, &day(3), Counts::default())), None);
        assert_eq!(found(&Reading::after(Some(&second), Extent::Some, &day(3), Counts::default())), Some(1));
    }
}
