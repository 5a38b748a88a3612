//! The progress of the whole transfer, in one unit: the bytes that the survey says have to be written.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::HumanBytes;

use crate::logging::Screen;

/// How often it is shown.
const EVERY: Duration = Duration::from_millis(200);

/// Counts what is copied, by us and by rsync, and shows it to whoever is watching.
#[derive(Debug)]
pub struct Meter {
    /// `None` if nobody is watching.
    screen: Option<Screen>,
    /// How much there is to copy, in bytes; not zero.
    all: u64,
    began: Instant,
    copied: AtomicU64,
    /// When it was last shown, and the percentage then: a retry does not take it back.
    shown: Mutex<(Option<Instant>, u64)>,
}

impl Meter {
    /// Begins to count; `all` is what has to be written, in bytes.
    #[must_use]
    pub fn new(screen: Option<Screen>, all: u64) -> Self {
        let (began, copied) = (Instant::now(), AtomicU64::new(0));
        Self { screen, all: all.max(1), began, copied, shown: Mutex::new((None, 0)) }
    }

    /// What was copied so far, in bytes.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.copied.load(Ordering::Relaxed)
    }

    /// Counts what was copied since the last call; any thread may.
    pub fn add(&self, bytes: u64) {
        self.show(self.copied.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes));
    }

    /// Sets what was copied so far.
    pub fn set(&self, copied: u64) {
        self.copied.store(copied, Ordering::Relaxed);
        self.show(copied);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(screen) = &self.screen {
            screen.clear();
        }
    }

    fn show(&self, copied: u64) {
        let Some(screen) = &self.screen else { return };
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.0.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        let percent = percent(copied, self.all).max(shown.1);
        *shown = (Some(Instant::now()), percent);
        let passed = self.began.elapsed();
        let speed = u128::from(copied) * 1000 / passed.as_millis().max(1);
        let left = u128::from(self.all.saturating_sub(copied)) / speed.max(1);
        let (speed, left) = (u64::try_from(speed).unwrap_or(u64::MAX), clock(left));
        screen.show(percent, copied, &format!("{}/s, {left} left", HumanBytes(speed)));
    }
}

fn percent(copied: u64, all: u64) -> u64 {
    u64::try_from(u128::from(copied) * 100 / u128::from(all.max(1))).unwrap_or(100).min(100)
}

/// Seconds as `H:MM:SS`, or `?` for more than a thousand hours.
fn clock(seconds: u128) -> String {
    if seconds >= 3_600_000 {
        return "?".to_owned();
    }
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::{clock, percent};

    #[test]
    fn shares_and_times_are_what_a_person_expects() {
        assert_eq!((percent(0, 0), percent(1, 3), percent(5, 3)), (0, 33, 100));
        assert_eq!(percent(u64::MAX, u64::MAX), 100);
        assert_eq!(
            (clock(0), clock(3_661), clock(u128::MAX)),
            ("0:00:00".into(), "1:01:01".into(), "?".into())
        );
    }
}
