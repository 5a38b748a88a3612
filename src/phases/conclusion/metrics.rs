//! Writes the run's metrics for Prometheus' textfile collector. Nothing that happens here affects the run.

use std::io;
use std::path::Path;

use nix::sys::stat::SFlag;

use crate::display;
use crate::fs::dir::Dir;
use crate::logging::warning;
use crate::record::Record;
use crate::record::prometheus;
use crate::run::Run;

/// The most that is read of an earlier metrics file, in bytes; ours have a few thousand.
const LARGEST: u64 = 1 << 20;

/// How many seconds another clock may be ahead without counting as wrong.
const AHEAD: i64 = 60;

/// The collector runs as a different user.
const MODE: u32 = 0o644;

/// Writes the file given by `--metrics-file`, if any. `last_success` comes from this machine's state; if unknown, the
/// earlier content of the file is used.
pub fn write(run: &Run<'_>, record: &Record, last_success: Option<i64>) {
    if let Some(path) = &run.plan.metrics_file
        && let Err(error) = write_to(path, record, last_success)
    {
        warning(format_args!(
            "the metrics could not be written to {}: {}.",
            display::path(path),
            display::reason(&error)
        ));
    }
}

fn write_to(path: &Path, record: &Record, last_success: Option<i64>) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidFilename.into());
    };
    let dir = Dir::reach(parent)?;
    if dir.kind(name)? == Some(SFlag::S_IFDIR) {
        return Err(io::Error::other("it is a directory"));
    }
    // Left by a killed run; the collector ignores it because of its file name extension.
    for leftover in dir.names_that(|found| Dir::is_temporary(found, name))? {
        dir.remove(&leftover)?;
    }
    let last_success = if record.outcome.is_complete() {
        Some(record.ended.epoch)
    } else {
        let known = last_success.or_else(|| {
            let earlier = dir.read(name, LARGEST).ok()??;
            prometheus::last_success(&String::from_utf8_lossy(&earlier), &record.destination)
        });
        // Written with a wrong clock: the last success would never become too old.
        known.filter(|at| *at <= record.ended.epoch.saturating_add(AHEAD))
    };
    dir.replace(name, MODE, prometheus::text(record, last_success).as_bytes())
}
