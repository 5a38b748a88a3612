//! What was decided: validated, immutable, and free of the command line's parser.

pub mod ping_url;
pub mod schedule;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ping_url::Address;

use crate::marker::Prefix;
use crate::secret::Once;

/// Everything that one run of the clone has to know. Paths are absolute.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The directory whose contents are cloned.
    pub source: PathBuf,
    /// The directory that becomes the clone.
    pub destination: PathBuf,
    /// The user's exclusion patterns, in rsync's syntax.
    pub exclude_from: Option<PathBuf>,
    /// Back the servers up first, with the password from here.
    pub backup: Option<BackupPassword>,
    /// Where the server backup goes, instead of the default directory.
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
    /// The log directory, instead of the default one.
    pub log_dir: Option<PathBuf>,
    /// How many logs stay, this run's included; none is ever removed without a number.
    pub keep_logs: Option<NonZeroUsize>,
    /// The first clone may delete what the destination holds, and the destination may be another one than it was.
    pub adopt: bool,
    /// The source may have lost most of its entries since the last complete clone.
    pub allow_shrink: bool,
    /// Do not check beforehand whether the clone fits.
    pub no_space_check: bool,
    /// The destination may be a plain directory where disks are mounted otherwise.
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
