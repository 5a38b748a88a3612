//! What a failure counts.

use std::fmt;

/// What is counted in a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Its entries.
    Entries,
    /// The bytes of its files.
    Bytes,
}

/// What a clone would delete of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// What is counted.
    pub measure: Measure,
    /// How much would be deleted.
    pub now: u64,
    /// How much there is.
    pub of: u64,
    /// The first paths, escaped; `None` where they must not be named.
    pub first: Option<String>,
}

impl fmt::Display for Deletion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measure, now, of, first } = self;
        write!(formatter, "{} of {}", measure.of(*now), measure.number(*of))?;
        first.iter().try_for_each(|first| write!(formatter, ", first of all {first},"))
    }
}

impl Measure {
    /// A number of them.
    #[must_use]
    pub fn of(self, number: u64) -> String {
        match self {
            Self::Entries => format!("{number} entries"),
            Self::Bytes => format!("files of {number} bytes"),
        }
    }

    /// A number where it is clear of what.
    #[must_use]
    pub fn number(self, number: u64) -> String {
        match self {
            Self::Entries => number.to_string(),
            Self::Bytes => format!("{number} bytes"),
        }
    }
}
