//! The end of every run, whatever became of it: what is left for those who look at it afterwards.

use super::endpoints::Endpoints;
use super::{Run, markers};
use crate::host::state::{State, Store};
use crate::logging::warning;
use crate::outcome::Outcome;
use crate::record::Verdict;
use crate::shown;

/// Leaves the reason of a failure at the destination, and the record of the run where it belongs.
pub fn conclude(run: &Run<'_>, claimed: Option<Endpoints>, outcome: &Outcome) {
    let was_claimed = claimed.is_some();
    if let Outcome::Failed(failure) = outcome {
        markers::record_failure(run, claimed, failure);
    }
    // A test run changes nothing at all.
    if run.plan.test_run {
        return;
    }
    remember(run, was_claimed, outcome);
}

/// Keeps the run in mind on this machine.
///
/// A destination that was never accepted gets no place there: a mistyped path would be watched for ever.
fn remember(run: &Run<'_>, was_claimed: bool, outcome: &Outcome) {
    let (path, prefix) = (&run.plan.destination, &run.plan.prefix);
    let store = Store::new(&run.host.state_dir);
    let known = store.load(path, prefix).unwrap_or_else(|error| {
        warning(format_args!(
            "what was known of {} cannot be read ({}) and is written anew.",
            shown::path(path),
            shown::reason(&error)
        ));
        None
    });
    if known.is_none() && !was_claimed {
        return;
    }
    let mut state = known.unwrap_or_else(|| State::new(path, prefix));
    let record = run.record(outcome);
    match record.outcome {
        Verdict::Success | Verdict::Warning => state.last_success = Some(record.clone()),
        Verdict::Failed | Verdict::Skipped => {}
    }
    state.last = Some(record);
    run.note(|journal| journal.disk.take().into_iter().for_each(|disk| state.see(disk)));
    if let Err(error) = store.save(path, prefix, &state) {
        warning(format_args!(
            "the state of this run could not be kept in {}: {}.",
            shown::path(&run.host.state_dir),
            shown::reason(&error)
        ));
    }
}
