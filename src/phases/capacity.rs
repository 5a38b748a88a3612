//! Checks for what the destination's filesystem cannot hold and rsync would not notice, or only late.
//!
//! On a case-insensitive filesystem, `Makefile` and `makefile` become one file, and rsync reports success; a time that
//! is out of range is stored as another; a file that is too large or has too many hard links fails only when most of
//! the rest has been overwritten. So the destination is probed once beforehand with files of our own, and the result is
//! compared with the survey. Only on a conflict is the source walked again, to name each path.

mod holds;
mod known;
mod lacks;
mod names;
mod probe;

use std::io;
use std::os::unix::fs::MetadataExt as _;

use log::info;

use crate::display;
use crate::failure::Failure;
use crate::fs::is_no_room;
use crate::logging::warning;
use crate::phases::capacity::holds::Capacity;
use crate::phases::endpoints::Endpoints;
use crate::phases::survey::found::Survey;
use crate::phases::survey::left_out;
use crate::rsync::filter::rules::Rules;
use crate::run::Run;
use lacks::Lacks;
use names::Folds;
use probe::Probe;

/// Refuses a source that the destination cannot hold. A test run writes nothing, so it only uses what is known without
/// probing, and a refusal becomes a warning.
pub fn check(run: &Run<'_>, ends: &Endpoints, rules: &Rules, survey: &Survey) -> Result<(), Failure> {
    run.go_on()?;
    let lacks = if run.mode.writes() {
        try_out(run, ends, rules, survey)
    } else {
        compare(run, ends, rules, survey, &known::of(&ends.destination.dir), None)
    };
    // The destination was accepted: if anything goes wrong there, yesterday's completion marker must not stay.
    run.go_on()?;
    let lacks = lacks.map_err(|error| Failure::DestinationLost {
        path: run.plan.destination.clone(),
        why: format!("what it can hold cannot be determined: {}", display::reason(&error)).into(),
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

/// Does the same by probing with files of our own; the destination root's modification time is restored.
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
        // The clone may free space by deleting.
        Err(error) if is_no_room(&error) => {
            info!("What the destination can hold is not probed: it is full.");
            compare(run, ends, rules, survey, &known::of(dir), None)
        }
        outcome => outcome,
    }
}

/// Finds what exceeds the destination's limits; `None` if nothing can.
fn compare(
    run: &Run<'_>,
    ends: &Endpoints,
    rules: &Rules,
    survey: &Survey,
    capacity: &Capacity,
    probe: Option<&Probe>,
) -> io::Result<Option<Lacks>> {
    let mut capacity = capacity.clone();
    let mut sources = ends.source.filesystems.iter().map(|it| &it.dir).chain([&ends.source.dir]);
    if sources.all(known::folds_at_source) {
        capacity.folds = Folds::default();
    }
    if !capacity.may_lack(&survey.needs) {
        return Ok(None);
    }
    let left_out = left_out(run, ends, rules);
    lacks::find(run, &ends.source, &left_out, &capacity, probe).map(Some)
}
