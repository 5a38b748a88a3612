//! The files that we leave at a destination's root: their names here, the contents of the larger ones in submodules.

pub mod identity;
pub mod stats;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::str::FromStr;

/// The reverse-domain prefix of our files at the destination's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// The prefix of the original, and the default.
pub const DEFAULT_PREFIX: &str = "me.jedda";

/// The longest prefix, in bytes: with our suffixes and a random part a name stays below 255 bytes.
const LONGEST_PREFIX: usize = 100;

/// Why a prefix is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// It is empty.
    #[error("the prefix is empty")]
    Empty,
    /// It is longer than 100 bytes.
    #[error("the prefix is longer than {LONGEST_PREFIX} bytes")]
    TooLong,
    /// The file names would begin with two dots.
    #[error("the prefix begins with a dot")]
    LeadingDot,
    /// A character that could change which file is meant.
    #[error("the prefix may hold letters, digits, '-', '.' and '_' only")]
    Character,
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        if text.is_empty() {
            return Err(PrefixError::Empty);
        }
        if text.len() > LONGEST_PREFIX {
            return Err(PrefixError::TooLong);
        }
        if text.starts_with('.') {
            return Err(PrefixError::LeadingDot);
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
            return Err(PrefixError::Character);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self(DEFAULT_PREFIX.to_owned())
    }
}

/// The suffix of the directory with the safety nets.
pub const SAFETY_NET: &str = "safety-net";

/// The suffix of the file with the hashes of the clone's files, which is for its owner alone.
pub const HASHES: &str = "hashes";

/// Everyone may read the markers: a monitoring system does not run as root.
pub const MODE: u32 = 0o644;

/// One of the files that are left at the destination's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// Exists while the clone is complete; its modification time is that of the completion.
    Completed,
    /// Contains the reason of the last failure, in one line.
    Error,
    /// Contains the statistics of the last run.
    Statistics,
    /// Marks this destination as a clone of ours.
    Identity,
    /// Contains the full record of the last run, for programs.
    Record,
}

impl Marker {
    /// All markers.
    pub const ALL: [Self; 5] = [Self::Completed, Self::Error, Self::Statistics, Self::Identity, Self::Record];

    /// The markers that identify a destination as ours; an error alone does not.
    pub const OWNING: [Self; 3] = [Self::Identity, Self::Completed, Self::Statistics];

    /// The suffix of the file's name.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Error => "error",
            Self::Statistics => "stats",
            Self::Identity => "id",
            Self::Record => "stats.json",
        }
    }
}

impl Prefix {
    /// The start of all our file names: `.PREFIX.counterpart.`
    #[must_use]
    pub fn stem(&self) -> String {
        format!(".{}.counterpart.", self.0)
    }

    /// The name of a marker, for example `.PREFIX.counterpart.completed`.
    #[must_use]
    pub fn marker(&self, marker: Marker) -> OsString {
        OsString::from(self.stem() + marker.suffix())
    }

    /// The name of the directory with the safety nets.
    #[must_use]
    pub fn safety_net(&self) -> OsString {
        OsString::from(self.stem() + SAFETY_NET)
    }

    /// The name of the file with the hashes of the clone's files.
    #[must_use]
    pub fn hashes(&self) -> OsString {
        OsString::from(self.stem() + HASHES)
    }

    /// The name of the password in the keychain or credential store.
    #[must_use]
    pub fn service(&self) -> String {
        format!("{}.counterpart", self.0)
    }

    /// Whether a name at the destination's root is one of ours.
    #[must_use]
    pub fn owns(&self, name: &OsStr) -> bool {
        name.as_encoded_bytes().starts_with(self.stem().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::{Marker, Prefix, PrefixError};

    #[test]
    fn prefixes_that_could_name_another_file_are_refused() {
        let of = str::parse::<Prefix>;
        assert_eq!(of(""), Err(PrefixError::Empty));
        assert_eq!(of(".me"), Err(PrefixError::LeadingDot));
        for bad in ["a/b", "a b", "a*", "ü", "a\n"] {
            assert_eq!(of(bad), Err(PrefixError::Character), "{bad:?}");
        }
        assert_eq!(of(&"a".repeat(101)), Err(PrefixError::TooLong));
        assert_eq!(of(&"a".repeat(100)).unwrap().marker(Marker::Identity).len(), 100 + 16);
        assert_eq!(
            of("org.my-site_1").unwrap().marker(Marker::Completed),
            ".org.my-site_1.counterpart.completed"
        );
    }
}
