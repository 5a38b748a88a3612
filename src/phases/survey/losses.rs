//! What a clone would delete: refused at a destination that is not known to be ours, and where it is most of a clone.

use std::path::PathBuf;

use crate::display;
use crate::failure::{Deletion, Failure, Measure};
use crate::phases::endpoints::Endpoints;
use crate::phases::survey::adoption;
use crate::phases::survey::adoption::Standing;
use crate::phases::survey::differences::First;
use crate::phases::survey::found::Survey;
use crate::plan::MaxDelete;
use crate::run::Run;

/// Fewer entries than this are never refused as most of a clone.
const LEAST_ENTRIES: u64 = 100;

/// Nor are fewer bytes than this.
const LEAST_BYTES: u64 = 100_000_000;

/// Refuses a clone that would lose anything at a destination without our markers, or most of a clone.
pub fn refuse_losses(run: &Run<'_>, ends: &Endpoints, survey: &Survey) -> Result<(), Failure> {
    match adoption::standing(run, &ends.destination)? {
        Standing::Empty => Ok(()),
        Standing::Clone => most(run, survey),
        // It was consented to.
        Standing::Stranger if run.plan.adopt => Ok(()),
        Standing::Stranger => any(run, survey),
    }
}

fn any(run: &Run<'_>, survey: &Survey) -> Result<(), Failure> {
    let (files, dirs) = survey.differences.lost;
    if files + dirs == 0 {
        return Ok(());
    }
    let examples = examples(&survey.differences.first_lost);
    Err(Failure::WouldDelete { path: run.plan.destination.clone(), files, dirs, examples })
}

fn most(run: &Run<'_>, survey: &Survey) -> Result<(), Failure> {
    let Some((measure, now, of)) = excess(run.plan.max_delete, survey).filter(|_| !run.plan.allow_shrink)
    else {
        return Ok(());
    };
    let first = examples(&survey.differences.first_deleted);
    let deletion = Deletion { measure, now, of, first: Some(first) };
    Err(Failure::DeletesMost { path: run.plan.destination.clone(), deletion })
}

/// Returns the measure by which a clone would delete more than it may, with what it would delete and what there is.
#[must_use]
pub fn excess(limit: MaxDelete, survey: &Survey) -> Option<(Measure, u64, u64)> {
    let (deleted, clone) = (survey.differences.deleted(), &survey.clone);
    let is_most = |now: u64, of: u64, least: u64| now >= least && now > of / 2;
    let is_share =
        |now: u64, of: u64, percent: u8| u128::from(now) * 100 > u128::from(of) * u128::from(percent);
    let (entries, bytes) = ((deleted.entries, clone.entries), (deleted.bytes, clone.content));
    let (exceeds_entries, exceeds_bytes) = match limit {
        MaxDelete::Half => {
            (is_most(entries.0, entries.1, LEAST_ENTRIES), is_most(bytes.0, bytes.1, LEAST_BYTES))
        }
        MaxDelete::Percent(share) => {
            (is_share(entries.0, entries.1, share), is_share(bytes.0, bytes.1, share))
        }
        MaxDelete::Entries(most) => (entries.0 > most, false),
    };
    if exceeds_entries {
        Some((Measure::Entries, entries.0, entries.1))
    } else {
        exceeds_bytes.then_some((Measure::Bytes, bytes.0, bytes.1))
    }
}

fn examples(first: &First) -> String {
    let paths = first.paths().iter().map(|path: &PathBuf| display::path(path).to_string());
    paths.collect::<Vec<_>>().join(", ")
}
