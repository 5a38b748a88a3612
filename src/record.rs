//! What is known of a run when it is over, as monitoring reads it: plain data that becomes JSON.
//!
//! Names and paths are text as people see it (see `shown`): nothing in it can forge a line or drive a terminal.

use chrono::{DateTime, Local, SecondsFormat};
use serde::{Deserialize, Serialize};

/// The version of this form; a reader refuses a later one.
pub const SCHEMA: u32 = 1;

/// How many warnings and failing paths are kept.
pub const MOST_LINES: usize = 20;

/// How a run ended, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The clone is complete.
    Success,
    /// The clone is complete, and somebody should look at something.
    Warning,
    /// There is no complete clone of this run.
    Failed,
    /// The destination was not there, and that was allowed.
    Skipped,
}

/// A moment, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Local time with its offset, by RFC 3339.
    pub rfc3339: String,
    /// Seconds since 1970.
    pub epoch: i64,
}

impl From<DateTime<Local>> for Moment {
    fn from(time: DateTime<Local>) -> Self {
        Self { rfc3339: time.to_rfc3339_opts(SecondsFormat::Secs, false), epoch: time.timestamp() }
    }
}

/// How long a phase took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// Its duration, in seconds.
    pub seconds: f64,
}

/// The rsync that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rsync {
    /// Its path.
    pub path: String,
    /// Its version.
    pub version: String,
    /// The options of a clone that it does not have.
    pub dropped_options: Vec<String>,
    /// How often the transfer was started.
    pub attempts: u32,
    /// The exit code of the last transfer, if it ended by itself.
    pub exit_code: Option<i32>,
    /// The signal that killed the last transfer.
    pub signal: Option<i32>,
}

/// What rsync counted; nothing where it did not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Entries of every kind in the source.
    pub files: Option<u64>,
    /// Entries made at the destination.
    pub created: Option<u64>,
    /// Entries deleted at the destination.
    pub deleted: Option<u64>,
    /// Files whose contents were copied.
    pub transferred: Option<u64>,
    /// The size of all files in the source, in bytes.
    pub total_size: Option<u64>,
    /// The size of the files whose contents were copied, in bytes.
    pub transferred_size: Option<u64>,
    /// Bytes that were sent as they are.
    pub literal: Option<u64>,
    /// Bytes that the destination had already.
    pub matched: Option<u64>,
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// `pre-clone` or `post-clone`.
    pub which: String,
    /// Its path.
    pub path: String,
    /// Its exit code, if it ended by itself.
    pub exit_code: Option<i32>,
    /// The signal that killed it.
    pub signal: Option<i32>,
}

/// What a list holds beyond the lines that were kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lines {
    /// The first twenty.
    pub first: Vec<String>,
    /// How many more there were.
    pub more: u64,
}

impl Lines {
    /// Adds a line, or counts it.
    pub fn push(&mut self, line: String) {
        if self.first.len() < MOST_LINES {
            self.first.push(line);
        } else {
            self.more += 1;
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this form.
    pub schema: u32,
    /// The version of Counterpart.
    pub counterpart: String,
    /// The machine's name.
    pub host: String,
    /// Its system.
    pub system: String,
    /// What was cloned.
    pub source: String,
    /// Where to.
    pub destination: String,
    /// The prefix of our files there.
    pub prefix: String,
    /// How it ended.
    pub outcome: Verdict,
    /// The exit code.
    pub exit_code: u8,
    /// Why it failed.
    pub reason: Option<String>,
    /// What somebody should look at though the run succeeded.
    pub warnings: Lines,
    /// When it began.
    pub started: Moment,
    /// When it ended.
    pub ended: Moment,
    /// How long it took, in seconds, by a clock that nobody sets.
    pub seconds: f64,
    /// How long its phases took, in their order.
    pub phases: Vec<Phase>,
    /// The rsync, if one was found.
    pub rsync: Option<Rsync>,
    /// What it counted, if it told.
    pub statistics: Option<Figures>,
    /// The scripts that ran.
    pub scripts: Vec<Script>,
    /// The paths that rsync complained about.
    pub failing_paths: Lines,
    /// The log's path, if there is a log.
    pub log: Option<String>,
}
