//! Detects a source that has lost most of what it held at the last complete clone: more likely an unmounted or emptied
//! directory than a cleanup.

use std::io;

use nix::sys::stat::SFlag;

use crate::display;
use crate::failure::{Failure, Measure};
use crate::fs::dir::Dir;
use crate::logging::warning;
use crate::marker::stats::{LARGEST, StatsFile};
use crate::marker::{Marker, Prefix};
use crate::phases::endpoints::Destination;
use crate::phases::survey::census::Census;
use crate::record::Totals;
use crate::run::Run;

/// A loss of fewer entries than this is never refused: a small source may well lose most of its entries.
const LEAST_ENTRIES: u64 = 100;

/// Nor is a loss of fewer bytes than this.
const LEAST_BYTES: u64 = 100_000_000;

/// What the source held at the last complete clone to this destination, as far as known.
pub fn before(run: &Run<'_>, destination: &Destination) -> Result<Option<Totals>, Failure> {
    match last_complete(&destination.dir, &run.plan.prefix) {
        // If the file was deleted, this machine still remembers.
        Ok(recorded) => Ok(recorded.or(destination.acceptance.complete())),
        Err(error) => {
            let why =
                format!("the statistics of the last clone cannot be read ({})", display::reason(&error));
            if !run.plan.allow_shrink {
                return Err(Failure::ShrinkUnknown { path: run.plan.source.clone(), why: why.into() });
            }
            warning(format_args!("{why}. It is not known whether the source has shrunk."));
            Ok(None)
        }
    }
}

/// Refuses a source with fewer than half of its earlier entries and at least 100 fewer, or fewer than half of its
/// earlier bytes and at least 100 MB fewer.
///
/// An overestimate makes this no stricter. Unreadable entries are not counted: rsync deletes as it goes, and stops
/// deleting only at the first unreadable directory.
pub fn check(run: &Run<'_>, before: Option<Totals>, census: &Census) -> Result<(), Failure> {
    let Some(before) = before.filter(|_| !run.plan.allow_shrink) else { return Ok(()) };
    let Some((measure, now, before)) = loss(before, census) else { return Ok(()) };
    Err(Failure::Shrunken {
        path: run.plan.source.clone(),
        destination: run.plan.destination.clone(),
        measure,
        now,
        unreadable: census.unreadable,
        before,
    })
}

/// Whether the source has lost most of what it held in that way.
#[must_use]
pub fn has_lost_most(before: Totals, census: &Census) -> bool {
    loss(before, census).is_some()
}

/// Returns the measure by which the source has lost most of its contents, with its value now and before.
fn loss(before: Totals, census: &Census) -> Option<(Measure, u64, u64)> {
    let bytes = before.bytes.unwrap_or_default();
    let is_lost =
        |now: u64, before: u64, least: u64| now < before.div_ceil(2) && before.saturating_sub(now) >= least;
    if is_lost(census.entries, before.entries, LEAST_ENTRIES) {
        Some((Measure::Entries, census.entries, before.entries))
    } else if is_lost(census.content, bytes, LEAST_BYTES) {
        Some((Measure::Bytes, census.content, bytes))
    } else {
        None
    }
}

/// What the source held at the last complete clone to this destination, by our own statistics, or else by those that
/// the original, or we under its prefix, have left.
fn last_complete(dir: &Dir, prefix: &Prefix) -> io::Result<Option<Totals>> {
    for prefix in [prefix, &Prefix::default()] {
        if let Some(content) = dir.read(&prefix.marker(Marker::Statistics), LARGEST)? {
            let completion_stands = dir.kind(&prefix.marker(Marker::Completed))? == Some(SFlag::S_IFREG);
            return Ok(StatsFile::read(&content).last_complete(completion_stands));
        }
    }
    Ok(None)
}
