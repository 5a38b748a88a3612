//! A source that has lost most of what it held at the last complete clone: an unmounted or emptied folder rather than a
//! tidy administrator.

use std::io;

use nix::sys::stat::SFlag;

use super::Census;
use crate::failure::Failure;
use crate::host::folder::Folder;
use crate::logging::warning;
use crate::phases::Run;
use crate::phases::endpoints::Endpoints;
use crate::plan::{Mark, Prefix};
use crate::shown;
use crate::stats_file::{LARGEST, StatsFile};

/// A loss of fewer entries than this is never refused: a small source may well lose most of what it has.
const LEAST_LOSS: u64 = 1000;

/// Refuses a clone of a source that has fewer than half of the entries that it had, and at least 1,000 fewer.
///
/// A count that is too high makes this no stricter. What could not be read is not counted: rsync deletes while it goes,
/// and stops deleting only when it meets the first unreadable folder.
pub fn judge(run: &Run<'_>, ends: &Endpoints, census: &Census) -> Result<(), Failure> {
    let folder = &ends.destination.folder;
    let before = last_complete(folder, &run.plan.prefix).unwrap_or_else(|error| {
        warning(format_args!(
            "the statistics of the last clone cannot be read: {}. Whether the source has shrunk is not known.",
            shown::reason(&error)
        ));
        None
    });
    run.last_complete.set(before);
    let Some(before) = before else { return Ok(()) };
    let is_shrunken = census.entries < before.div_ceil(2) && before - census.entries >= LEAST_LOSS;
    if !is_shrunken || run.plan.allow_shrink {
        return Ok(());
    }
    Err(Failure::Shrunken {
        path: run.plan.source.clone(),
        destination: run.plan.destination.clone(),
        now: census.entries,
        unreadable: census.unreadable,
        before,
    })
}

/// How many entries the source had at the last complete clone to this destination: by our own statistics, or else by
/// those that the original, or we under its prefix, have left.
fn last_complete(folder: &Folder, prefix: &Prefix) -> io::Result<Option<u64>> {
    for prefix in [prefix, &Prefix::default()] {
        if let Some(content) = folder.read(&prefix.mark(Mark::Statistics), LARGEST)? {
            let completion_stands = folder.kind(&prefix.mark(Mark::Completed))? == Some(SFlag::S_IFREG);
            return Ok(StatsFile::read(&content).entries_of_last_complete(completion_stands));
        }
    }
    Ok(None)
}
