//! What a run records about itself for those who look at it afterwards.

use crate::record::{Hashing, Lines, Phase, Proof, Rsync, Script, Statistics, Totals, Verification};
use crate::state::reading::Reading;

/// The notes of a run.
#[derive(Debug, Default)]
pub struct Journal {
    /// What somebody should look at.
    pub warnings: Lines,
    /// The same for everybody, without anything that may name a file.
    pub public_warnings: Lines,
    /// The finished phases.
    pub phases: Vec<Phase>,
    /// The rsync that was used.
    pub rsync: Option<Rsync>,
    /// What it counted.
    pub statistics: Option<Statistics>,
    /// The scripts that ran.
    pub scripts: Vec<Script>,
    /// The paths that rsync complained about.
    pub failing_paths: Lines,
    /// What the source holds.
    pub census: Option<Totals>,
    /// The filesystems that are cloned from a snapshot.
    pub snapshots: Vec<String>,
    /// The hashes that were kept.
    pub hashes: Option<Hashing>,
    /// The last proof of the clone, this run's own or an earlier one.
    pub proof: Option<Proof>,
    /// What this run has read again.
    pub reading: Option<Reading>,
    /// What is known of the clone by that, or by an earlier one.
    pub verification: Option<Verification>,
}
