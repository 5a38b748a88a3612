//! Identifies an rsync from the first lines of `rsync --version`.

use std::fmt;

/// A release of Samba's rsync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 3 for every accepted rsync.
    pub major: u16,
    /// The second number.
    pub minor: u16,
    /// The third number.
    pub patch: u16,
}

impl Version {
    /// The oldest accepted release.
    pub const OLDEST: Self = Self::of(3, 0, 9);
    /// The first release whose dry run handles hard links: 3.0.9 hangs forever on hard-linked special files.
    pub const LISTS_HARD_LINKS: Self = Self::of(3, 1, 0);
    /// The first release that keeps the capabilities of files not owned by root.
    pub const KEEPS_CAPABILITIES: Self = Self::of(3, 1, 3);
    /// The first release in which `--modify-window=-1` compares nanoseconds (measured on 3.1.3 to 3.5.1).
    pub const NANOSECONDS: Self = Self::of(3, 1, 3);
    /// The first release whose `--open-noatime` also covers directories.
    pub const SPARES_DIRECTORIES: Self = Self::of(3, 5, 1);
    /// The first release without the known holes for a local clone as root (CVE-2026-53796 and those filed with it).
    pub const WITHOUT_KNOWN_HOLES: Self = Self::of(3, 5, 0);

    /// Whether files saved by `--backup-dir` are safe from the same run: when a directory replaces a file, 3.1.0
    /// deletes the saved file again (measured; 3.1.2 claims to have fixed that).
    #[must_use]
    pub fn keeps_backups(self) -> bool {
        self < Self::of(3, 1, 0) || self >= Self::of(3, 1, 2)
    }

    /// How times below one second are affected, if at all (measured on 3.0.9, 3.1.0, 3.1.3 and 3.2.3).
    #[must_use]
    pub fn lost_times(self) -> Option<&'static str> {
        if self < Self::of(3, 1, 0) {
            Some("it keeps whole seconds only: fractions of a second are lost")
        } else if self < Self::NANOSECONDS {
            Some("fractions of a second are not corrected where the seconds are the same")
        } else if self < Self::of(3, 2, 0) {
            Some(
                "fractions of a second in the times of symbolic links, devices, FIFOs and sockets are not corrected \
                 where the seconds are the same",
            )
        } else {
            None
        }
    }

    /// Whether `--open-noatime` covers regular files: since the fix of CVE-2024-12747 in 3.4.0, and until 3.4.2, they
    /// were opened without it.
    #[must_use]
    pub fn spares_files(self) -> bool {
        self < Self::of(3, 4, 0) || self >= Self::of(3, 4, 2)
    }

    /// A release from its numbers.
    #[must_use]
    pub const fn of(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The implementation of an rsync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Implementation {
    /// Samba's, the only one that can make a clone.
    Samba(Version),
    /// Apple's or the OpenBSD project's, without access control lists and extended attributes.
    OpenRsync,
    /// Anything else.
    Unknown,
}

impl fmt::Display for Implementation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Samba(version) => write!(formatter, "rsync {version}"),
            Self::OpenRsync => formatter.write_str("openrsync"),
            Self::Unknown => formatter.write_str("not a recognised rsync"),
        }
    }
}

/// Parses `rsync --version`. Apple's openrsync prints it on standard output, the original on standard error.
#[must_use]
pub fn identify(out: &[u8], err: &[u8]) -> Implementation {
    let text = [out, b"\n", err].concat();
    let text = String::from_utf8_lossy(&text);
    // openrsync continues with "rsync version 2.6.9 compatible", so it is checked first.
    if text.lines().any(|line| line.starts_with("openrsync:")) {
        return Implementation::OpenRsync;
    }
    text.lines().find_map(samba_version).map_or(Implementation::Unknown, Implementation::Samba)
}

/// The numbers in `rsync  version v3.2.5-gabc  protocol version 31`; "protocol version 31" alone does not match.
fn samba_version(line: &str) -> Option<Version> {
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some("rsync") || words.next() != Some("version") {
        return None;
    }
    let word = words.next()?;
    let mut numbers = word.strip_prefix('v').unwrap_or(word).splitn(3, '.').map(leading_number);
    let major = numbers.next()??;
    let minor = numbers.next()??;
    Some(Version::of(major, minor, numbers.next().flatten().unwrap_or(0)))
}

fn leading_number(part: &str) -> Option<u16> {
    let digits = part.find(|character: char| !character.is_ascii_digit()).unwrap_or(part.len());
    part[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Implementation, Version, identify};

    #[test]
    fn samba_versions_of_every_form_are_read() {
        for (line, expected) in [
            ("rsync  version 3.0.9  protocol version 30", Version::of(3, 0, 9)),
            ("rsync  version 3.5.1  protocol version 33", Version::of(3, 5, 1)),
            ("rsync  version 3.5.0-g471e17dc  protocol version 32", Version::of(3, 5, 0)),
            ("rsync  version v3.2.5  protocol version 31", Version::of(3, 2, 5)),
            ("rsync  version 3.5.0dev-gabc  protocol version 32", Version::of(3, 5, 0)),
            ("rsync  version 3.1.0pre1  protocol version 31", Version::of(3, 1, 0)),
            ("rsync  version 2.6.9  protocol version 29", Version::of(2, 6, 9)),
            ("rsync  version 3.10.2  protocol version 34", Version::of(3, 10, 2)),
        ] {
            assert_eq!(identify(line.as_bytes(), b""), Implementation::Samba(expected), "{line}");
        }
        assert!(Version::of(3, 10, 0) > Version::of(3, 5, 1));
    }

    #[test]
    fn what_a_version_loses_is_known() {
        let lost = |major, minor, patch| Version::of(major, minor, patch).lost_times();
        assert!(lost(3, 0, 9).unwrap().contains("are lost"));
        assert_eq!(lost(3, 1, 0), lost(3, 1, 2));
        assert!(lost(3, 1, 3).unwrap().contains("symbolic links"));
        assert_eq!((lost(3, 2, 3), lost(3, 5, 1)), (None, None));
        let spared = [(3, 3, 0), (3, 4, 2), (3, 5, 0)].map(|(a, b, c)| Version::of(a, b, c).spares_files());
        assert_eq!(spared, [true; 3]);
        assert!(!Version::of(3, 4, 0).spares_files() && !Version::of(3, 4, 1).spares_files());
    }

    #[test]
    fn others_are_not_taken_for_sambas() {
        let apple = b"openrsync: protocol version 29\nrsync version 2.6.9 compatible\n";
        assert_eq!(identify(apple, b""), Implementation::OpenRsync);
        assert_eq!(identify(b"", b"openrsync: protocol version 27\n"), Implementation::OpenRsync);
        for other in [
            "",
            "protocol version 31",
            "rsync  protocol version 3.1",
            "my rsync version 3.4.1",
            "rsync version x",
        ] {
            assert_eq!(identify(other.as_bytes(), b""), Implementation::Unknown, "{other}");
        }
    }
}
