//! The supported systems, and the versions of macOS.

use std::fmt;
use std::str::FromStr;

/// A system, as known at compile time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// macOS, and OS X from 10.7.
    MacOs,
    /// Linux.
    Linux,
}

/// A system, with its version where that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// macOS with its version.
    MacOs(MacOsVersion),
    /// Linux.
    Linux,
}

/// A version of macOS. 10.9 comes before 10.10, which comes before 11.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MacOsVersion {
    /// 10 until Catalina, then 11 and up.
    pub major: u16,
    /// The second part; 0 if there is none.
    pub minor: u16,
}

impl MacOsVersion {
    /// The first version that denies even root many files without Full Disk Access.
    pub const MOJAVE: Self = Self { major: 10, minor: 14 };
    /// The first version with separate system and data volumes.
    pub const CATALINA: Self = Self { major: 10, minor: 15 };
    /// The first version whose system volume is sealed.
    pub const BIG_SUR: Self = Self { major: 11, minor: 0 };
}

/// Text that is not a version of macOS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a version of macOS")]
pub struct NotAVersion;

impl FromStr for MacOsVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let mut parts = text.trim().split('.').map(|part| part.parse::<u16>().map_err(|_| NotAVersion));
        let major = parts.next().ok_or(NotAVersion)??;
        let minor = parts.next().transpose()?.unwrap_or(0);
        if major < 10 || parts.any(|part| part.is_err()) {
            return Err(NotAVersion);
        }
        Ok(Self { major, minor })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MacOs(MacOsVersion { major, minor }) => write!(formatter, "macOS {major}.{minor}"),
            Self::Linux => formatter.write_str("Linux"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MacOsVersion, NotAVersion};

    #[test]
    fn versions_compare_by_number() {
        let of = str::parse::<MacOsVersion>;
        assert!(of("10.9.5").unwrap() < of("10.10").unwrap());
        assert!(of("10.15.7").unwrap() < MacOsVersion::BIG_SUR);
        assert_eq!(of("11").unwrap(), MacOsVersion::BIG_SUR);
        assert_eq!(of("26.1\n"), Ok(MacOsVersion { major: 26, minor: 1 }));
        for bad in ["", "macOS", "10.x", "9.2", "11.2.beta"] {
            assert_eq!(of(bad), Err(NotAVersion), "{bad:?}");
        }
    }
}
