//! What is known of a run when it is over, as monitoring reads it: plain data that becomes JSON.
//!
//! Names and paths are text as people see it (see `shown`): nothing in it can forge a line or drive a terminal.

pub mod prometheus;

use chrono::{DateTime, Local, SecondsFormat};
use serde::{Deserialize, Serialize};

/// The version of this form; a reader refuses a later one.
pub const SCHEMA: u32 = 1;

/// How many warnings and failing paths are kept.
pub const MOST_LINES: usize = 20;

/// How a run ended, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The clone is complete.
    Success,
    /// The clone is complete, and somebody should look at something.
    Warning,
    /// There is no complete clone of this run.
    Failed,
    /// The destination was not there, and that was allowed.
    Skipped,
}

impl Status {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Success, Self::Warning, Self::Failed, Self::Skipped];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// Whether the clone is complete.
    #[must_use]
    pub const fn is_complete(self) -> bool {
        match self {
            Self::Success | Self::Warning => true,
            Self::Failed | Self::Skipped => false,
        }
    }
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

/// Entries by their kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kinds {
    /// Regular files.
    pub files: u64,
    /// Directories.
    #[serde(rename = "folders")]
    pub dirs: u64,
    /// Symbolic links.
    pub links: u64,
    /// Devices.
    pub devices: u64,
    /// FIFOs and sockets.
    pub special: u64,
}

/// What rsync counted. A value is missing where this rsync does not print it; `rsync::statistics` reads them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Entries of every kind in the source.
    pub files: Option<u64>,
    /// Entries made at the destination that were not there before; 3.1.0 and later.
    pub created: Option<u64>,
    /// Entries deleted at the destination; 3.1.0 and later.
    pub deleted: Option<u64>,
    /// Files whose contents were copied.
    pub transferred: Option<u64>,
    /// The size of all regular files, by each of their names, and symbolic links in the source, in bytes.
    pub total_size: Option<u64>,
    /// The whole size of the files whose contents were copied, in bytes.
    pub transferred_size: Option<u64>,
    /// Bytes that had to be sent to make the changed files anew.
    pub literal: Option<u64>,
    /// Bytes of the changed files that the destination had already.
    pub matched: Option<u64>,
    /// Distinct regions of 4 KiB of files that were written, which are no blocks of the disk; rsync 3.5.1 and later.
    pub touched_blocks: Option<u64>,
    /// [`Statistics::files`] by their kind; this and the next two 3.1.0 and later.
    pub files_by_kind: Option<Kinds>,
    /// [`Statistics::created`] by their kind.
    pub created_by_kind: Option<Kinds>,
    /// [`Statistics::deleted`] by their kind.
    pub deleted_by_kind: Option<Kinds>,
    /// The size of the list of files, in bytes.
    pub list_size: Option<u64>,
    /// How long rsync took to make the list, in milliseconds.
    pub list_generation_ms: Option<u64>,
    /// How long rsync took to send the list, in milliseconds.
    pub list_transfer_ms: Option<u64>,
    /// Bytes from the reading to the writing side of rsync, its own talk included.
    pub sent: Option<u64>,
    /// Bytes from the writing to the reading side of rsync.
    pub received: Option<u64>,
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

/// What a tree holds, by our own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Entries of every kind.
    pub entries: u64,
    /// Bytes of the contents of its files, holes apart; what has several names counts once. Earlier versions kept none.
    pub bytes: Option<u64>,
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
    pub outcome: Status,
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
    pub statistics: Option<Statistics>,
    /// What the source held by our own count, if the run came so far; earlier versions have no such field.
    #[serde(default)]
    pub census: Option<Totals>,
    /// The scripts that ran.
    pub scripts: Vec<Script>,
    /// The paths that rsync complained about.
    pub failing_paths: Lines,
    /// The log's path, if there is a log.
    pub log: Option<String>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Lines, Moment, Record, SCHEMA, Status};

    /// A run that failed.
    pub(crate) fn record() -> Record {
        let moment = Moment { rfc3339: "2026-11-23T01:48:46+01:00".to_owned(), epoch: 1_795_394_926 };
        Record {
            schema: SCHEMA,
            counterpart: "2.0.0".to_owned(),
            host: "testhost".to_owned(),
            system: "Linux".to_owned(),
            source: "/".to_owned(),
            destination: "/mnt/clone".to_owned(),
            prefix: "me.jedda".to_owned(),
            outcome: Status::Failed,
            exit_code: 74,
            reason: Some("The destination is full.".to_owned()),
            warnings: Lines::default(),
            started: moment.clone(),
            ended: moment,
            seconds: 1.5,
            phases: Vec::new(),
            rsync: None,
            statistics: None,
            census: None,
            scripts: Vec::new(),
            failing_paths: Lines::default(),
            log: None,
        }
    }

    #[test]
    fn the_words_are_those_that_are_written() {
        for verdict in Status::ALL {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.word());
        }
    }
}
