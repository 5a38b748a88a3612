//! The names of safety nets: the local time at which the clone began, and a number if there was one of that second.

use std::ffi::{OsStr, OsString};
use std::fmt;

use chrono::NaiveDateTime;

/// The form of the time.
const FORM: &str = "%Y-%m-%d_%H-%M-%S";

/// How many bytes a time has in that form.
const LENGTH: usize = 19;

/// What follows the name of a net that is being removed.
const REMOVING: &str = ".removing";

/// The name of a net; the older one is the lesser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetName {
    /// When the clone began, in local time.
    pub time: NaiveDateTime,
    /// 1, or more when others began in the same second.
    pub number: u32,
}

impl NetName {
    /// Reads a name, and accepts no other form than the one that is written.
    #[must_use]
    pub fn read(name: &OsStr) -> Option<Self> {
        let text = name.to_str()?;
        let (time, rest) = text.split_at_checked(LENGTH)?;
        let time = NaiveDateTime::parse_from_str(time, FORM).ok()?;
        let number = match rest {
            "" => 1,
            _ => rest.strip_prefix('_')?.parse().ok()?,
        };
        let read = Self { time, number };
        (read.to_string() == text).then_some(read)
    }

    /// Whether a name is that of a net whose removal was begun.
    #[must_use]
    pub fn is_removing(name: &OsStr) -> bool {
        let rest = name.to_str().and_then(|text| text.strip_suffix(REMOVING));
        rest.is_some_and(|rest| Self::read(OsStr::new(rest)).is_some())
    }

    /// The name under which the net is removed.
    #[must_use]
    pub fn removing(self) -> OsString {
        OsString::from(self.to_string() + REMOVING)
    }

    /// The folder's name.
    #[must_use]
    pub fn to_os_string(self) -> OsString {
        OsString::from(self.to_string())
    }
}

impl fmt::Display for NetName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.time.format(FORM))?;
        if self.number > 1 { write!(formatter, "_{}", self.number) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::NetName;
    use std::ffi::OsStr;

    #[test]
    fn only_what_is_written_is_read() {
        for good in ["2026-11-20_02-30-00", "2026-11-20_02-30-00_2", "2024-02-29_23-59-59_10"] {
            assert_eq!(NetName::read(OsStr::new(good)).unwrap().to_string(), good);
            assert!(NetName::is_removing(OsStr::new(&format!("{good}.removing"))));
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
        ] {
            assert_eq!(NetName::read(OsStr::new(bad)), None, "{bad:?}");
        }
        assert!(!NetName::is_removing(OsStr::new("x.removing")));
    }

    #[test]
    fn names_are_ordered_by_age() {
        let of = |text: &str| NetName::read(OsStr::new(text)).unwrap();
        let names =
            ["2026-11-20_02-30-00", "2026-11-20_02-30-00_2", "2026-11-20_02-30-00_10", "2026-11-21_00-00-00"];
        assert!(names.map(of).is_sorted());
    }
}
