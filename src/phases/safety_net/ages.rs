//! The ages of the nets, by a clock of the destination's own: from one clone to the next it advances with the machine's
//! clock, but never by more than the usual interval allows. So neither a clock that was wrong for a night nor one that
//! was set back makes a net expire.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::display;
use crate::fs::dir::Dir;
use crate::logging::warning;
use crate::phases::safety_net::name::NetName;

/// The name of the file that stores them, among the nets.
const NAME: &str = "ages.json";

/// The most that is read of it, in bytes: room for some ten thousand nets.
const LARGEST: u64 = 1 << 20;

const DAY: i64 = 24 * 60 * 60;

/// A step of up to this length is always accepted: a nightly clone may be that late.
const NIGHTLY: i64 = DAY + DAY / 12;

/// The longest step accepted without a habit,
const LONGEST_STEP: i64 = 7 * DAY;

/// but if clones are made as seldom as this, the next one may come after the same interval.
const LONGEST_HABIT: i64 = 31 * DAY;

/// A numbered net cannot be older than the first version that numbered them.
const FIRST: i64 = 1_780_000_000;

/// The contents of the file. All times are in seconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kept {
    /// The machine's clock at the last clone with a safety net.
    last: i64,
    /// The interval between that clone and the one before, if plausible; otherwise 0.
    habit: i64,
    /// The destination's own clock.
    passed: i64,
    /// The destination's clock when each net was created.
    nets: BTreeMap<String, i64>,
}

/// The current ages of the nets.
#[derive(Debug)]
pub struct Ages {
    kept: Kept,
    now: DateTime<Utc>,
    /// By how much more the machine's clock advanced than was accepted.
    doubted: i64,
}

impl Ages {
    /// Advances the destination's clock to now and saves it. `days` is how long nets are kept.
    pub fn advance(nets: &Dir, names: &[NetName], now: DateTime<Utc>, days: u32) -> io::Result<Self> {
        let ages = match read(nets) {
            Ok(Some(kept)) => Self::after(&kept, names, now, days),
            // Only the names of the nets give their ages.
            Ok(None) => Self::first(names, now, |name| (now - name.made()).num_seconds()),
            Err(error) => {
                warning(format_args!(
                    "the ages of the safety nets cannot be read: {}; all are treated as new.",
                    display::reason(&error)
                ));
                Self::first(names, now, |_| 0)
            }
        };
        let text = serde_json::to_vec(&ages.kept).map_err(io::Error::other)?;
        for left in nets.names_that(|name| Dir::is_temporary(name, OsStr::new(NAME)))? {
            nets.remove(&left)?;
        }
        nets.replace(OsStr::new(NAME), 0o600, &text)?;
        Ok(ages)
    }

    fn first(names: &[NetName], now: DateTime<Utc>, age: impl Fn(&NetName) -> i64) -> Self {
        let nets = names.iter().map(|name| (name.to_string(), age(name).max(0).saturating_neg()));
        let kept = Kept { last: now.timestamp(), habit: 0, passed: 0, nets: nets.collect() };
        Self { kept, now, doubted: 0 }
    }

    fn after(before: &Kept, names: &[NetName], now: DateTime<Utc>, days: u32) -> Self {
        let gap = now.timestamp().saturating_sub(before.last).max(0);
        let most = (i64::from(days) * DAY / 4).clamp(NIGHTLY, LONGEST_STEP);
        let step = gap.min(most.max(before.habit.saturating_mul(3) / 2));
        // A net that is not listed was created since.
        let nets = names.iter().map(|name| {
            let name = name.to_string();
            let made = before.nets.get(&name).copied().unwrap_or(before.passed);
            (name, made)
        });
        let kept = Kept {
            last: now.timestamp(),
            habit: if gap <= LONGEST_HABIT { gap } else { 0 },
            passed: before.passed.saturating_add(step),
            nets: nets.collect(),
        };
        Self { kept, now, doubted: gap - step }
    }

    /// Whether a net is older than `days`, by both clocks.
    #[must_use]
    pub fn is_older(&self, name: NetName, days: u32) -> bool {
        let made = self.kept.nets.get(&name.to_string()).copied().unwrap_or(self.kept.passed);
        self.kept.passed.saturating_sub(made) > i64::from(days) * DAY
            && (self.looks_older(name, days) || !self.is_possible(name))
    }

    /// Whether it is older by the machine's clock and the time in its name alone.
    fn looks_older(&self, name: NetName, days: u32) -> bool {
        (self.now - name.made()).num_seconds() > i64::from(days) * DAY
    }

    /// Whether the time in its name is plausible.
    fn is_possible(&self, name: NetName) -> bool {
        name.made() <= self.now && (name.number().is_none() || name.made().timestamp() >= FIRST)
    }

    /// Warns if the machine's clock advanced implausibly far, so that nets are kept longer.
    pub fn report(&self, names: &[NetName], days: u32) {
        let stay = names.iter().filter(|name| self.looks_older(**name, days) && !self.is_older(**name, days));
        let stay = stay.count();
        if self.doubted > LONGEST_HABIT && stay > 0 {
            warning(format_args!(
                "by this machine's clock the last clone with a safety net was made {} days ago. If the clock is right, \
                 nothing needs to be done; {stay} safety nets older than {days} days stay for now.",
                (self.doubted + LONGEST_STEP) / DAY
            ));
        }
    }
}

/// Whether this is the name of the ages file, or of a temporary one left by a killed run.
#[must_use]
pub fn is_own(name: &OsStr) -> bool {
    name == OsStr::new(NAME) || Dir::is_temporary(name, OsStr::new(NAME))
}

fn read(nets: &Dir) -> io::Result<Option<Kept>> {
    let name = OsString::from(NAME);
    let Some((_, content)) = nets.read_file(&name, LARGEST)? else { return Ok(None) };
    serde_json::from_slice(&content).map(Some).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Duration, Utc};

    use super::{Ages, Kept};
    use crate::phases::safety_net::name::NetName;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    /// Creates a net on each of these days; returns which nets had expired on the last of them.
    fn old_after(days: u32, runs: &[i64]) -> Vec<u64> {
        let mut kept: Option<Kept> = None;
        let mut names = Vec::new();
        let mut old = Vec::new();
        for (number, day) in (1..).zip(runs) {
            let now = start() + Duration::days(*day);
            let ages = match kept.take() {
                Some(kept) => Ages::after(&kept, &names, now, days),
                None => Ages::first(&names, now, |_| 0),
            };
            let number_of = |name: &NetName| name.number().unwrap();
            old = names.iter().filter(|name| ages.is_older(**name, days)).map(number_of).collect();
            kept = Some(ages.kept);
            names.push(NetName::Counted { number, time: now.naive_utc() });
        }
        old
    }

    #[test]
    fn nights_are_counted_as_they_are() {
        let nights: Vec<i64> = (0..33).collect();
        assert_eq!(old_after(30, &nights), [1, 2]);
        assert_eq!(old_after(3, &nights[..6]), [1, 2]);
        assert_eq!(old_after(1, &nights[..4]), [1, 2]);
    }

    #[test]
    fn a_habit_of_weeks_or_months_is_learnt() {
        assert_eq!(old_after(30, &[0, 7, 14, 21, 28, 35]), [1]);
        let months = old_after(30, &[0, 30, 60, 90, 120]);
        assert_eq!(months, [1, 2, 3]);
    }

    #[test]
    fn a_clock_that_is_wrong_for_some_nights_makes_nothing_old() {
        assert_eq!(old_after(30, &[0, 1, 2, 3650, 3651, 3652]), [] as [u64; 0]);
        assert_eq!(old_after(30, &[0, 1, 2, 3650, 4, 5, 6]), [] as [u64; 0]);
        assert_eq!(old_after(30, &[0, 1, -18_000, 3, 4, 5]), [] as [u64; 0]);
        assert_eq!(old_after(3, &[0, 1, 3650]), [] as [u64; 0]);
    }

    #[test]
    fn what_was_made_by_a_wrong_clock_gets_old_like_all() {
        let mut nights: Vec<i64> = (0..40).collect();
        nights[1] = 5000;
        assert!(old_after(30, &nights).starts_with(&[1, 2, 3]));
        nights[1] = -20_000;
        assert!(old_after(30, &nights).starts_with(&[1, 2, 3]));
    }
}
