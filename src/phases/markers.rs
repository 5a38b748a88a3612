//! The files at the destination's root: the clone's identity, completion, error and statistics.
//!
//! The formats are the original's, so that existing readers keep working; see `docs/files.md`.

pub mod suspended;

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use chrono::{DateTime, Local};
use log::info;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;

use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::fs::is_no_room;
use crate::logging::warning;
use crate::marker::stats::{CONTENT, LAST_COMPLETE, LAST_CONTENT};
use crate::marker::{MODE, Marker, Prefix};
use crate::outcome::Completion;
use crate::outcome::Outcome;
use crate::phases::endpoints::identity;
use crate::phases::endpoints::{Destination, Endpoints};
use crate::phases::survey::found::Survey;
use crate::phases::transfer::rsync::Report;
use crate::process::End;
use crate::record::{Record, Statistics, Totals};
use crate::rsync::exit_status;
use crate::run::Run;

/// A record that names files is only for those who may read all of them.
const PRIVATE_MODE: u32 = 0o600;

/// Space for the reason of a failure, reserved before rsync starts: a full disk would have none.
///
/// It is held open so that nobody can remount the disk read-only; but not where a process with an open file cannot exit
/// while the filesystem's server does not respond. After a failure it is found again by its name.
#[derive(Debug)]
pub struct Reserve {
    name: OsString,
    _held: Option<File>,
}

/// Finds the reserve left by this run or by one that was killed.
fn find_reserve(dir: &Dir, marker: &OsStr) -> io::Result<Option<(File, OsString)>> {
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    for name in dir.names_that(|name| Dir::is_temporary(name, marker))? {
        let Ok(file) = openat(dir, &*name, flags, Mode::empty()) else { continue };
        let file = File::from(file);
        let found = file.metadata()?;
        let is_ours = found.is_file() && found.uid() == geteuid().as_raw() && found.nlink() == 1;
        // Whoever can write there could have moved another file of ours to this name.
        let mut content = [0; RESERVE];
        if is_ours
            && found.len() == RESERVE as u64
            && file.read_exact_at(&mut content, 0).is_ok()
            && content == [FILLER; RESERVE]
        {
            return Ok(Some((file, name)));
        }
    }
    Ok(None)
}

/// The size of the reserve, in bytes: one block.
const RESERVE: usize = 4096;

/// What fills it.
const FILLER: u8 = b'\n';

/// Marks the destination as ours just before rsync starts: from here on it does not look complete.
pub fn begin(run: &Run<'_>, ends: &Endpoints) -> Result<Option<Reserve>, Failure> {
    run.go_on()?;
    ends.ensure_in_place(run)?;
    begin_in(run, &ends.destination).map_err(|(marker, error)| not_written(run, &marker, error))
}

fn begin_in(run: &Run<'_>, destination: &Destination) -> Result<Option<Reserve>, (OsString, io::Error)> {
    let (prefix, dir) = (&run.plan.prefix, &destination.dir);
    let of = |marker: Marker| move |error| (prefix.marker(marker), error);
    sweep(dir, prefix).map_err(|error| (OsString::from(prefix.stem() + "*"), error))?;
    forget_completion(dir, prefix).map_err(of(Marker::Completed))?;
    identity::settle(run, dir, &destination.acceptance).map_err(of(Marker::Identity))?;
    // If there is no room for it, the clone may still succeed by deleting.
    let reserve = reserve(dir, prefix).ok();
    dir.sync().map_err(of(Marker::Identity))?;
    Ok(reserve)
}

/// Removes what a killed run of ours left behind.
fn sweep(dir: &Dir, prefix: &Prefix) -> io::Result<()> {
    let probe = OsString::from(prefix.stem() + "probe");
    let targets: Vec<OsString> =
        Marker::ALL.iter().map(|marker| prefix.marker(*marker)).chain([prefix.hashes(), probe]).collect();
    let left = dir.names_that(|name| targets.iter().any(|target| Dir::is_temporary(name, target)))?;
    left.iter().try_for_each(|name| dir.remove(name))
}

/// Removes the completion markers, ours and the one that readers of the original's default expect.
fn forget_completion(dir: &Dir, prefix: &Prefix) -> io::Result<()> {
    dir.remove(&prefix.marker(Marker::Completed))?;
    dir.remove(&Prefix::default().marker(Marker::Completed))
}

fn reserve(dir: &Dir, prefix: &Prefix) -> io::Result<Reserve> {
    use std::io::Write as _;
    let (mut file, name) = dir.temporary(&prefix.marker(Marker::Error), MODE)?;
    let filled = file.write_all(&[FILLER; RESERVE]).and_then(|()| file.sync_all());
    if let Err(error) = filled {
        dir.remove(&name)?;
        return Err(error);
    }
    Ok(Reserve { name, _held: (!dir.is_served()).then_some(file) })
}

/// The data for the statistics file.
#[derive(Debug, Clone, Copy)]
struct Counted {
    /// What rsync counted.
    statistics: Statistics,
    /// When it ended.
    ended: DateTime<Local>,
    /// What the source holds.
    held: Totals,
    /// What it held at the last complete clone.
    before: Option<Totals>,
}

/// The markers of a success, which a later failure withdraws.
#[derive(Debug)]
pub struct Written(Counted);

impl Written {
    /// Removes the completion and rewrites the statistics with the actual outcome, if an apparent success turns out to be a
    /// failure.
    #[must_use]
    pub fn withdraw(&self, run: &Run<'_>, ends: &Endpoints, failure: Failure) -> Failure {
        let dir = &ends.destination.dir;
        // First of all the clone no longer looks complete. What cannot be done here is tried again, and reported, when the
        // reason of the failure is written.
        let _ = forget_completion(dir, &run.plan.prefix);
        // They still report a success. If they cannot be removed, the warning below covers it.
        let _ = dir.remove(&run.plan.prefix.marker(Marker::Statistics));
        rewrite_statistics(run, dir, &self.0, &failure);
        failure
    }
}

/// Writes the statistics, and after a success the completion marker.
pub fn write(
    run: &Run<'_>,
    ends: &Endpoints,
    reserve: Option<Reserve>,
    survey: &Survey,
    (report, ending): (Report, Result<Completion, Failure>),
    unbootable: Option<Failure>,
) -> Result<(Outcome, Written), Failure> {
    let dir = &ends.destination.dir;
    let counted = Counted {
        statistics: report.statistics,
        ended: report.ended,
        held: survey.census.totals(),
        before: survey.before,
    };
    let completion = match ending {
        Ok(completion) => completion,
        Err(failure) => {
            let keeps = matches!(report.end, End::Exited(code) if exit_status::keeps_statistics(code));
            if keeps {
                rewrite_statistics(run, dir, &counted, &failure);
            }
            return Err(failure);
        }
    };
    let outcome = match (unbootable, completion) {
        (Some(failure), _) => Outcome::Flawed(failure),
        (None, Completion::Vanished) if !run.plan.vanished_ok => Outcome::Vanished,
        (None, Completion::Whole | Completion::Vanished) => Outcome::Completed,
    };
    let written = Written(counted);
    succeed(run, dir, reserve, &counted, outcome.exit_code()).map_err(|(marker, error)| {
        written.withdraw(run, ends, not_written(run, &run.plan.prefix.marker(marker), error))
    })?;
    if completion == Completion::Vanished {
        run.warn_publicly(
            "files vanished from the source while they were copied; they are not in the clone.",
        );
    }
    info!("The clone is complete.");
    Ok((outcome, written))
}

fn succeed(
    run: &Run<'_>,
    dir: &Dir,
    reserve: Option<Reserve>,
    counted: &Counted,
    code: ExitCode,
) -> Result<(), (Marker, io::Error)> {
    let prefix = &run.plan.prefix;
    let of = |marker: Marker| move |error| (marker, error);
    // Our markers must not change the modification time copied from the source's root.
    let root = dir.metadata().map_err(of(Marker::Statistics))?;
    if let Some(reserve) = reserve {
        dir.remove(&reserve.name).map_err(of(Marker::Error))?;
    }
    dir.remove(&prefix.marker(Marker::Error)).map_err(of(Marker::Error))?;
    write_statistics(run, dir, counted, Ok(code)).map_err(of(Marker::Statistics))?;
    dir.replace(&prefix.marker(Marker::Completed), MODE, b"").map_err(of(Marker::Completed))?;
    dir.set_modified(root.mtime(), root.mtime_nsec()).map_err(of(Marker::Completed))?;
    dir.sync().map_err(of(Marker::Completed))
}

fn rewrite_statistics(run: &Run<'_>, dir: &Dir, counted: &Counted, failure: &Failure) {
    if let Err(error) = write_statistics(run, dir, counted, Err(failure)) {
        warning(format_args!("the statistics could not be written: {}.", display::reason(&error)));
    }
}

fn write_statistics(
    run: &Run<'_>,
    dir: &Dir,
    counted: &Counted,
    end: Result<ExitCode, &Failure>,
) -> io::Result<()> {
    let mut text = format!("Clone Started: {}\n", run.started.timestamp());
    let lines = |text: &mut String, lines: [(&str, Option<u64>, &str); 4]| {
        for (label, value, unit) in lines {
            if let Some(value) = value {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{label}: {value}{unit}");
            }
        }
    };
    lines(&mut text, counted.statistics.original_lines());
    // A failed clone must never say "completed", not even here.
    let ended = if end.is_ok() { "Clone Completed" } else { "Clone Ended" };
    let _ = writeln!(text, "{ended}: {}", counted.ended.timestamp());
    lines(&mut text, counted.statistics.further_lines());
    let code = end.unwrap_or_else(Failure::exit_code);
    let _ = writeln!(text, "Exit Code: {}", code.number());
    // The next run compares its source with the last complete clone.
    if end.is_ok() {
        if let Some(bytes) = counted.held.bytes {
            let _ = writeln!(text, "{CONTENT}: {bytes} bytes");
        }
    } else if let Some(before) = counted.before {
        let _ = writeln!(text, "{LAST_COMPLETE}: {}", before.entries);
        if let Some(bytes) = before.bytes {
            let _ = writeln!(text, "{LAST_CONTENT}: {bytes} bytes");
        }
    }
    dir.replace(&run.plan.prefix.marker(Marker::Statistics), MODE, text.as_bytes())
}

fn not_written(run: &Run<'_>, marker: &OsStr, error: io::Error) -> Failure {
    if is_no_room(&error) {
        let what = format!("{}: {}", display::name(marker), display::reason(&error));
        return Failure::DestinationFull { path: run.plan.destination.clone(), what };
    }
    Failure::MarkerNotWritten { path: run.plan.destination.join(marker), why: error.into() }
}

/// Records the reason of a failure at the destination.
pub fn record_failure(run: &Run<'_>, destination: &Destination, failure: &Failure) {
    let written = write_error(run, destination, failure).or_else(|error| {
        if !is_no_room(&error) {
            return Err(error);
        }
        // The reason matters more than the statistics.
        destination.dir.remove(&run.plan.prefix.marker(Marker::Statistics))?;
        write_error(run, destination, failure)
    });
    if let Err(error) = written {
        warning(format_args!(
            "the reason could not be written to the destination: {}.",
            display::reason(&error)
        ));
    }
}

/// Writes everything known about the run for programs; if that fails, no older record is left in its place.
pub fn write_record(run: &Run<'_>, destination: &Destination, record: &Record, is_public: bool) {
    let mode = if is_public { MODE } else { PRIVATE_MODE };
    if let Err(error) =
        write_record_in(&destination.dir, &run.plan.prefix.marker(Marker::Record), mode, record)
    {
        warning(format_args!(
            "the record of this run could not be written to the destination: {}.",
            display::reason(&error)
        ));
    }
}

fn write_record_in(dir: &Dir, marker: &OsStr, mode: u32, record: &Record) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(record).map_err(io::Error::other)?;
    text.push(b'\n');
    // Our markers must not change the modification time copied from the source's root.
    let root = dir.metadata()?;
    let mut written = dir.replace(marker, mode, &text);
    if written.is_err() {
        dir.remove(marker)?;
        // On a full disk, removing the old record may have freed enough space.
        written = dir.replace(marker, mode, &text);
    }
    dir.set_modified(root.mtime(), root.mtime_nsec())?;
    dir.sync()?;
    written
}

fn write_error(run: &Run<'_>, destination: &Destination, failure: &Failure) -> io::Result<()> {
    let (dir, prefix) = (&destination.dir, &run.plan.prefix);
    forget_completion(dir, prefix)?;
    let text = format!("{}\n", failure.for_everybody());
    let marker = prefix.marker(Marker::Error);
    if let Some((file, name)) = find_reserve(dir, &marker)? {
        let written = file.write_all_at(text.as_bytes(), 0).and_then(|()| {
            file.set_len(text.len() as u64)?;
            dir.commit(&file, &name, &marker)
        });
        if written.is_ok() {
            return Ok(());
        }
        dir.remove(&name)?;
    }
    dir.replace(&marker, MODE, text.as_bytes())
}
