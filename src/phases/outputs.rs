//! Checks where the run writes besides the clone: anything below the destination would be deleted by the clone.

use std::io;
use std::path::{Path, PathBuf};

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::fs::location::Location;
use crate::phases::endpoints::overlap;
use crate::phases::endpoints::overlap::Relation;
use crate::plan::Ping;
use crate::run::Run;
use crate::volume::kind::Kind;

/// What each output is called in a refusal.
const LOG: &str = "The log directory (--log-dir)";
const METRICS: &str = "The directory of the metrics (--metrics-file)";
const BACKUP: &str = "The directory of the server backup (--backup-dir)";
const STATE: &str = "The directory of this machine's records";
const LOCKS: &str = "The directory of the locks";

/// Refuses a run whose log, metrics, server backup, state or lock is below the destination, and starts the log unless
/// it is itself there.
///
/// This comes before the log: a refused destination is left unchanged.
pub fn start_log(run: &Run<'_>) -> Result<(), Failure> {
    let misplaced = match open(run) {
        Some(destination) => misplaced(run, &destination),
        // If it cannot be opened, the phase that checks the destination refuses it.
        None => Ok(Vec::new()),
    };
    if !misplaced.as_ref().is_ok_and(|misplaced| misplaced.iter().any(|(output, _)| *output == LOG)) {
        run.start_log();
    }
    refuse(run, misplaced?)
}

/// Refuses outputs below this destination.
pub fn check(run: &Run<'_>, destination: &Dir) -> Result<(), Failure> {
    refuse(run, misplaced(run, destination)?)
}

/// Whether the state may still be saved after this failure.
#[must_use]
pub fn may_remember(failure: &Failure) -> bool {
    !matches!(failure, Failure::OutputInDestination { option: STATE, .. })
}

/// Whether the metrics may still be written after this failure.
#[must_use]
pub fn may_measure(failure: &Failure) -> bool {
    !matches!(failure, Failure::OutputInDestination { option: STATE | METRICS, .. })
}

/// Warns about inputs of this run or the next one below the destination: unless the source holds them too, the clone
/// deletes them.
pub fn warn_of_inputs(run: &Run<'_>) {
    let Some(destination) = open(run) else { return };
    let plan = run.plan;
    let inputs = [
        ("the excludes file", plan.exclude_from.as_deref()),
        ("the pre-clone script", plan.pre_script.as_deref()),
        ("the post-clone script", plan.post_script.as_deref()),
        ("the on-error script", plan.on_error.as_deref()),
        ("rsync", plan.rsync.as_deref()),
        ("the file of --ping-file", plan.ping.as_ref().and_then(Ping::file)),
    ];
    for (what, path) in inputs.into_iter().filter_map(|(what, path)| Some((what, path?))) {
        if is_inside(path, &destination).is_ok_and(|is_inside| is_inside) {
            run.warn_publicly(format_args!(
                "{what} {} lies inside the destination: a clone replaces or deletes it. Choose a place outside.",
                display::path(path)
            ));
        }
    }
}

/// Opens the destination, if it can be opened.
fn open(run: &Run<'_>) -> Option<Dir> {
    Dir::open(&Location::of(run.place()?).resolved).ok()
}

fn refuse(run: &Run<'_>, misplaced: Vec<Misplaced>) -> Result<(), Failure> {
    misplaced.into_iter().next().map_or(Ok(()), |(option, path)| {
        Err(Failure::OutputInDestination { option, path, destination: run.plan.destination.clone() })
    })
}

/// An output below the destination: its description and its path.
type Misplaced = (&'static str, PathBuf);

/// The order matters: a refusal that names one output implies that those before it are in their right place.
fn misplaced(run: &Run<'_>, destination: &Dir) -> Result<Vec<Misplaced>, Failure> {
    let plan = run.plan;
    // Then something worse is wrong, which the phase in charge reports.
    for end in [Path::new("/"), &plan.source] {
        if is_inside(end, destination).is_ok_and(|is_inside| is_inside) {
            return Ok(Vec::new());
        }
    }
    let metrics = plan.metrics_file.as_deref().and_then(Path::parent);
    let backup =
        plan.backup.as_ref().map(|_| plan.backup_dir.as_deref().unwrap_or(&run.machine.host.backup_dir));
    let outputs: [(&'static str, Option<&Path>); 5] = [
        (STATE, Some(&run.machine.host.state_dir)),
        (METRICS, metrics),
        (LOCKS, Some(&run.machine.host.lock_dir)),
        (LOG, Some(plan.log_dir.as_deref().unwrap_or(&run.machine.host.log_dir))),
        (BACKUP, backup),
    ];
    let mut found = Vec::new();
    for (option, path) in outputs.into_iter().filter_map(|(option, path)| Some((option, path?))) {
        let is_inside = is_inside(path, destination).map_err(|error| {
            let (path, why) = (display::path(path), display::reason(&error));
            Failure::Internal(format!("{option}, {path}, cannot be compared with the destination: {why}"))
        })?;
        if is_inside {
            found.push((option, path.to_owned()));
        }
    }
    Ok(found)
}

/// Whether a path, which need not exist, leads to the destination or below it, by any way.
///
/// If its longest existing part cannot be opened, only the paths are compared: nothing can be written there either.
fn is_inside(path: &Path, destination: &Dir) -> io::Result<bool> {
    let Some(there) = path.ancestors().find_map(|above| std::fs::canonicalize(above).ok()) else {
        return Ok(false);
    };
    let there: PathBuf = if there.is_dir() { there } else { there.parent().unwrap_or(&there).to_owned() };
    match Dir::open(&there) {
        // Opening anything below an automount point would wait for whatever it mounts.
        Ok(dir) if Kind::of(&dir).is_ok_and(Kind::is_automounter) => {
            Ok(there.starts_with(destination.path()))
        }
        Ok(dir) => {
            let related = overlap::relation(&dir, destination)?;
            Ok(matches!(related, Relation::Same | Relation::SourceInside))
        }
        Err(_) => Ok(there.starts_with(destination.path())),
    }
}
