//! Where the run writes beside the clone: below the destination the clone would delete it.

use std::io;
use std::path::{Path, PathBuf};

use super::Run;
use super::overlap::{self, Relation};
use crate::failure::Failure;
use crate::host::folder::Folder;
use crate::shown;

/// Refuses a run that writes its log, its metrics, its server backup, its memory or its lock below the destination, and
/// starts the log, unless that is what lies there.
///
/// It comes before the log: a refused destination is left as it is.
pub fn start_log(run: &Run<'_>) -> Result<(), Failure> {
    let refusal = Folder::open(&run.location().resolved).map_or(Ok(()), |destination| check(run, &destination));
    match refusal {
        Err(refusal @ Failure::OutputInDestination { option: LOG, .. }) => Err(refusal),
        checked => {
            run.start_log();
            checked
        }
    }
}

/// What the option of the log is called in a refusal.
const LOG: &str = "The log directory (--log-dir)";

/// Refuses what lies below this destination.
pub fn check(run: &Run<'_>, destination: &Folder) -> Result<(), Failure> {
    let plan = run.plan;
    let metrics = plan.metrics_file.as_deref().and_then(Path::parent);
    let backup = plan.backup.as_ref().map(|_| plan.backup_dir.as_deref().unwrap_or(&run.host.backup_dir));
    let outputs: [(&'static str, Option<&Path>); 5] = [
        (LOG, Some(plan.log_dir.as_deref().unwrap_or(&run.host.log_dir))),
        ("The directory of the metrics (--metrics-file)", metrics),
        ("The directory of the server backup (--backup-dir)", backup),
        ("The directory of what this machine remembers", Some(&run.host.state_dir)),
        ("The directory of the locks", Some(&run.host.lock_dir)),
    ];
    for (option, path) in outputs.into_iter().filter_map(|(option, path)| Some((option, path?))) {
        let is_inside = is_inside(path, destination).map_err(|error| {
            let why = shown::reason(&error);
            Failure::Internal(format!("{option}, {}, cannot be compared with the destination: {why}", shown::path(path)))
        })?;
        if is_inside {
            let (path, destination) = (path.to_owned(), plan.destination.clone());
            return Err(Failure::OutputInDestination { option, path, destination });
        }
    }
    Ok(())
}

/// Whether a path, which need not exist, leads below the destination or to it, by whatever way.
///
/// Where its longest existing part may not be opened its letters decide, for nothing can be written there either.
fn is_inside(path: &Path, destination: &Folder) -> io::Result<bool> {
    let Some(there) = path.ancestors().find_map(|above| std::fs::canonicalize(above).ok()) else {
        return Ok(false);
    };
    let there: PathBuf = if there.is_dir() { there } else { there.parent().unwrap_or(&there).to_owned() };
    match Folder::open(&there) {
        Ok(folder) => {
            let related = overlap::relation(&folder, destination)?;
            Ok(matches!(related, Relation::Same | Relation::SourceInside))
        }
        Err(_) => Ok(there.starts_with(destination.path())),
    }
}
