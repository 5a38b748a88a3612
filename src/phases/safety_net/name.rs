//! The names of safety nets: an ever-increasing number that orders them, and the time, in UTC, for people. The clock
//! may be wrong, set back, or another host's.

use std::ffi::{OsStr, OsString};
use std::fmt;

use chrono::{DateTime, Local, NaiveDateTime, TimeZone as _, Utc};

/// The format of the time.
const FORM: &str = "%Y-%m-%d_%H-%M-%S";

/// The length of a time in that format, in bytes.
const LENGTH: usize = 19;

/// The minimum number of digits in a number: up to this many, names sort like numbers.
const DIGITS: usize = 6;

/// The suffix for a net that is being removed.
const REMOVING: &str = ".removing";

/// The name of a net; older nets compare as less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NetName {
    /// As named by versions up to 2.0.0: all of these are older than the numbered ones.
    Dated {
        /// When the clone began, in local time.
        time: NaiveDateTime,
        /// 1, or more if others began in the same second.
        number: u32,
    },
    /// As named now.
    Counted {
        /// One more than that of any earlier net.
        number: u64,
        /// When the clone began, in UTC.
        time: NaiveDateTime,
    },
}

impl NetName {
    /// Parses a name; accepts only formats that are or were written.
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

    /// Parses the name of a net whose removal has begun.
    #[must_use]
    pub fn read_removing(name: &OsStr) -> Option<Self> {
        Self::read(OsStr::new(name.to_str()?.strip_suffix(REMOVING)?))
    }

    /// Its number; `None` for a net from before numbering.
    #[must_use]
    pub fn number(self) -> Option<u64> {
        match self {
            Self::Dated { .. } => None,
            Self::Counted { number, .. } => Some(number),
        }
    }

    /// When it was created, by the clock of that time; the later moment if a local time is ambiguous.
    #[must_use]
    pub fn made(self) -> DateTime<Utc> {
        match self {
            Self::Counted { time, .. } => time.and_utc(),
            Self::Dated { time, .. } => {
                Local.from_local_datetime(&time).latest().map_or(time.and_utc(), |time| time.to_utc())
            }
        }
    }

    /// The same in local time, for people; `None` if the name itself is in local time.
    #[must_use]
    pub fn local_time(self) -> Option<String> {
        let local = |time: NaiveDateTime| time.and_utc().with_timezone(&Local);
        match self {
            Self::Dated { .. } => None,
            Self::Counted { time, .. } => Some(local(time).format("%Y-%m-%d %H:%M:%S %z").to_string()),
        }
    }

    /// Whether the given text may mean this net: its number, or the beginning of its name or local time.
    #[must_use]
    pub fn fits(self, given: &str) -> bool {
        let local = || self.made().with_timezone(&Local).format(FORM).to_string();
        let is_counted_so = |number| given.parse() == Ok(number) || local().starts_with(given);
        self.to_string().starts_with(given) || self.number().is_some_and(is_counted_so)
    }

    /// The name while the net is being removed.
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
