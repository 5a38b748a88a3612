//! The times of a schedule.

use std::fmt;
use std::str::FromStr;

use chrono::{NaiveTime, Timelike as _, Weekday};

/// When a job runs, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Every day.
    Daily(Clock),
    /// Every week.
    Weekly(Weekday, Clock),
    /// Every N hours, counted from midnight; N divides 24.
    Hours(u8),
    /// Every N minutes, counted from the full hour; N divides 60 and is less than 60.
    Minutes(u8),
}

/// A time of day, to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock(NaiveTime);

/// Half past three: it occurs exactly once even in the nights when the clocks change.
impl Default for When {
    fn default() -> Self {
        Self::Daily(Clock(NaiveTime::from_hms_opt(3, 30, 0).unwrap_or_default()))
    }
}

/// Text that is not a valid time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotATime {
    /// Not HH:MM.
    #[error("a time is written HH:MM, from 00:00 to 23:59")]
    Clock,
    /// Not a day of the week.
    #[error("a day is written Mon, Tue, Wed, Thu, Fri, Sat or Sun")]
    Day,
    /// Not an interval, or one whose runs would shift from day to day.
    #[error(
        "an interval is 1h, 2h, 3h, 4h, 6h, 8h, 12h or 24h, or 1m, 2m, 3m, 4m, 5m, 6m, 10m, 12m, 15m, 20m or 30m: \
         what divides a day or an hour evenly"
    )]
    Interval,
}

impl FromStr for Clock {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
        let time = NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| is_plain);
        time.map(Self).ok_or(NotATime::Clock)
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02}:{:02}", self.hour(), self.minute())
    }
}

impl Clock {
    /// 0 to 23.
    #[must_use]
    pub fn hour(self) -> u32 {
        self.0.hour()
    }

    /// 0 to 59.
    #[must_use]
    pub fn minute(self) -> u32 {
        self.0.minute()
    }
}

impl When {
    /// Parses the day and time of `--weekly`.
    pub fn weekly(day: &str, time: &str) -> Result<Self, NotATime> {
        Ok(Self::Weekly(day.parse().map_err(|_| NotATime::Day)?, time.parse()?))
    }

    /// Parses the interval of `--every`: `2h`, `30m`.
    pub fn every(text: &str) -> Result<Self, NotATime> {
        let read =
            |unit| text.strip_suffix(unit).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let minutes = match (read('h'), read('m')) {
            (Some(hours), _) => hours.parse::<u16>().ok().and_then(|hours| hours.checked_mul(60)),
            (None, Some(minutes)) => minutes.parse().ok(),
            (None, None) => None,
        };
        match minutes {
            Some(minutes @ 1..60) if 60 % minutes == 0 => u8::try_from(minutes).map(Self::Minutes),
            Some(minutes @ 60..=1440) if minutes % 60 == 0 && 1440 % minutes == 0 => {
                u8::try_from(minutes / 60).map(Self::Hours)
            }
            Some(_) | None => return Err(NotATime::Interval),
        }
        .map_err(|_| NotATime::Interval)
    }
}

impl fmt::Display for When {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daily(time) => write!(formatter, "every day at {time}"),
            Self::Weekly(day, time) => write!(formatter, "every {day} at {time}"),
            Self::Hours(1) => formatter.write_str("every hour"),
            Self::Hours(hours) => write!(formatter, "every {hours} hours"),
            Self::Minutes(1) => formatter.write_str("every minute"),
            Self::Minutes(minutes) => write!(formatter, "every {minutes} minutes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, NotATime, When};

    #[test]
    fn times_are_read() {
        for (text, read) in [("03:30", "03:30"), ("3:05", "03:05"), ("00:00", "00:00"), ("23:59", "23:59")] {
            assert_eq!(text.parse::<Clock>().unwrap().to_string(), read);
        }
        for bad in
            ["", "3", "24:00", "12:60", "03:30:00", " 03:30", "3:30 ", "03.30", "-1:30", "+3:30", "3:30pm"]
        {
            assert_eq!(bad.parse::<Clock>(), Err(NotATime::Clock), "{bad:?}");
        }
        assert_eq!(When::weekly("sunday", "4:00").unwrap().to_string(), "every Sun at 04:00");
        assert_eq!(When::weekly("Caturday", "4:00"), Err(NotATime::Day));
        assert_eq!(When::weekly("Sun", "4"), Err(NotATime::Clock));
    }

    #[test]
    fn only_intervals_that_come_out_even_are_taken() {
        assert_eq!(When::every("2h"), Ok(When::Hours(2)));
        assert_eq!(When::every("120m"), Ok(When::Hours(2)));
        assert_eq!(When::every("60m"), Ok(When::Hours(1)));
        assert_eq!(When::every("24h"), Ok(When::Hours(24)));
        assert_eq!(When::every("15m"), Ok(When::Minutes(15)));
        for bad in [
            "", "h", "2", "0h", "0m", "5h", "7m", "45m", "90m", "25h", "48h", "+2h", "2 h", "2d", "-1h",
            "99999h",
        ] {
            assert_eq!(When::every(bad), Err(NotATime::Interval), "{bad:?}");
        }
    }
}
