//! Every way a run can fail, each with a message and one exit code.

mod meaning;
mod measure;
mod public;
mod reason;
pub mod refusal;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use measure::{Deletion, Measure};
pub use reason::Reason;

use crate::display;
use crate::exit_code::{ExitCode, Signal};

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The effective user is not root.
    #[error(
        "Counterpart must be run as root. Use sudo, or --allow-non-root for a clone without owners and special files."
    )]
    NotRoot,
    /// A bug: nothing outside the program can cause it.
    #[error("Internal error: {0}.")]
    Internal(String),
    /// The source cannot be opened or read.
    #[error("The source {} cannot be read: {why}. Check -s; is the volume mounted?", display::path(path))]
    SourceUnreadable {
        /// The source.
        path: PathBuf,
        /// The reason.
        #[source]
        why: Reason,
    },
    /// The source is empty: a clone of it would wipe the destination.
    #[error(
        "The source {} is empty; a clone of it would delete everything at the destination. Is the volume mounted?",
        display::path(path)
    )]
    SourceEmpty {
        /// The source.
        path: PathBuf,
    },
    /// The destination is not an existing, writable directory.
    #[error("The destination {} cannot be written: {why}.", display::path(path))]
    DestinationUnusable {
        /// The destination.
        path: PathBuf,
        /// The reason.
        #[source]
        why: Reason,
    },
    /// The destination does not exist.
    #[error("The destination {} {}.", display::path(path), absence(path))]
    DestinationMissing {
        /// The destination.
        path: PathBuf,
    },
    /// The exclusion file cannot be used.
    #[error("The excludes file {} cannot be read: {why}. Check -e.", display::path(path))]
    ExcludesUnreadable {
        /// The exclusion file.
        path: PathBuf,
        /// The reason.
        #[source]
        why: Reason,
    },
    /// The address to ping cannot be read from its file.
    #[error("The file {} of --ping-file {why}.", display::path(path))]
    PingFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without any of its contents.
        why: String,
    },
    /// A script cannot be executed.
    #[error("The {which} script {} cannot be executed: {why}.", display::path(path))]
    ScriptNotExecutable {
        /// Before or after the clone.
        which: Moment,
        /// It was executable when the run began.
        was_checked: bool,
        /// The script.
        path: PathBuf,
        /// The reason.
        #[source]
        why: Reason,
    },
    /// A script failed, and `--strict-scripts` was given.
    #[error("The {which} script {} failed: {how}.", display::path(path))]
    ScriptFailed {
        /// Before or after the clone.
        which: Moment,
        /// The script.
        path: PathBuf,
        /// Its exit code or signal.
        how: String,
    },
    /// The source became unreadable during the run.
    #[error("The source {} became unreadable during the clone: {why}. Check its disk.", display::path(path))]
    SourceLost {
        /// The source.
        path: PathBuf,
        /// The reason.
        #[source]
        why: Reason,
    },
    /// The destination became unwritable during the run.
    #[error(
        "The destination {} became unwritable during the clone: {why}. Check its disk.",
        display::path(path)
    )]
    DestinationLost {
        /// The destination.
        path: PathBuf,
        /// The reason.
        #[source]
        why: Reason,
    },
    /// rsync cannot map an access control entry.
    #[error(
        "An access control entry on the source names a user that no longer exists{}. \
         Remove it (find it with ls -le, remove it with chmod -a#) and run again.",
        path.as_deref().map(|path| format!(": {path}")).unwrap_or_default()
    )]
    MissingUser {
        /// Its path, escaped, if this rsync reports it.
        path: Option<String>,
    },
    /// A write at the destination failed for lack of space.
    #[error(
        "The destination {} is full: {what}. Make room there, exclude more, or use a larger disk.",
        display::path(path)
    )]
    DestinationFull {
        /// The destination.
        path: PathBuf,
        /// What could not be written.
        what: String,
    },
    /// The clone does not fit at the destination; nothing was copied.
    #[error(
        "The destination {} is too small for this clone: {what}. Nothing \
         was copied. Make room there, exclude more, or use a larger disk; --no-space-check lets rsync try.",
        display::path(path)
    )]
    NoRoom {
        /// The destination.
        path: PathBuf,
        /// What is needed and what is available.
        what: String,
    },
    /// The source has lost most of what it held at the last complete clone.
    #[error(
        "The source {} holds {}{}, and the last complete clone to {} had {}: this clone would delete \
         most of it. Is everything mounted? If the source is right, run once with --allow-shrink.",
        display::path(path),
        measure.of(*now),
        if *unreadable > 0 { format!(" that can be read, and {unreadable} that cannot") } else { String::new() },
        display::path(destination),
        measure.number(*before)
    )]
    Shrunken {
        /// The source.
        path: PathBuf,
        /// The destination.
        destination: PathBuf,
        /// What is counted.
        measure: Measure,
        /// The current number.
        now: u64,
        /// How many of its files or directories cannot be read, and so are not counted.
        unreadable: u64,
        /// The number at the last complete clone.
        before: u64,
    },
    /// The destination contains what the first clone would delete or overwrite.
    #[error(
        "The destination {} has no Counterpart marker, and this clone would delete or overwrite {} and {} there, \
         among them {examples}. If it is the right disk, run once with --adopt.",
        display::path(path),
        counted(*files, "file"),
        counted(*dirs, "directory")
    )]
    WouldDelete {
        /// The destination.
        path: PathBuf,
        /// How many files.
        files: u64,
        /// How many directories.
        dirs: u64,
        /// The first five, escaped.
        examples: String,
    },
    /// The clone would delete more of the destination than is allowed.
    #[error(
        "This clone would delete {deletion} at the destination {}. Is everything mounted at the source, and are the \
         exclusions right? If so, run once with --allow-shrink; --max-delete sets the limit.",
        display::path(path)
    )]
    DeletesMost {
        /// The destination.
        path: PathBuf,
        /// What would be deleted.
        deletion: Deletion,
    },
    /// Another process holds the destination's lock.
    #[error("Another Counterpart is cloning to {}. Wait for it to finish.", display::path(path))]
    Locked {
        /// The destination.
        path: PathBuf,
    },
    /// rsync was not found.
    #[error("rsync was not found (searched: {searched}). {install}")]
    RsyncNotFound {
        /// Where it was searched.
        searched: String,
        /// How to install it.
        install: String,
    },
    /// This rsync cannot make a clone.
    #[error("{} is {found}; Counterpart needs Samba's rsync 3.0.9 or later. {install}", display::path(path))]
    WrongRsync {
        /// The rsync.
        path: PathBuf,
        /// What it identifies itself as.
        found: String,
        /// How to install a suitable one.
        install: String,
    },
    /// Source and destination are the same directory.
    #[error(
        "The source and the destination are the same directory, {}. Check -s and -d.",
        display::path(path)
    )]
    SameDir {
        /// The directory.
        path: PathBuf,
    },
    /// The source would be deleted by its own clone.
    #[error(
        "The source {} lies inside the destination {}; the clone would delete it. Check -s and -d.",
        display::path(source_dir),
        display::path(destination)
    )]
    SourceInsideDestination {
        /// The source.
        source_dir: PathBuf,
        /// The destination.
        destination: PathBuf,
    },
    /// The clone would empty a directory of the source or of the running system through a mount.
    #[error(
        "Below the destination {} a directory of the source or of the running system is mounted, at {}; the clone \
         would delete what it holds. Unmount it.",
        display::path(destination),
        display::path(point)
    )]
    PartInsideDestination {
        /// Where it is mounted.
        point: PathBuf,
        /// The destination.
        destination: PathBuf,
    },
    /// The clone would overwrite the running system's root directory.
    #[error(
        "The destination {} holds the running system's root; a clone to it would destroy this machine. Check -d.",
        display::path(path)
    )]
    HoldsSystem {
        /// The destination.
        path: PathBuf,
    },
    /// A different disk or directory is at the destination's path.
    #[error("The destination {} has changed: {why}", display::path(path))]
    DestinationChanged {
        /// The destination.
        path: PathBuf,
        /// What was expected, what was found, and what to do; whole sentences.
        #[source]
        why: Reason,
    },
    /// It is unknown whether the destination is the same one as before.
    #[error("The destination {} cannot be verified: {why}", display::path(path))]
    DestinationUnknown {
        /// The destination.
        path: PathBuf,
        /// What cannot be determined, and what to do; whole sentences.
        #[source]
        why: Reason,
    },
    /// The source is on another filesystem than at the last clone.
    #[error(
        "The source {} has changed: {why} If the source is right, run once with --allow-shrink.",
        display::path(path)
    )]
    SourceChanged {
        /// The source.
        path: PathBuf,
        /// What was expected and what was found; whole sentences.
        #[source]
        why: Reason,
    },
    /// What the source held at the last complete clone is recorded but cannot be read.
    #[error(
        "Whether the source {} has shrunk cannot be determined: {why}. If the source is right, run once with \
         --allow-shrink.",
        display::path(path)
    )]
    ShrinkUnknown {
        /// The source.
        path: PathBuf,
        /// What cannot be read, and why.
        #[source]
        why: Reason,
    },
    /// The clone would delete what the run itself writes.
    #[error(
        "{option} {} lies inside the destination {}, where the clone would delete it. Choose a place outside.",
        display::path(path),
        display::path(destination)
    )]
    OutputInDestination {
        /// The option, or what it is for.
        option: &'static str,
        /// What would be written there.
        path: PathBuf,
        /// The destination.
        destination: PathBuf,
    },
    /// A disk was mounted at the destination's path at the last clone; now only the mount point is there.
    #[error("The destination {} has changed: {why}", display::path(path))]
    DiskUnmounted {
        /// The destination.
        path: PathBuf,
        /// What was expected, what was found, and what to do; whole sentences.
        #[source]
        why: Reason,
    },
    /// The destination is where disks are mounted, and none is.
    #[error(
        "No disk is mounted at the destination {}: it is a directory of the filesystem of {}. Mount the disk, or use \
         --allow-folder if a plain directory is intended.",
        display::path(path),
        display::path(mount_point)
    )]
    NoDiskMounted {
        /// The destination.
        path: PathBuf,
        /// The mount point of the filesystem it is on instead.
        mount_point: PathBuf,
    },
    /// The destination's filesystem cannot store something that the source has, regardless of free space.
    #[error(
        "The destination {} cannot hold what the source has ({what}): {examples}. Exclude it, change it, or use \
         another filesystem.",
        display::path(path)
    )]
    CannotHold {
        /// The destination.
        path: PathBuf,
        /// Which limits are exceeded.
        what: String,
        /// The first paths, escaped.
        examples: String,
    },
    /// Encrypted directories of the source list no real names; their copies in the clone were kept.
    #[error(
        "{} of the source could not be read because the key is not available: {examples}. Everything else was copied, \
         and the clone's earlier copies were kept. Unlock them before the next run.",
        if *count == 1 { "1 encrypted directory".to_owned() } else { format!("{count} encrypted directories") }
    )]
    Encrypted {
        /// How many.
        count: u64,
        /// The first of them, escaped.
        examples: String,
    },
    /// The destination cannot store file ownership.
    #[error("The destination {} ignores ownership: {why}", display::path(path))]
    IgnoresOwnership {
        /// The destination.
        path: PathBuf,
        /// How that was found, and what to do; whole sentences.
        #[source]
        why: Reason,
    },
    /// The source is the sealed system volume of macOS 11 and later.
    #[error(
        "The source {} is a sealed system volume, and no copy of its files can boot. Clone /System/Volumes/Data \
         instead.",
        display::path(path)
    )]
    SealedSystem {
        /// The source.
        path: PathBuf,
    },
    /// SIGINT, SIGTERM, SIGHUP, or another signal that terminates.
    #[error("The clone was interrupted ({signal}).")]
    Interrupted {
        /// The signal.
        signal: Signal,
    },
    /// Nothing progressed for too long.
    #[error(
        "The clone stalled: nothing moved for {} (no output, no data, no processor time){}{}. Check both disks; \
         --stall-timeout sets the limit.",
        humantime::format_duration(*limit),
        last.as_deref().map(|path| format!("; rsync was at {path}")).unwrap_or_default(),
        if *left_behind { "; rsync cannot be killed and is left running" } else { "" }
    )]
    Stalled {
        /// How long that was.
        limit: Duration,
        /// The last file rsync had open, escaped, if known.
        last: Option<String>,
        /// Not even SIGKILL ended rsync: it is waiting for a device.
        left_behind: bool,
    },
    /// One name of a hard-linked file vanished, and rsync skipped its other names as well.
    #[error(
        "{path} vanished while it was being copied. It had other hard links, which may be missing from the clone or \
         have old contents there. Run it again."
    )]
    LinkedVanished {
        /// Its path, escaped.
        path: String,
    },
    /// rsync ended with a code that is passed on unchanged.
    #[error("rsync ended with code {}: {meaning}. The failing paths are in the log.", code.number())]
    Rsync {
        /// rsync's code, which is also ours.
        code: ExitCode,
        /// rsync's own description of it.
        meaning: &'static str,
    },
    /// rsync ended with a code that means something else in our table.
    #[error("rsync ended with code {code}: {meaning}.")]
    RsyncUnusable {
        /// rsync's code: 1, 2, or one that rsync does not document.
        code: i32,
        /// rsync's own description of it.
        meaning: &'static str,
    },
    /// rsync was killed.
    #[error("rsync was killed by signal {signal}.")]
    RsyncKilled {
        /// The signal's number.
        signal: i32,
    },
    /// rsync could not be started, or its output could not be read.
    #[error("rsync ({}) could not be run: {}.", display::path(path), display::reason(source))]
    RsyncNotRun {
        /// The rsync.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// rsync reported success but printed no statistics.
    #[error("rsync ended with {code} but its statistics are missing, so it is not known what was copied.")]
    StatisticsMissing {
        /// rsync's code.
        code: i32,
    },
    /// Data that rsync wrote did not reach the device.
    #[error(
        "The destination {} could not be flushed to its disk: {why}. Check the disk.",
        display::path(path)
    )]
    FlushFailed {
        /// The destination.
        path: PathBuf,
        /// The reason.
        #[source]
        why: Reason,
    },
    /// The backup directory cannot be used.
    #[error("The backup directory {} cannot be used: {why}.", display::path(path))]
    BackupDir {
        /// The directory.
        path: PathBuf,
        /// The reason.
        #[source]
        why: Reason,
    },
    /// There is no password for the server backup.
    #[error("No password for the server backup: {why}. Store one with: {command}")]
    NoPassword {
        /// The reason.
        #[source]
        why: Reason,
        /// The command that stores one.
        command: String,
    },
    /// There is nothing here that a server backup could save.
    #[error("A server backup is not supported here: {why}.")]
    BackupUnsupported {
        /// What was searched.
        #[source]
        why: Reason,
    },
    /// serveradmin was not found.
    #[error("serveradmin was not found at {}. Is Server.app installed?", display::path(path))]
    ServeradminNotFound {
        /// Where it was searched.
        path: PathBuf,
    },
    /// `pg_dumpall` was not found.
    #[error("pg_dumpall was not found (searched: {searched}). Install PostgreSQL's client programs.")]
    PgDumpallNotFound {
        /// Where it was searched.
        searched: String,
    },
    /// A database server could not be dumped.
    #[error("The database server {server} could not be dumped: {why}.")]
    DatabaseNotDumped {
        /// Which server, escaped.
        server: String,
        /// The reason, with the dump program's own message.
        #[source]
        why: Reason,
    },
    /// The directory could not be archived.
    #[error("The directory could not be archived: {why}.")]
    DirectoryNotArchived {
        /// The reason, with the archiver's own message.
        #[source]
        why: Reason,
    },
    /// The settings of the services could not be dumped.
    #[error("The service settings could not be dumped: {why}.")]
    SettingsNotDumped {
        /// The reason.
        #[source]
        why: Reason,
    },
    /// The safety net cannot be used.
    #[error("The safety net {} cannot be used: {why}.", display::path(path))]
    SafetyNet {
        /// Its directory.
        path: PathBuf,
        /// The reason.
        #[source]
        why: Reason,
    },
    /// This rsync loses files that the safety net should keep.
    #[error(
        "{} is rsync {version}, which loses files that it moves into a safety net. \
         Install rsync 3.1.2 or later, or leave --safety-net out.",
        display::path(path)
    )]
    LosesBackups {
        /// The rsync.
        path: PathBuf,
        /// Its version.
        version: String,
    },
    /// The copy is complete, but it does not start a machine.
    #[error("The copy is complete, but it could not be made bootable: {obstacle}: {why}.")]
    NotBootable {
        /// What is in the way.
        obstacle: Obstacle,
        /// The reason.
        why: String,
    },
    /// The filesystems that are to be part of the clone cannot be.
    #[error("The filesystems below the source cannot be cloned as asked: {why}. Check --filesystems.")]
    FilesystemsRefused {
        /// The reason.
        #[source]
        why: Reason,
    },
    /// The source cannot be cloned from a snapshot.
    #[error(
        "No snapshot could be taken of the source {}: {why}. Nothing was cloned. --snapshot never clones it while it \
         changes.",
        display::path(path)
    )]
    NoSnapshot {
        /// The source.
        path: PathBuf,
        /// The reason.
        #[source]
        why: Reason,
    },
    /// A snapshot of the source has been lost during the run.
    #[error(
        "The snapshot of the source {} was lost during the clone: {why}. Give it more room (--snapshot-size), or clone without \
         one (--snapshot never).",
        display::path(path)
    )]
    SnapshotLost {
        /// The source.
        path: PathBuf,
        /// The reason.
        #[source]
        why: Reason,
    },
    /// Files cannot be written in place exactly, or safely.
    #[error("Files cannot be written in place here: {why}. Leave out --inplace.")]
    InPlaceRefused {
        /// The reason.
        #[source]
        why: Reason,
    },
    /// `prepare` does not touch this disk.
    #[error("{} is refused: {why}. Nothing was written to it.", display::path(path))]
    DiskRefused {
        /// The disk.
        path: PathBuf,
        /// The reason.
        #[source]
        why: Reason,
    },
    /// A part of the clone that was read again differs from a source that has not changed.
    #[error(
        "The copy is complete, but {} of the clone in {}, which Counterpart read again, {} damaged: the log names {}. Run \
         counterpart verify --repair.",
        counted(*number, "entry"),
        display::path(path),
        if *number == 1 { "is" } else { "are" },
        if *number == 1 { "it" } else { "them" }
    )]
    Damaged {
        /// The destination.
        path: PathBuf,
        /// How many entries are damaged.
        number: u64,
    },
    /// The clone does not boot in a virtual machine.
    #[error("The clone on {} did not boot: {reason}.{saved}", display::path(path))]
    NotBooted {
        /// Its disk.
        path: PathBuf,
        /// The reason, with the line of the console that says most about it.
        reason: String,
        /// The reason without that line.
        public: String,
        /// A sentence about where its last screen is, after a blank, or nothing.
        saved: String,
    },
    /// A marker could not be written.
    #[error("{} could not be written at the destination: {why}.", display::path(path))]
    MarkerNotWritten {
        /// The marker.
        path: PathBuf,
        /// The reason.
        #[source]
        why: Reason,
    },
}

impl Failure {
    /// Something keeps the copy from starting a machine.
    #[must_use]
    pub fn not_bootable(obstacle: Obstacle, why: impl Into<String>) -> Self {
        Self::NotBootable { obstacle, why: why.into() }
    }
}

/// A directory's path is absolute; a name such as `UUID=…` is not, and udev's links are below `/dev`.
fn absence(destination: &Path) -> &'static str {
    if destination.is_absolute() && !destination.starts_with("/dev") {
        "cannot be written: it does not exist, and Counterpart does not create it. Perhaps its disk is not mounted"
    } else {
        "cannot be written: no disk of this machine has that name. Perhaps it is not plugged in; blkid shows all names"
    }
}

fn counted(number: u64, thing: &str) -> String {
    match (number, thing.strip_suffix('y')) {
        (1, _) => format!("1 {thing}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {thing}s"),
    }
}

/// What keeps a copy from starting a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// It cannot start one where it is, or as it is.
    Place,
    /// A file that names filesystems could not be rewritten.
    Table,
    /// The boot loader could not be installed.
    Loader,
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Place => "it cannot start a machine",
            Self::Table => "a file that names its filesystems could not be written",
            Self::Loader => "the boot loader could not be installed",
        })
    }
}

/// When a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the clone.
    PreClone,
    /// After a successful clone.
    PostClone,
    /// After any failure.
    OnError,
}

impl std::fmt::Display for Moment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::PreClone => "pre-clone",
            Self::PostClone => "post-clone",
            Self::OnError => "on-error",
        })
    }
}
