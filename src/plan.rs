//! What was decided: validated, immutable, and free of the command line's parser.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::address::Address;
use crate::secret::Once;

/// Everything that one run of the clone has to know. Paths are absolute.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The folder whose contents are cloned.
    pub source: PathBuf,
    /// The folder that becomes the clone.
    pub destination: PathBuf,
    /// The user's exclusion patterns, in rsync's syntax.
    pub exclude_from: Option<PathBuf>,
    /// Back the servers up first, with the password from here.
    pub backup: Option<BackupPassword>,
    /// Where the server backup goes, instead of the default folder.
    pub backup_dir: Option<PathBuf>,
    /// Run before the clone.
    pub pre_script: Option<PathBuf>,
    /// Run after a successful clone.
    pub post_script: Option<PathBuf>,
    /// Names the files that are left at the destination.
    pub prefix: Prefix,
    /// Only show what would change.
    pub test_run: bool,
    /// The rsync to use, instead of searching.
    pub rsync: Option<PathBuf>,
    /// The log folder, instead of the default one.
    pub log_dir: Option<PathBuf>,
    /// How many logs stay, this run's included; none is ever removed without a number.
    pub keep_logs: Option<NonZeroUsize>,
    /// The first clone may delete what the destination holds, and the destination may be another one than it was.
    pub adopt: bool,
    /// The source may have lost most of its entries since the last complete clone.
    pub allow_shrink: bool,
    /// Do not check beforehand whether the clone fits.
    pub no_space_check: bool,
    /// The destination may be a plain folder where disks are mounted otherwise.
    pub allow_folder: bool,
    /// A failing script fails the run.
    pub strict_scripts: bool,
    /// Clone without root.
    pub allow_non_root: bool,
    /// How often the transfer is tried again when its failure may pass.
    pub retries: u32,
    /// The pause before another attempt.
    pub retry_wait: Duration,
    /// How long rsync may do nothing before it is given up; for ever without a time.
    pub stall_timeout: Option<Duration>,
    /// Files that vanish during the clone do not change its exit code.
    pub vanished_ok: bool,
    /// The file for Prometheus' textfile collector.
    pub metrics_file: Option<PathBuf>,
    /// Told when the run begins and how it ended.
    pub ping: Option<Address>,
    /// Run after a failure.
    pub on_error: Option<PathBuf>,
    /// A destination that is not there makes no failure.
    pub skip_if_missing: bool,
    /// Keep what the clone deletes or overwrites, for so many days.
    pub safety_net: Option<u32>,
}

/// Where the password of a server backup comes from.
#[derive(Debug, Clone)]
pub enum BackupPassword {
    /// From the command line, to be taken by the phase that finds the password.
    Given(Once),
    /// From the system's keychain or credential store.
    Stored,
}

/// The reverse-domain prefix of the files at the destination's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// The prefix of the original, and the default.
pub const DEFAULT_PREFIX: &str = "me.jedda";

/// The longest prefix, in bytes: with our suffixes and a temporary's random part a name stays under 255 bytes.
const LONGEST_PREFIX: usize = 100;

/// Why a prefix is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Nothing was given.
    #[error("the prefix is empty")]
    Empty,
    /// More than 100 bytes.
    #[error("the prefix is longer than {LONGEST_PREFIX} bytes")]
    TooLong,
    /// A hidden file's name would begin with two dots.
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

/// The last part of the name of the folder that holds the safety nets.
pub const SAFETY_NET: &str = "safety-net";

/// One of the files that are left at the destination's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Exists while the clone is complete; its modification time is the completion.
    Completed,
    /// Holds the reason of the last failure, in one line.
    Error,
    /// Holds the statistics of the last run.
    Statistics,
    /// Says that this destination is a clone of ours.
    Identity,
    /// Holds all that is known of the last run, for programs.
    Record,
}

impl Mark {
    /// All marks.
    pub const ALL: [Self; 5] = [Self::Completed, Self::Error, Self::Statistics, Self::Identity, Self::Record];

    /// The marks that make a destination known as ours; an error alone does not.
    pub const OWNING: [Self; 3] = [Self::Identity, Self::Completed, Self::Statistics];

    /// The last part of the file's name.
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
    /// The start of every name of ours: `.PREFIX.counterpart.`
    #[must_use]
    pub fn stem(&self) -> String {
        format!(".{}.counterpart.", self.0)
    }

    /// The name of a mark, `.PREFIX.counterpart.completed` for one.
    #[must_use]
    pub fn mark(&self, mark: Mark) -> OsString {
        OsString::from(self.stem() + mark.suffix())
    }

    /// The name of the folder that holds the safety nets.
    #[must_use]
    pub fn safety_net(&self) -> OsString {
        OsString::from(self.stem() + SAFETY_NET)
    }

    /// The name under which the keychain or the credential store keeps the password.
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
    use super::{Mark, Prefix, PrefixError};

    #[test]
    fn prefixes_that_could_name_another_file_are_refused() {
        let of = str::parse::<Prefix>;
        assert_eq!(of(""), Err(PrefixError::Empty));
        assert_eq!(of(".me"), Err(PrefixError::LeadingDot));
        for bad in ["a/b", "a b", "a*", "ü", "a\n"] {
            assert_eq!(of(bad), Err(PrefixError::Character), "{bad:?}");
        }
        assert_eq!(of(&"a".repeat(101)), Err(PrefixError::TooLong));
        assert_eq!(of(&"a".repeat(100)).unwrap().mark(Mark::Identity).len(), 100 + 16);
        assert_eq!(
            of("org.my-site_1").unwrap().mark(Mark::Completed),
            ".org.my-site_1.counterpart.completed"
        );
    }
}
