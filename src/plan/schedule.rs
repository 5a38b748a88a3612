//! A scheduled clone: its name, its times, what is started then, and its state.

pub mod when;

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use when::When;

use crate::plan::tag::Tag;

/// The name of a schedule. It becomes part of file names and of the system's job names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

/// The default name.
pub const DEFAULT_NAME: &str = "clone";

/// The longest name, in bytes.
const LONGEST_NAME: usize = 64;

/// Text that is not a valid name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {LONGEST_NAME} letters, digits, '-' and '_', and begins with a letter or a digit")]
pub struct NotAName;

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let begins_well = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        if begins_well && text.len() <= LONGEST_NAME && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAName)
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What is started, and when.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name.
    pub name: Name,
    /// Its times.
    pub when: When,
    /// The program, by its absolute path.
    pub program: String,
    /// The program's arguments; paths in them are absolute.
    pub arguments: Vec<String>,
    /// `PATH` of the program.
    pub search_path: String,
    /// The destinations of its clones.
    pub targets: Vec<Target>,
    /// Start it when a destination's disk appears, too.
    pub when_plugged_in: bool,
    /// Do not start it while the machine is on battery.
    pub on_ac: bool,
}

/// The destination of a scheduled clone.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its path, or the tag's own text.
    pub destination: PathBuf,
    /// What its filesystem is named by, if not by a path.
    pub named: Option<Tag>,
    /// The clone is skipped while it is missing.
    pub skips_if_missing: bool,
}

/// The state of a scheduled job, as its system reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Whether the system knows the job.
    pub loaded: bool,
    /// Whether it is running now.
    pub running: bool,
    /// When it runs next, in the system's words; `None` if no run is planned.
    pub next: Option<String>,
    /// The same in seconds since 1970, if those words are known.
    pub next_at: Option<i64>,
    /// How the last run ended.
    pub last: String,
}

/// Text that cannot be written to a job's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it contains control characters or is not UTF-8, so it cannot be used in a job's file; rename it")]
pub struct Unwritable;

/// An argument or path as text that can be written to a job's file.
pub fn text(argument: &OsStr) -> Result<String, Unwritable> {
    let text = argument.to_str().ok_or(Unwritable)?;
    if text.chars().any(char::is_control) { Err(Unwritable) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::{Name, NotAName};

    #[test]
    fn names_that_could_mean_another_file_are_refused() {
        let of = str::parse::<Name>;
        assert!(of("clone").is_ok() && of("Disk_2-weekly").is_ok() && of(&"x".repeat(64)).is_ok());
        for bad in ["", "-x", "_x", "a.b", "a/b", "a b", "a@b", "a%n", "\u{fc}", "a\n", &"x".repeat(65)] {
            assert_eq!(of(bad), Err(NotAName), "{bad:?}");
        }
    }
}
