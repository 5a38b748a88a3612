//! What a clone would delete: refused at a destination that is not known to be ours, and where it is most of a clone.

use std::path::PathBuf;

use crate::display;
use crate::failure::{Deletion, Failure, Measure};
use crate::phases::adoption;
use crate::phases::adoption::Standing;
use crate::phases::endpoints::Endpoints;
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

/// Refuses to delete most of a clone.
pub fn most(run: &Run<'_>, survey: &Survey) -> Result<(), Failure> {
    let (deleted, clone) = (survey.differences.deleted(), &survey.clone);
    if run.plan.allow_shrink {
        return Ok(());
    }
    let is_most = |now: u64, of: u64, least: u64| now >= least && now > of / 2;
    let measure = match run.plan.max_delete {
        MaxDelete::Entries(most) => (deleted.entries > most).then_some(Measure::Entries),
        MaxDelete::Percent(percent) => {
            let exceeds = |now: u64, of: u64| u128::from(now) * 100 > u128::from(of) * u128::from(percent);
            if exceeds(deleted.entries, clone.entries) {
                Some(Measure::Entries)
            } else {
                exceeds(deleted.bytes, clone.content).then_some(Measure::Bytes)
            }
        }
        MaxDelete::Half if is_most(deleted.entries, clone.entries, LEAST_ENTRIES) => Some(Measure::Entries),
        MaxDelete::Half => is_most(deleted.bytes, clone.content, LEAST_BYTES).then_some(Measure::Bytes),
    };
    let Some(measure) = measure else { return Ok(()) };
    let (now, of) = match measure {
        Measure::Entries => (deleted.entries, clone.entries),
        Measure::Bytes => (deleted.bytes, clone.content),
    };
    let deletion = Deletion { measure, now, of, examples: examples(&survey.differences.first_deleted) };
    Err(Failure::DeletesMost { path: run.plan.destination.clone(), deletion })
}

fn examples(first: &First) -> String {
    let paths = first.paths().iter().map(|path: &PathBuf| display::path(path).to_string());
    paths.collect::<Vec<_>>().join(", ")
}
