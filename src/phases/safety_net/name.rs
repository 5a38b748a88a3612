//! The names of safety nets: a number that only grows, by which they are ordered, and the time, in UTC, for people. The
//! clock may be wrong, be set back, or be another host's.

use std::ffi::{OsStr, OsString};
use std::fmt;

use chrono::{DateTime, Local, NaiveDateTime, TimeZone as _, Utc};

/// The form of the time.
const FORM: &str = "%Y-%m-%d_%H-%M-%S";

/// How many bytes a time has in that form.
const LENGTH: usize = 19;

/// How many digits a number has at least: so many sort by name as by number.
const DIGITS: usize = 6;

/// What follows the name of a net that is being removed.
const REMOVING: &str = ".removing";

/// The name of a net; the older one is the lesser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NetName {
    /// As versions up to 2.0.0 gave it: all of these are older than those with a number.
    Dated {
        /// When the clone began, in local time.
        time: NaiveDateTime,
        /// 1, or more when others began in the same second.
        number: u32,
    },
    /// As it is given now.
    Counted {
        /// One more than that of any net before.
        number: u64,
        /// When the clone began, in UTC.
        time: NaiveDateTime,
    },
}

impl NetName {
    /// Reads a name, and accepts no other form than those that are or were written.
    #[must_use]
    pub fn read(name: &OsStr) -> Option<Self> {
        let text = name.to_str()?;
        let read = Self::read_counted(text).or_else(|| Self::read_dated(text))?;
        (read.to_string() == text).then_some(read)
    }

    fn read_counted(text: &str) -> Option<Self> {
        let (number, time) = text.split_once('_')?;
        let time = NaiveDateTime::parse_from_str(time.strip_suffix('Z')?, FORM).ok()?;
        Some(Self::Counted { number: number.parse().ok()?, time })
    }

    fn read_dated(text: &str) -> Option<Self> {
        let (time, rest) = text.split_at_checked(LENGTH)?;
        let time = NaiveDateTime::parse_from_str(time, FORM).ok()?;
        let number = match rest {
            "" => 1,
            _ => rest.strip_prefix('_')?.parse().ok()?,
        };
        Some(Self::Dated { time, number })
    }

    /// The name of a net whose removal was begun.
    #[must_use]
    pub fn read_removing(name: &OsStr) -> Option<Self> {
        Self::read(OsStr::new(name.to_str()?.strip_suffix(REMOVING)?))
    }

    /// Its number; none before there were any.
    #[must_use]
    pub fn number(self) -> Option<u64> {
        match self {
            Self::Dated { .. } => None,
            Self::Counted { number, .. } => Some(number),
        }
    }

    /// When it was made by the clock of that time, the later moment where a local time may mean two.
    #[must_use]
    pub fn made(self) -> DateTime<Utc> {
        match self {
            Self::Counted { time, .. } => time.and_utc(),
            Self::Dated { time, .. } => {
                Local.from_local_datetime(&time).latest().map_or(time.and_utc(), |time| time.to_utc())
            }
        }
    }

    /// The same for people, in local time; none where the name itself is that.
    #[must_use]
    pub fn local_time(self) -> Option<String> {
        let local = |time: NaiveDateTime| time.and_utc().with_timezone(&Local);
        match self {
            Self::Dated { .. } => None,
            Self::Counted { time, .. } => Some(local(time).format("%Y-%m-%d %H:%M:%S %z").to_string()),
        }
    }

    /// Whether this may be what somebody means: its number, or its name or local time as far as it was given.
    #[must_use]
    pub fn fits(self, given: &str) -> bool {
        let local = || self.made().with_timezone(&Local).format(FORM).to_string();
        let is_counted_so = |number| given.parse() == Ok(number) || local().starts_with(given);
        self.to_string().starts_with(given) || self.number().is_some_and(is_counted_so)
    }

    /// The name under which the net is removed.
    #[must_use]
    pub fn removing(self) -> OsString {
        OsString::from(self.to_string() + REMOVING)
    }

    /// The directory's name.
    #[must_use]
    pub fn to_os_string(self) -> OsString {
        OsString::from(self.to_string())
    }
}

impl fmt::Display for NetName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dated { time, number: 1 } => write!(formatter, "{}", time.format(FORM)),
            Self::Dated { time, number } => write!(formatter, "{}_{number}", time.format(FORM)),
            Self::Counted { number, time } => {
                write!(formatter, "{number:0width$}_{}Z", time.format(FORM), width = DIGITS)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NetName;
    use std::ffi::OsStr;

    #[test]
    fn only_what_is_written_is_read() {
        for good in [
            "2026-11-20_02-30-00",
            "2026-11-20_02-30-00_2",
            "2024-02-29_23-59-59_10",
            "000001_2026-11-20_02-30-00Z",
            "1000000_2024-02-29_23-59-59Z",
            "18446744073709551615_1970-01-01_00-00-00Z",
        ] {
            assert_eq!(NetName::read(OsStr::new(good)).unwrap().to_string(), good);
            let removing = format!("{good}.removing");
            assert_eq!(
                NetName::read_removing(OsStr::new(&removing)),
                NetName::read(OsStr::new(good)),
                "{good}"
            );
        }
        for bad in [
            "",
            "2026-11-20",
            "2026-11-20_02-30-00 ",
            "2026-11-20_02-30-00_",
            "2026-11-20_02-30-00_1",
            "2026-11-20_02-30-00_02",
            "2026-11-20_02-30-00_-2",
            "2026-11-20_02-30-00_+2",
            "2026-13-20_02-30-00",
            "2026-02-30_02-30-00",
            "2026-11-20_24-30-00",
            "+026-11-20_02-30-00",
            " 026-11-20_02-30-00",
            "2026-1-20_02-30-000",
            "2026-11-20_02-30-0ü",
            "2026-11-20_02-30-00.removing",
            "2026-11-20_02-30-00_99999999999",
            "2026-11-20_02-30-00Z",
            "00001_2026-11-20_02-30-00Z",
            "0000001_2026-11-20_02-30-00Z",
            "+00001_2026-11-20_02-30-00Z",
            "000001_2026-11-20_02-30-00",
            "000001_2026-11-20_02-30-00Z_2",
            "000001_2026-13-20_02-30-00Z",
            "18446744073709551616_2026-11-20_02-30-00Z",
            "_2026-11-20_02-30-00Z",
        ] {
            assert_eq!(NetName::read(OsStr::new(bad)), None, "{bad:?}");
        }
        assert_eq!(NetName::read_removing(OsStr::new("x.removing")), None);
    }

    #[test]
    fn names_are_ordered_by_age() {
        let of = |text: &str| NetName::read(OsStr::new(text)).unwrap();
        let names = [
            "2026-11-20_02-30-00",
            "2026-11-20_02-30-00_2",
            "2026-11-20_02-30-00_10",
            "2026-11-21_00-00-00",
            "000001_2036-11-21_00-00-00Z",
            "000002_1970-11-21_00-00-00Z",
            "1000000_1970-11-21_00-00-00Z",
        ];
        assert!(names.map(of).is_sorted());
    }
}
