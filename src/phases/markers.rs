//! The files at the destination's root: the clone's identity, completion, error and statistics.
//!
//! The formats are the original's, so that what reads them goes on to do so; see the README, "Files".

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use log::{error, info};
use nix::errno::Errno;

use super::endpoints::{Destination, Endpoints, claim_destination};
use super::transfer::Report;
use super::verdict::Completion;
use super::{Run, identity};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::host::folder::Folder;
use crate::logging::warning;
use crate::outcome::Outcome;
use crate::plan::{Mark, Prefix};
use crate::process::End;
use crate::rsync::exit_status;
use crate::shown;
use crate::stats_file::LAST_COMPLETE;

/// Everybody may read the marks: a monitoring system does so without being root.
pub const MODE: u32 = 0o644;

/// Room for the reason of a failure, taken before rsync starts: on a full disk there would be none.
#[derive(Debug)]
pub struct Reserve {
    file: File,
    name: OsString,
}

/// The size of the reserve, in bytes: a block.
const RESERVE: usize = 4096;

/// Makes the destination ours just before rsync starts: from here on it does not look complete.
pub fn begin(run: &Run<'_>, ends: &Endpoints) -> Result<(), Failure> {
    run.go_on()?;
    still_in_place(run, ends)?;
    begin_in(run, &ends.destination).map_err(|(mark, error)| not_written(run, &mark, &error))
}

/// A failure if the destination's path leads elsewhere by now: rsync is given the path.
pub fn still_in_place(run: &Run<'_>, ends: &Endpoints) -> Result<(), Failure> {
    ends.destination.is_in_place().map_err(|error| Failure::DestinationLost {
        path: run.plan.destination.clone(),
        why: shown::reason(&error),
    })
}

fn begin_in(run: &Run<'_>, destination: &Destination) -> Result<(), (OsString, io::Error)> {
    let (prefix, folder) = (&run.plan.prefix, &destination.folder);
    let of = |mark: Mark| move |error| (prefix.mark(mark), error);
    sweep(folder, prefix).map_err(|error| (OsString::from(prefix.stem() + "*"), error))?;
    forget_completion(folder, prefix).map_err(of(Mark::Completed))?;
    identity::settle(run, destination).map_err(of(Mark::Identity))?;
    // Without room for it the clone may still succeed by deleting.
    *run.reserve.borrow_mut() = reserve(folder, prefix).ok();
    folder.sync().map_err(of(Mark::Identity))
}

/// Removes what a killed run of ours left behind.
fn sweep(folder: &Folder, prefix: &Prefix) -> io::Result<()> {
    let names = folder.names()?;
    let probe = OsString::from(prefix.stem() + "probe");
    let targets: Vec<OsString> = Mark::ALL.iter().map(|mark| prefix.mark(*mark)).chain([probe]).collect();
    names
        .iter()
        .filter(|name| targets.iter().any(|target| Folder::is_temporary(name, target)))
        .try_for_each(|name| folder.remove(name))
}

/// The destination does not look complete any more, neither to us nor to what reads the original's default.
fn forget_completion(folder: &Folder, prefix: &Prefix) -> io::Result<()> {
    folder.remove(&prefix.mark(Mark::Completed))?;
    folder.remove(&Prefix::default().mark(Mark::Completed))
}

fn reserve(folder: &Folder, prefix: &Prefix) -> io::Result<Reserve> {
    use std::io::Write as _;
    let (mut file, name) = folder.temporary(&prefix.mark(Mark::Error), MODE)?;
    let filled = file.write_all(&[b'\n'; RESERVE]).and_then(|()| file.sync_all());
    if let Err(error) = filled {
        folder.remove(&name)?;
        return Err(error);
    }
    Ok(Reserve { file, name })
}

/// Leaves the statistics, and after a success the completion.
pub fn write(
    run: &Run<'_>,
    ends: &Endpoints,
    report: &Report,
    judgement: Result<Completion, Failure>,
) -> Result<Outcome, Failure> {
    let folder = &ends.destination.folder;
    let completion = match judgement {
        Ok(completion) => completion,
        Err(failure) => {
            let keeps = matches!(report.end, End::Exited(code) if exit_status::keeps_statistics(code));
            if keeps && let Err(error) = write_statistics(run, folder, report, Err(&failure)) {
                warning(format_args!("the statistics could not be written: {}.", shown::reason(&error)));
            }
            return Err(failure);
        }
    };
    let outcome = match completion {
        Completion::Vanished if !run.plan.vanished_ok => Outcome::Vanished,
        Completion::Whole | Completion::Vanished => Outcome::Completed,
    };
    succeed(run, folder, report, outcome.exit_code())
        .map_err(|(mark, error)| not_written(run, &run.plan.prefix.mark(mark), &error))?;
    if completion == Completion::Vanished {
        run.warn("files vanished from the source while they were copied; they are not in the clone.");
    }
    info!("The clone is complete.");
    Ok(outcome)
}

fn succeed(run: &Run<'_>, folder: &Folder, report: &Report, code: ExitCode) -> Result<(), (Mark, io::Error)> {
    let prefix = &run.plan.prefix;
    let of = |mark: Mark| move |error| (mark, error);
    // Our marks must not change the time that the source's root has.
    let root = folder.metadata().map_err(of(Mark::Statistics))?;
    if let Some(reserve) = run.reserve.borrow_mut().take() {
        folder.remove(&reserve.name).map_err(of(Mark::Error))?;
    }
    folder.remove(&prefix.mark(Mark::Error)).map_err(of(Mark::Error))?;
    write_statistics(run, folder, report, Ok(code)).map_err(of(Mark::Statistics))?;
    folder.replace(&prefix.mark(Mark::Completed), MODE, b"").map_err(of(Mark::Completed))?;
    folder.set_modified(root.mtime(), root.mtime_nsec()).map_err(of(Mark::Completed))?;
    folder.sync().map_err(of(Mark::Completed))
}

fn write_statistics(
    run: &Run<'_>,
    folder: &Folder,
    report: &Report,
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
    lines(&mut text, report.statistics.original_lines());
    // A clone that failed never says "completed", not even here.
    let ended = if end.is_ok() { "Clone Completed" } else { "Clone Ended" };
    let _ = writeln!(text, "{ended}: {}", report.ended.timestamp());
    lines(&mut text, report.statistics.further_lines());
    let code = end.unwrap_or_else(Failure::exit_code);
    let _ = writeln!(text, "Exit Code: {}", code.number());
    // The next run compares its source with the last one that was cloned as a whole.
    if let Some(entries) = run.last_complete.get().filter(|_| end.is_err()) {
        let _ = writeln!(text, "{LAST_COMPLETE}: {entries}");
    }
    folder.replace(&run.plan.prefix.mark(Mark::Statistics), MODE, text.as_bytes())
}

fn not_written(run: &Run<'_>, mark: &OsStr, error: &io::Error) -> Failure {
    let full = [Errno::ENOSPC as i32, Errno::EDQUOT as i32];
    if error.raw_os_error().is_some_and(|number| full.contains(&number)) {
        let what = format!("{}: {}", shown::name(mark), shown::reason(error));
        return Failure::DestinationFull { path: run.plan.destination.clone(), what };
    }
    Failure::MarkNotWritten { path: run.plan.destination.join(mark), why: shown::reason(error) }
}

/// Logs a failure, and leaves it at the destination unless that was refused or this is a test run.
pub fn record_failure(run: &Run<'_>, claimed: Option<Endpoints>, failure: &Failure) {
    error!("Error: {failure}");
    if run.plan.test_run || failure.refuses_destination() {
        return;
    }
    let Some(destination) = claimed.map(|ends| ends.destination).or_else(|| claim_destination(run)) else {
        return;
    };
    if let Err(error) = write_error(run, &destination, failure) {
        warning(format_args!(
            "the reason could not be written to the destination: {}.",
            shown::reason(&error)
        ));
    }
}

fn write_error(run: &Run<'_>, destination: &Destination, failure: &Failure) -> io::Result<()> {
    let (folder, prefix) = (&destination.folder, &run.plan.prefix);
    forget_completion(folder, prefix)?;
    let text = format!("{failure}\n");
    let mark = prefix.mark(Mark::Error);
    if let Some(Reserve { file, name }) = run.reserve.borrow_mut().take() {
        let written = file.write_all_at(text.as_bytes(), 0).and_then(|()| file.set_len(text.len() as u64));
        if written.and_then(|()| folder.commit(&file, &name, &mark)).is_ok() {
            return Ok(());
        }
        folder.remove(&name)?;
    }
    folder.replace(&mark, MODE, text.as_bytes())
}
