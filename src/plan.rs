//! What a run is to do: validated, immutable, and independent of the command-line parser.

pub mod frozen;
pub mod hashes;
pub mod ping_url;
pub mod proof;
pub mod schedule;
pub mod share;
pub mod tag;

use std::ffi::OsString;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use frozen::{Frozen, Room};
use ping_url::Address;
use proof::Frequency;
use share::Share;

use crate::logging::shown::{Colour, Verbosity};
use crate::marker::Prefix;
use crate::plan::tag::Tag;
use crate::secret::Once;

/// How rsync is tuned, without an effect on what a clone is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tuning {
    /// The most that is written, in KiB a second.
    pub bandwidth: Option<NonZeroU64>,
    /// Compare files by their contents.
    pub checksum: bool,
    /// Write what has changed of a large file into its copy.
    pub in_place: bool,
    /// Write a changed file whole, in place too.
    pub whole_file: bool,
}

impl Tuning {
    /// Whether we may copy files without rsync.
    #[must_use]
    pub fn lets_us_copy(self) -> bool {
        self.bandwidth.is_none() && !self.checksum
    }
}

/// By which entries in them directories are excluded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// By a valid CACHEDIR.TAG.
    pub caches: bool,
    /// By an entry of one of these names.
    pub names: Vec<OsString>,
}

impl Tags {
    /// Whether there may be any.
    #[must_use]
    pub fn are_wanted(&self) -> bool {
        self.caches || !self.names.is_empty()
    }
}

/// Everything one run of a clone needs to know. Paths are absolute, but for a destination that is named by a tag.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The directory whose contents are cloned.
    pub source: PathBuf,
    /// The directory that becomes the clone.
    pub destination: PathBuf,
    /// What its filesystem is named by, if not by a path: `destination` is then only what was typed.
    pub named: Option<Tag>,
    /// The file with the key of an encrypted destination, instead of the stored password.
    pub key_file: Option<PathBuf>,
    /// The user's exclusion patterns, in rsync's syntax.
    pub exclude_from: Option<PathBuf>,
    /// Which directories are excluded by what is in them.
    pub tags: Tags,
    /// Back up servers first, with the password from here.
    pub backup: Option<BackupPassword>,
    /// The directory for the server backup, instead of the default one.
    pub backup_dir: Option<PathBuf>,
    /// Run before the clone.
    pub pre_script: Option<PathBuf>,
    /// Run after a successful clone.
    pub post_script: Option<PathBuf>,
    /// The prefix of the files left at the destination.
    pub prefix: Prefix,
    /// Only show what would change.
    pub test_run: bool,
    /// Print what would change as JSON.
    pub json: bool,
    /// How much of the run is shown.
    pub verbosity: Verbosity,
    /// Whether in colours.
    pub colour: Colour,
    /// The rsync to use, instead of searching.
    pub rsync: Option<PathBuf>,
    /// The log directory, instead of the default one.
    pub log_dir: Option<PathBuf>,
    /// How many logs are kept, including this run's; all if `None`.
    pub keep_logs: Option<NonZeroUsize>,
    /// List what is changed in a file beside the log.
    pub log_changes: bool,
    /// The first clone may delete what the destination contains, and the destination may have changed.
    pub adopt: bool,
    /// The source may have lost most of its entries since the last complete clone.
    pub allow_shrink: bool,
    /// Let rsync look at everything.
    pub full: bool,
    /// The same at least every so many days.
    pub full_every: u32,
    /// How rsync is tuned.
    pub tuning: Tuning,
    /// How much of the destination a clone may delete.
    pub max_delete: MaxDelete,
    /// Do not check beforehand whether the clone fits.
    pub no_space_check: bool,
    /// The destination may be a plain directory where disks are usually mounted.
    pub allow_folder: bool,
    /// A failing script fails the run.
    pub strict_scripts: bool,
    /// Clone without root.
    pub allow_non_root: bool,
    /// How often the transfer is retried after a transient failure.
    pub retries: u32,
    /// The pause before a retry.
    pub retry_wait: Duration,
    /// How long rsync may do nothing before it is killed; `None` waits forever.
    pub stall_timeout: Option<Duration>,
    /// Files that vanish during the clone do not affect its exit code.
    pub vanished_ok: bool,
    /// The file for Prometheus's textfile collector.
    pub metrics_file: Option<PathBuf>,
    /// The address to ping when the run begins and ends.
    pub ping: Option<Ping>,
    /// Run after a failure.
    pub on_error: Option<PathBuf>,
    /// A missing destination is not a failure.
    pub skip_if_missing: bool,
    /// Whether the source stands still meanwhile.
    pub snapshot: Frozen,
    /// How much a snapshot of a volume has room for.
    pub snapshot_size: Option<Room>,
    /// Make the clone start a machine.
    pub bootable: bool,
    /// Which filesystems below the source are part of the clone.
    pub filesystems: Filesystems,
    /// Boot the clone in a virtual machine afterwards, this often.
    pub prove: Option<Frequency>,
    /// Read this share of the clone again, every day another.
    pub verify_daily: Option<Share>,
    /// Keep the hashes of the clone's files.
    pub hashes: Option<hashes::Kept>,
    /// Keep what the clone deletes or overwrites, for this many days.
    pub safety_net: Option<u32>,
}

impl Plan {
    /// The same, with its result as JSON: nothing else may go to standard output.
    #[must_use]
    pub fn printing_json(self) -> Self {
        Self { json: true, verbosity: Verbosity::Quiet, ..self }
    }
}

/// Where the address to ping is known from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ping {
    /// The command line or a job's file.
    Address(Address),
    /// A file that is read at each run.
    File(PathBuf),
}

impl Ping {
    /// The file, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Address(_) => None,
            Self::File(path) => Some(path),
        }
    }
}

/// Which of the filesystems that are mounted below the source are part of the clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filesystems {
    /// None: the source's own alone.
    None,
    /// Every one on a local disk.
    All,
    /// Those that are mounted at these paths.
    Listed(Vec<PathBuf>),
}

/// How much of a clone the next one may delete, unless `allow_shrink` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxDelete {
    /// Half of the entries and half of the bytes; any number below 100 entries and 100 MB.
    Half,
    /// This many entries.
    Entries(u64),
    /// This share of the entries, and of the bytes.
    Percent(u8),
}

/// The source of the server backup's password.
#[derive(Debug, Clone)]
pub enum BackupPassword {
    /// From the command line; the phase that needs the password takes it.
    Given(Once),
    /// From the system's keychain or credential store.
    Stored,
}
