//! Everything known about a finished run, for monitoring: plain data that is written as JSON.
//!
//! Names and paths are escaped for display (see `shown`): nothing in them can forge a line or control a terminal.

pub mod prometheus;

use chrono::{DateTime, Datelike as _, Local, SecondsFormat, TimeZone as _};
use serde::{Deserialize, Serialize};

/// The version of the schema; a reader rejects later ones.
pub const SCHEMA: u32 = 1;

/// How many warnings and failing paths are kept.
pub const MOST_LINES: usize = 20;

/// How a run ended, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The clone is complete.
    Success,
    /// The clone is complete, but something needs attention.
    Warning,
    /// This run made no complete clone.
    Failed,
    /// The destination was missing, which was allowed.
    Skipped,
}

impl Status {
    /// All of them.
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

/// A point in time, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Local time with its UTC offset, in RFC 3339 format.
    pub rfc3339: String,
    /// Seconds since 1970.
    pub epoch: i64,
}

impl Moment {
    /// This many seconds since 1970; `None` for a time that RFC 3339 cannot write.
    #[must_use]
    pub fn at(epoch: i64) -> Option<Self> {
        let time = Local.timestamp_opt(epoch, 0).single()?;
        (0..=9999).contains(&time.year()).then(|| time.into())
    }
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
    /// The options of a clone that it lacks.
    pub dropped_options: Vec<String>,
    /// How often the transfer was started.
    pub attempts: u32,
    /// The exit code of the last transfer, if it exited.
    pub exit_code: Option<i32>,
    /// The signal that killed the last transfer.
    pub signal: Option<i32>,
}

/// Entries by type.
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

impl Kinds {
    /// Adds other entries.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in [
            (&mut self.files, other.files),
            (&mut self.dirs, other.dirs),
            (&mut self.links, other.links),
            (&mut self.devices, other.devices),
            (&mut self.special, other.special),
        ] {
            *count = count.saturating_add(more);
        }
    }
}

/// What rsync counted. A value is `None` if this rsync does not print it; `rsync::statistics` parses them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Entries of every kind in the source.
    pub files: Option<u64>,
    /// Entries created at the destination; 3.1.0 and later.
    pub created: Option<u64>,
    /// Entries deleted at the destination; 3.1.0 and later.
    pub deleted: Option<u64>,
    /// Files whose contents were copied.
    pub transferred: Option<u64>,
    /// The size of all regular files, counting each hard link, and symbolic links in the source, in bytes.
    pub total_size: Option<u64>,
    /// The full size of the files whose contents were copied, in bytes.
    pub transferred_size: Option<u64>,
    /// Literal data: bytes that had to be sent to update the changed files.
    pub literal: Option<u64>,
    /// Matched data: bytes of the changed files that the destination already had.
    pub matched: Option<u64>,
    /// Distinct 4 KiB regions of files that were written, which are not disk blocks; rsync 3.5.1 and later.
    pub touched_blocks: Option<u64>,
    /// [`Statistics::files`] by type; this and the next two 3.1.0 and later.
    pub files_by_kind: Option<Kinds>,
    /// [`Statistics::created`] by type.
    pub created_by_kind: Option<Kinds>,
    /// [`Statistics::deleted`] by type.
    pub deleted_by_kind: Option<Kinds>,
    /// The size of the file list, in bytes.
    pub list_size: Option<u64>,
    /// How long rsync took to generate the file list, in milliseconds.
    pub list_generation_ms: Option<u64>,
    /// How long rsync took to transfer the file list, in milliseconds.
    pub list_transfer_ms: Option<u64>,
    /// Bytes from rsync's reading to its writing side, including the protocol's own.
    pub sent: Option<u64>,
    /// Bytes from rsync's writing to its reading side.
    pub received: Option<u64>,
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// `pre-clone` or `post-clone`.
    pub which: String,
    /// Its path.
    pub path: String,
    /// Its exit code, if it exited.
    pub exit_code: Option<i32>,
    /// The signal that killed it.
    pub signal: Option<i32>,
}

/// The first lines of a list, and how many more there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lines {
    /// The first twenty.
    pub first: Vec<String>,
    /// How many more there were.
    pub more: u64,
}

impl Lines {
    /// Keeps a line, or counts it.
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

/// What a tree contains, by our own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Entries of every kind.
    pub entries: u64,
    /// Bytes of file contents, holes excluded and hard-linked files counted once. Earlier versions recorded none.
    pub bytes: Option<u64>,
}

/// How a clone's last start in a virtual machine went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// When it ended.
    pub at: Moment,
    /// Whether the clone booted.
    pub booted: bool,
    /// Why it did not.
    pub reason: Option<String>,
    /// Whether its root and its fstab were compared from inside.
    pub compared: bool,
    /// The firmware: `BIOS` or `UEFI`.
    pub firmware: String,
    /// The kernel's version, if it was reported.
    pub kernel: Option<String>,
    /// How long the boot took, in seconds.
    pub seconds: f64,
}

/// The hashes of a clone's files that a run has kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashing {
    /// How many files and symbolic links have one.
    pub entries: u64,
    /// How many files were read for it: those that were new or had changed.
    pub files_read: u64,
    /// How much of them, in bytes, without holes.
    pub bytes_read: u64,
    /// The clone has them too, not this machine alone.
    pub on_clone: bool,
}

/// What is known of a clone that was read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// When the last verification ended.
    pub at: Moment,
    /// Files that it read.
    pub files: u64,
    /// Bytes of their contents, without holes.
    pub bytes: u64,
    /// Entries that it found damaged.
    pub damaged: u64,
    /// Entries that it could not compare.
    pub not_compared: u64,
    /// Since when every file has been read; none until each was read once.
    pub oldest: Option<Moment>,
    /// When damage was found last, unless every file has been read since without any.
    pub damage_found: Option<Moment>,
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of the schema.
    pub schema: u32,
    /// The version of Counterpart.
    pub counterpart: String,
    /// The machine's name.
    pub host: String,
    /// Its system.
    pub system: String,
    /// What was cloned.
    pub source: String,
    /// The destination.
    pub destination: String,
    /// The prefix of our files there.
    pub prefix: String,
    /// How it ended.
    pub outcome: Status,
    /// The exit code.
    pub exit_code: u8,
    /// Why it failed.
    pub reason: Option<String>,
    /// What needs attention although the run succeeded.
    pub warnings: Lines,
    /// When it began.
    pub started: Moment,
    /// When it ended.
    pub ended: Moment,
    /// How long it took, in seconds, by a monotonic clock.
    pub seconds: f64,
    /// How long each phase took, in order.
    pub phases: Vec<Phase>,
    /// The rsync, if one was found.
    pub rsync: Option<Rsync>,
    /// What rsync counted, if it printed that.
    pub statistics: Option<Statistics>,
    /// What the source contained by our own count, if the run got that far; earlier versions lack the field.
    #[serde(default)]
    pub census: Option<Totals>,
    /// The scripts that ran.
    pub scripts: Vec<Script>,
    /// The paths that rsync complained about.
    pub failing_paths: Lines,
    /// The log's path, if there is a log.
    pub log: Option<String>,
    /// The path of the list of changes, if anything was changed and listed; earlier versions lack the field.
    #[serde(default)]
    pub changes: Option<String>,
    /// The paths of the filesystems that were cloned from a snapshot; earlier versions lack the field.
    #[serde(default)]
    pub snapshots: Vec<String>,
    /// The hashes that were kept; earlier versions lack the field.
    #[serde(default)]
    pub hashes: Option<Hashing>,
    /// The clone's last proof that it boots, or does not; earlier versions lack the field.
    #[serde(default)]
    pub proof: Option<Proof>,
    /// What is known of the clone that was read again; earlier versions lack the field.
    #[serde(default)]
    pub verification: Option<Verification>,
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
            changes: None,
            snapshots: Vec::new(),
            hashes: None,
            proof: None,
            verification: None,
        }
    }

    #[test]
    fn the_words_are_those_that_are_written() {
        for verdict in Status::ALL {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.word());
        }
    }
}
