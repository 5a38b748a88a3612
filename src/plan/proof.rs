//! `--prove`: how often a clone is booted.

/// How often a complete clone is booted after its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frequency {
    /// After every run.
    Always,
    /// Once a day.
    Daily,
    /// Once a week.
    Weekly,
    /// Once in thirty days.
    Monthly,
}

/// In seconds.
const HOUR: i64 = 60 * 60;

impl Frequency {
    /// Whether a clone is to be booted that last booted at that moment, or never; both in seconds since the epoch.
    ///
    /// A run that ends a little earlier in the day than the one before counts as one of the next day.
    #[must_use]
    pub fn is_due(self, booted: Option<i64>, now: i64) -> bool {
        let days = match self {
            Self::Always => return true,
            Self::Daily => 1,
            Self::Weekly => 7,
            Self::Monthly => 30,
        };
        // A clock that was set back must not put it off for ever.
        booted.is_none_or(|booted| !(0..(days * 24 - 12) * HOUR).contains(&now.saturating_sub(booted)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn a_week_may_be_some_hours_short() {
        let is_due = |hours: i64| Frequency::Weekly.is_due(Some(NOW - hours * HOUR), NOW);
        assert!(!is_due(0) && !is_due(6 * 24) && !is_due(6 * 24 + 11));
        assert!(is_due(6 * 24 + 12) && is_due(7 * 24) && is_due(400 * 24));
        let is_due = |hours: i64| Frequency::Daily.is_due(Some(NOW - hours * HOUR), NOW);
        assert!(!is_due(11) && is_due(23));
        let is_due = |days: i64| Frequency::Monthly.is_due(Some(NOW - days * 24 * HOUR), NOW);
        assert!(!is_due(29) && is_due(30));
    }

    #[test]
    fn what_never_booted_is_due_and_so_is_what_booted_in_the_future() {
        for frequency in [Frequency::Always, Frequency::Daily, Frequency::Weekly, Frequency::Monthly] {
            assert!(frequency.is_due(None, NOW) && frequency.is_due(Some(NOW + 1), NOW));
        }
        assert!(Frequency::Always.is_due(Some(NOW), NOW));
    }
}
