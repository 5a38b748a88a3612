//! Why something failed.

use std::error::Error;
use std::fmt;
use std::io;

use crate::display;

/// The system's error, kept as the failure's source, or our own words.
#[derive(Debug)]
pub enum Reason {
    /// The system's error.
    Error(io::Error),
    /// Our own words.
    Words(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => formatter.write_str(&display::reason(error)),
            Self::Words(words) => formatter.write_str(words),
        }
    }
}

impl Error for Reason {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Error(error) => Some(error),
            Self::Words(_) => None,
        }
    }
}

impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        Self::Error(error)
    }
}

impl From<String> for Reason {
    fn from(words: String) -> Self {
        Self::Words(words)
    }
}

impl From<&str> for Reason {
    fn from(words: &str) -> Self {
        Self::Words(words.to_owned())
    }
}
