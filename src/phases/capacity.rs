//! Whether the destination's filesystem can hold what the source has, so far as rsync would not notice or find out late.
//!
//! Where case does not count, `Makefile` and `makefile` become one file, and rsync says that all is well; a time that is out of
//! range becomes another one; a file that is too large, or has too many names, fails when most of the rest is overwritten. So
//! what the destination can hold is tried before, once, with files of our own, and compared with what the survey has found.
//! Only when the two do not fit is the source looked at again, to name each path.

mod holds;
mod known;
mod lacks;
mod names;
mod probe;

use std::io;

use log::info;

use crate::display;
use crate::failure::Failure;
use crate::fs::is_no_room;
use crate::logging::warning;
use crate::phases::capacity::holds::Capacity;
use crate::phases::census::left_out;
use crate::phases::census::survey::Survey;
use crate::phases::endpoints::Endpoints;
use crate::rsync::filter::rules::Rules;
use crate::run::Run;
use lacks::Lacks;
use names::Folds;
use probe::Probe;
use std::os::unix::fs::MetadataExt as _;

/// Refuses a clone of something that the destination cannot hold. In a test run, which writes nothing, only what is known
/// without trying counts, and a refusal is a warning.
pub fn check(run: &Run<'_>, ends: &Endpoints, rules: &Rules, survey: &Survey) -> Result<(), Failure> {
    run.go_on()?;
    let lacks = if run.mode.writes() {
        try_out(run, ends, rules, survey)
    } else {
        compare(run, ends, rules, survey, &known::of(&ends.destination.dir), None)
    };
    // By now it was accepted: what goes wrong there is no reason to leave yesterday's completion.
    run.go_on()?;
    let lacks = lacks.map_err(|error| Failure::DestinationLost {
        path: run.plan.destination.clone(),
        why: format!("what it can hold cannot be found out: {}", display::reason(&error)).into(),
    })?;
    let Some(lacks) = lacks else { return Ok(()) };
    lacks.log(&run.plan.source);
    match lacks.refusal(run) {
        Some(refusal) if run.mode.only_warns() => {
            warning(format_args!(
                "a real run would be refused with code {}. {refusal}",
                refusal.exit_code().number()
            ));
            Ok(())
        }
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

/// The same with files of our own at the destination, whose root has its time back afterwards.
fn try_out(run: &Run<'_>, ends: &Endpoints, rules: &Rules, survey: &Survey) -> io::Result<Option<Lacks>> {
    let dir = &ends.destination.dir;
    let before = dir.metadata()?;
    let begun = Probe::begin(dir, &run.plan.prefix);
    let outcome = match begun {
        Ok(probe) => {
            let outcome = probe
                .measure(&survey.needs)
                .and_then(|capacity| compare(run, ends, rules, survey, &capacity, Some(&probe)));
            probe.end(dir);
            outcome
        }
        Err(error) => Err(error),
    };
    let restored = dir.set_modified(before.mtime(), before.mtime_nsec());
    match outcome.and_then(|lacks| restored.map(|()| lacks)) {
        // The clone may make room by deleting.
        Err(error) if is_no_room(&error) => {
            info!("What the destination can hold is not probed: it is full.");
            compare(run, ends, rules, survey, &known::of(dir), None)
        }
        outcome => outcome,
    }
}

/// Looks for what is too much for the destination; `None` where nothing can be.
fn compare(
    run: &Run<'_>,
    ends: &Endpoints,
    rules: &Rules,
    survey: &Survey,
    capacity: &Capacity,
    probe: Option<&Probe>,
) -> io::Result<Option<Lacks>> {
    let mut capacity = capacity.clone();
    if known::folds_at_source(&ends.source.dir) {
        capacity.folds = Folds::default();
    }
    if !capacity.may_lack(&survey.needs) {
        return Ok(None);
    }
    let left_out = left_out(run, ends, rules);
    lacks::find(run, &ends.source.dir, &left_out, &capacity, probe).map(Some)
}
