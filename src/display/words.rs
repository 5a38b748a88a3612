//! Formats times, durations and numbers.

use std::time::Duration;

use chrono::{Local, TimeZone as _};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A duration in its two largest units: `3 h 12 min`. A negative one becomes 0.
#[must_use]
pub fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let two = |large: i64, name: &str, small: i64, small_name: &str| {
        let rest = seconds % large / small;
        if rest == 0 {
            format!("{} {name}", seconds / large)
        } else {
            format!("{} {name} {rest} {small_name}", seconds / large)
        }
    };
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => two(MINUTE, "min", MINUTE, "min"),
        HOUR..DAY => two(HOUR, "h", MINUTE, "min"),
        _ => two(DAY, "d", HOUR, "h"),
    }
}

/// How long something took: `0.4 s`, `3 min 20 s`.
#[must_use]
pub fn took(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        seconds @ 10..600 if seconds % 60 != 0 && seconds > 60 => {
            format!("{} min {} s", seconds / 60, seconds % 60)
        }
        seconds => span(i64::try_from(seconds).unwrap_or(i64::MAX)),
    }
}

/// A moment in local time: `2026-11-22 01:14:07`.
#[must_use]
pub fn moment(epoch: i64) -> String {
    Local
        .timestamp_opt(epoch, 0)
        .single()
        .map_or_else(|| format!("{epoch} s since 1970"), |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// A number with digit grouping: `133,002`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::{count, moment, span};

    #[test]
    fn spans_have_two_units_at_most() {
        for (seconds, expected) in [
            (-5, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h"),
            (11_520, "3 h 12 min"),
            (86_400, "1 d"),
            (180_000, "2 d 2 h"),
            (i64::MAX, "106751991167300 d 15 h"),
        ] {
            assert_eq!(span(seconds), expected);
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (133_002, "133,002"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(count(number), expected);
        }
    }

    #[test]
    fn every_moment_can_be_told() {
        assert_eq!(moment(i64::MAX), format!("{} s since 1970", i64::MAX));
        assert!(moment(1_795_391_326).starts_with("2026-11-2"));
    }
}
