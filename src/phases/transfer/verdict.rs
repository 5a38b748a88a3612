//! Interprets the end of rsync, by its exit code, its messages and a second look at both ends.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use log::info;
use nix::dir::Dir as Entries;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::libc::dev_t;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::{Dir, forget_cached, open_subdir};
use crate::fs::is_no_room;
use crate::fs::space::Space;
use crate::outcome::Completion;
use crate::phases::endpoints::{Destination, Endpoints, Source};
use crate::phases::transfer::rsync::Report;
use crate::phases::transfer::source_entry;
use crate::phases::transfer::source_entry::Found;
use crate::process::End;
use crate::rsync::diagnostics::Limited;
use crate::rsync::exit_status;
use crate::run::Run;

/// rsync's exit code for an incomplete clone.
pub const PARTIAL: i32 = 23;

/// rsync's exit code for vanished files and nothing worse: 23 takes precedence (measured from 3.0.9 to 3.5.1).
const VANISHED: i32 = 24;

/// How a transfer ended: what rsync did, and what that makes of the clone.
pub type Ended = (Report, Result<Completion, Failure>);

/// Decides whether the clone is complete, and if not, why.
pub fn check(run: &Run<'_>, ends: &Endpoints, report: &Report) -> Result<Completion, Failure> {
    log_failing_paths(report);
    // Checked before interruptions: after a stall, an unresponsive disk must not be touched.
    if let Some(stalled) = &report.stalled {
        return Err(stalled.clone().into());
    }
    run.go_on()?;
    match report.end {
        // Before 3.1.3 a failed deletion does not change the exit code; since then it does.
        End::Exited(0 | VANISHED) if report.diagnostics.undeleted || report.diagnostics.unsaved => {
            Err(reason(run, ends, report, PARTIAL))
        }
        End::Exited(0) => {
            probe_source_of(run, ends, report)?;
            complete(run, ends, report, 0).map(|()| Completion::Whole)
        }
        // Ensure that the source has not vanished as a whole.
        End::Exited(VANISHED) if report.diagnostics.vanished > 0 => {
            probe_source_of(run, ends, report)?;
            complete(run, ends, report, VANISHED)?;
            without_vanished(report)
        }
        // A file that is gone by the time of this check has vanished, whatever rsync's message was.
        End::Exited(PARTIAL) if only_vanished(ends, report) => {
            probe_source_of(run, ends, report)?;
            complete(run, ends, report, PARTIAL)?;
            without_vanished(report)
        }
        End::Exited(code) => {
            info!("rsync ended with code {code}: {}.", exit_status::meaning(code));
            Err(reason(run, ends, report, code))
        }
        End::Killed(_) => Err(exit_status::of_rsync(report.end)),
    }
}

/// If a hard-linked file has vanished, another of its names may still have the old contents.
fn without_vanished(report: &Report) -> Result<Completion, Failure> {
    match &report.linked_vanished {
        Some(path) => Err(Failure::LinkedVanished { path: path.clone() }),
        None => Ok(Completion::Vanished),
    }
}

/// Whether everything that rsync complained about is now gone from the source, and rsync did not skip deletions.
fn only_vanished(ends: &Endpoints, report: &Report) -> bool {
    !report.diagnostics.skipped_deletions
        && report
            .diagnostics
            .only_changes()
            .is_some_and(|changes| changes.iter().all(|path| source_entry::look(ends, path) == Found::Gone))
}

fn log_failing_paths(report: &Report) {
    let diagnostics = &report.diagnostics;
    if diagnostics.paths.is_empty() {
        return;
    }
    info!("Failing paths:");
    for path in &diagnostics.paths {
        info!("  {path}");
    }
    if diagnostics.more() > 0 {
        info!("  and {} more.", diagnostics.more());
    }
}

/// Warns about what rsync had to keep because it contains a mount or a subvolume. The exit code does not show that.
fn warn_of_kept(run: &Run<'_>, report: &Report) {
    for path in &report.diagnostics.not_empty {
        run.warn(format_args!(
            "{path} is not in the source and could not be deleted: another filesystem or a subvolume is in it."
        ));
    }
}

/// rsync reports success: its statistics must be complete, and its data must reach the disk, in the right place.
fn complete(run: &Run<'_>, ends: &Endpoints, report: &Report, code: i32) -> Result<(), Failure> {
    let _phase = run.phase("flush");
    if !report.statistics.is_complete() {
        return Err(probe(run, ends, report).err().unwrap_or(Failure::StatisticsMissing { code }));
    }
    warn_of_kept(run, report);
    let path = || run.plan.destination.clone();
    let _busy = run.screen().busy("Flushing the disk");
    ends.destination.dir.flush_filesystem().map_err(|error| {
        if is_no_room(&error) {
            Failure::DestinationFull { path: path(), what: display::reason(&error) }
        } else {
            Failure::FlushFailed { path: path(), why: error.into() }
        }
    })?;
    ends.destination
        .is_in_place()
        .map_err(|error| Failure::DestinationLost { path: path(), why: error.into() })
}

/// rsync failed: find the most specific reason.
fn reason(run: &Run<'_>, ends: &Endpoints, report: &Report, code: i32) -> Failure {
    if let Some(message) = &report.diagnostics.no_room {
        return Failure::DestinationFull { path: run.plan.destination.clone(), what: message.clone() };
    }
    if let Err(lost) = probe(run, ends, report) {
        return lost;
    }
    if let Some(path) = &report.diagnostics.missing_user {
        return Failure::MissingUser { path: path.clone() };
    }
    if let Some(limited) = &report.diagnostics.limited {
        return cannot_hold(&run.plan.destination, &ends.destination.dir, limited);
    }
    exit_status::of_rsync(End::Exited(code))
}

/// The failure for a destination that has reached a limit of its filesystem or is full: `setxattr` returns the same
/// error number for both.
#[must_use]
pub fn cannot_hold(path: &Path, dir: &Dir, limited: &Limited) -> Failure {
    /// With less free space than this, in bytes, the destination counts as full.
    const SCARCE: u64 = 1 << 20;
    let is_scarce = Space::of(dir.file())
        .is_ok_and(|space| space.total > 0 && space.free_for(nix::unistd::geteuid().is_root()) < SCARCE);
    match &limited.or_no_room {
        Some(what) if is_scarce => Failure::DestinationFull { path: path.to_owned(), what: what.clone() },
        _ => Failure::CannotHold {
            path: path.to_owned(),
            what: limited.limit.what().to_owned(),
            examples: limited.examples.join(", "),
        },
    }
}

/// Checks that both ends are still what they were.
fn probe(run: &Run<'_>, ends: &Endpoints, report: &Report) -> Result<(), Failure> {
    probe_source_of(run, ends, report)?;
    probe_destination(run, &ends.destination).map_err(|error| {
        let path = run.plan.destination.clone();
        if is_no_room(&error) {
            Failure::DestinationFull { path, what: display::reason(&error) }
        } else {
            Failure::DestinationLost { path, why: error.into() }
        }
    })
}

/// Fails if the source is not what it was when the run began.
pub fn probe_source_of(run: &Run<'_>, ends: &Endpoints, report: &Report) -> Result<(), Failure> {
    let succeeded = matches!(report.end, End::Exited(0 | VANISHED));
    probe_source(run, &ends.source, succeeded, report.diagnostics.device_gone)
        .map_err(|error| Failure::SourceLost { path: run.plan.source.clone(), why: error.into() })
}

fn probe_source(run: &Run<'_>, source: &Source, succeeded: bool, read_errors: bool) -> io::Result<()> {
    match source.is_in_place() {
        // rsync has read the claimed directory to the end, wherever its path leads now.
        Err(error) if succeeded && source.dir.is_seen_through_view() => run.warn(format_args!(
            "{} no longer leads where it did at the start: {}. What was there at the start was cloned.",
            display::path(source.dir.path()),
            display::reason(&error)
        )),
        checked => checked?,
    }
    if source.dir.names()?.is_empty() {
        return Err(io::Error::other("it is empty now"));
    }
    if !read_errors {
        return Ok(());
    }
    // Each is on a device of its own.
    source.filesystems.iter().map(|it| &it.dir).chain([&source.dir]).try_for_each(sample)
}

/// The maximum number of files read to check whether the source's device still responds.
const SAMPLES: usize = 64;

/// The maximum number of entries examined to find them.
const ENTRIES: usize = 20_000;

/// The maximum number of directories open at a time.
const DIRS: usize = 64;

/// Reads a little of some files from the device: one readable file proves that the device is there.
///
/// The directories of a lost device may stay readable from the cache for a long time, so they prove nothing; and one
/// unreadable file does not mean a lost source. Follows no links, enters no other filesystem, and opens only
/// directories and regular files.
fn sample(root: &Dir) -> io::Result<()> {
    let device = fstat(root)?.st_dev;
    let mut dirs = vec![open_subdir(root, c".")?];
    let mut error = None;
    let (mut samples, mut entries) = (0, 0);
    while let Some(dir) = dirs.pop() {
        let listing = match Entries::from_fd(dir.as_fd().try_clone_to_owned()?) {
            Ok(listing) => listing,
            Err(problem) => {
                error = Some(problem.into());
                continue;
            }
        };
        for entry in listing {
            entries += 1;
            if samples == SAMPLES || entries == ENTRIES {
                return error.map_or(Ok(()), Err);
            }
            // One directory that cannot be listed proves nothing about the device.
            let Ok(entry) = entry else { continue };
            match look(&dir, entry.file_name(), device, dirs.len() < DIRS) {
                Ok(Sample::Dir(below)) => dirs.push(below),
                Ok(Sample::Read) => return Ok(()),
                Ok(Sample::Nothing) => {}
                Err(problem) => {
                    samples += 1;
                    error = Some(problem);
                }
            }
        }
    }
    error.map_or(Ok(()), Err)
}

/// What was found under a name.
enum Sample {
    /// An open directory.
    Dir(OwnedFd),
    /// A file from which the device returned a byte.
    Read,
    /// Nothing that proves anything.
    Nothing,
}

fn look(dir: &OwnedFd, name: &CStr, device: dev_t, enters: bool) -> io::Result<Sample> {
    let stat = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    if [c".", c".."].contains(&name) || stat.st_dev != device {
        return Ok(Sample::Nothing);
    }
    let kind = |stat: &FileStat| SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
    // A file without blocks needs no device.
    if kind(&stat) == SFlag::S_IFREG && stat.st_blocks > 0 {
        let flags =
            OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(dir, name, flags, Mode::empty())?);
        let opened = fstat(&file)?;
        // Something else may have taken its place.
        if kind(&opened) != SFlag::S_IFREG || opened.st_dev != device {
            return Ok(Sample::Nothing);
        }
        forget_cached(&file);
        return file.read(&mut [0; 1]).map(|_| Sample::Read);
    }
    if kind(&stat) == SFlag::S_IFDIR && enters {
        let below = open_subdir(dir, name)?;
        return Ok(if fstat(&below)?.st_dev == device { Sample::Dir(below) } else { Sample::Nothing });
    }
    Ok(Sample::Nothing)
}

/// Writes a small file and flushes it.
fn probe_destination(run: &Run<'_>, destination: &Destination) -> io::Result<()> {
    destination.is_in_place()?;
    let dir = &destination.dir;
    let (mut file, name) = dir.temporary(std::ffi::OsStr::new(&(run.plan.prefix.stem() + "probe")), 0o600)?;
    let written = file.write_all(&[b'x'; 4096]).and_then(|()| file.sync_all());
    let removed = dir.remove(&name);
    written.and(removed)
}
