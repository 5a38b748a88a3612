//! The survey: looks at every entry of both ends once, directly before the first write, and checks what speaks against
//! the clone.
//!
//! It reads no file, so it costs a fraction of the rsync run that follows.

pub mod adoption;
mod boundaries;
pub mod census;
pub mod differences;
pub mod found;
pub mod in_place;
pub mod linked_names;
pub mod list;
pub mod locked;
pub mod losses;
pub mod memory;
pub mod needs;
mod shrink;
pub mod space;
mod surveyor;
pub mod tally;

use crate::display;
use crate::failure::Failure;
use crate::fs::is_no_room;
use crate::logging::{Busy, warning};
use crate::phases::endpoints::Endpoints;
use crate::phases::exclusions::{neighbours, tagged};
use crate::phases::survey::found::Survey;
use crate::phases::survey::memory::Memory;
use crate::phases::survey::surveyor::Wanted;
use crate::phases::transfer::timestamps;
use crate::rsync::filter::matcher::LeftOut;
use crate::rsync::filter::rules::Rules;
use crate::run::{Mode, Run};
use crate::tree::pair::{Trees, Unreadable};
use crate::tree::sides::{Side, Sides};

pub use linked_names::LinkedNames;
pub use losses::refuse_losses;
pub use needs::Needs;
pub use space::{growth, warn_of_short_disks};
pub use tally::count;

/// Surveys both ends, and refuses a clone that would empty the destination or that cannot fit there.
///
/// Adds rules that protect the copies of encrypted directories that cannot be read. A test run writes nothing, so a
/// refusal becomes a warning.
pub fn check(
    run: &Run<'_>,
    ends: &Endpoints,
    rules: &mut Rules,
    memory: Option<Memory<'_>>,
) -> Result<Survey, Failure> {
    let survey = look(run, ends, rules, memory)?;
    compare_sizes(run, ends, &survey)?;
    refuse(run, refuse_losses(run, ends, &survey))?;
    Ok(survey)
}

/// Surveys both ends, and adds rules that protect the copies of encrypted directories that cannot be read.
pub fn look(
    run: &Run<'_>,
    ends: &Endpoints,
    rules: &mut Rules,
    memory: Option<Memory<'_>>,
) -> Result<Survey, Failure> {
    run.go_on()?;
    let _phase = run.phase("survey");
    let unreadable =
        |why: String| Failure::SourceUnreadable { path: run.plan.source.clone(), why: why.into() };
    let failed = |Unreadable { side, error }| match side {
        Side::Source => unreadable(display::reason(&error)),
        Side::Destination => lost(run, error),
    };
    let wanted = Wanted {
        attributes: needs::wants_attributes(ends),
        nanoseconds: timestamps::shows_nanoseconds(&ends.destination),
        is_root: run.machine.host.is_root(),
        in_place: run.plan.tuning.in_place,
    };
    exclude_tagged(run, ends, rules).map_err(failed)?;
    run.go_on()?;
    let busy = busy(run);
    let mut survey = {
        let left_out = left_out(run, ends, rules);
        surveyor::survey(&trees(ends, &left_out), run.machine.interrupts, wanted, memory, &busy)
            .map_err(failed)?
    };
    run.go_on()?;
    let has_clones = survey.neighbours.has_clones();
    let has_filesystems = survey.neighbours.has_filesystems();
    std::mem::take(&mut survey.neighbours).set_apart(run, ends, rules)?;
    let left_out = left_out(run, ends, rules);
    if has_clones {
        // Other clones in the destination are no part of this one.
        survey = surveyor::survey(&trees(ends, &left_out), run.machine.interrupts, wanted, memory, &busy)
            .map_err(failed)?;
        run.go_on()?;
    }
    drop(busy);
    if survey.locked.iter().any(|path| path.as_os_str().is_empty()) {
        return Err(unreadable("it is encrypted and its key is not available".to_owned()));
    }
    survey.is_exact = left_out.is_exact();
    survey.census.log(survey.is_exact);
    if run.mode == Mode::Clone && survey.clone.entries > 1 {
        survey.differences.log();
    }
    neighbours::warn_of_boundaries(run, ends, &survey.boundaries, survey.more_boundaries);
    run.note(|journal| journal.census = Some(survey.census.totals()));
    boundaries::keep_copies(run, ends, rules, &survey, has_filesystems)?;
    locked::keep_copies(run, rules, survey.locked.clone());
    survey.before = refuse(run, shrink::before(run, &ends.destination))?;
    Ok(survey)
}

/// Adds rules for the directories that are excluded by a tag in them. What they are is decided once in a run.
fn exclude_tagged(run: &Run<'_>, ends: &Endpoints, rules: &mut Rules) -> Result<(), Unreadable> {
    if !run.plan.tags.are_wanted() {
        return Ok(());
    }
    rules.tagged.clear();
    let left_out = left_out(run, ends, rules);
    let mut trees = trees(ends, &left_out);
    trees.roots.destination = None;
    let busy = run.screen().busy("Looking for tags: {pos} directories");
    let found = tagged::find(&run.plan.tags, &trees, run.machine.interrupts, &busy)?;
    drop(busy);
    found.exclude(run, rules);
    Ok(())
}

/// Refuses a source that has shrunk by most, and a clone that cannot fit.
pub fn compare_sizes(run: &Run<'_>, ends: &Endpoints, survey: &Survey) -> Result<(), Failure> {
    refuse(run, shrink::check(run, survey.before, &survey.census))?;
    refuse(run, space::check(run, ends, survey))
}

fn lost(run: &Run<'_>, error: std::io::Error) -> Failure {
    let path = run.plan.destination.clone();
    if is_no_room(&error) {
        return Failure::DestinationFull { path, what: display::reason(&error) };
    }
    Failure::DestinationLost { path, why: error.into() }
}

fn busy(run: &Run<'_>) -> Busy {
    run.screen().busy("Surveying: {pos} entries")
}

/// Surveys both ends once more after a transfer.
pub fn again(run: &Run<'_>, ends: &Endpoints, rules: &Rules, memory: Memory<'_>) -> Result<Survey, Failure> {
    let left_out = left_out(run, ends, rules);
    let wanted = Wanted {
        attributes: false,
        nanoseconds: true,
        is_root: run.machine.host.is_root(),
        in_place: run.plan.tuning.in_place,
    };
    let failed = |Unreadable { side, error }| match side {
        Side::Source => Failure::SourceLost { path: run.plan.source.clone(), why: error.into() },
        Side::Destination => lost(run, error),
    };
    let (trees, busy) = (trees(ends, &left_out), busy(run));
    let survey =
        surveyor::survey(&trees, run.machine.interrupts, wanted, Some(memory), &busy).map_err(failed)?;
    drop(busy);
    run.go_on()?;
    Ok(survey)
}

/// Why what has changed since the transfer must not be transferred as well. `--allow-shrink` is about the time before.
#[must_use]
pub fn refuse_closing(run: &Run<'_>, survey: &Survey, before: &Survey) -> Option<&'static str> {
    if survey.census.unreadable + survey.clone.unreadable > 0 {
        Some("something cannot be read any more")
    } else if shrink::has_lost_most(before.census.totals(), &survey.census) {
        Some("the source has lost most of what it held")
    } else {
        losses::excess(run.plan.max_delete, survey)
            .map(|_| "more has gone from the source than --max-delete lets a clone delete")
    }
}

/// Both ends, for a walk.
#[must_use]
pub fn trees<'a>(ends: &'a Endpoints, left_out: &'a LeftOut) -> Trees<'a> {
    let roots = Sides::both(&ends.source.dir, &ends.destination.dir);
    Trees { roots, left_out, points: &ends.source.points }
}

/// What a clone of the source leaves out.
#[must_use]
pub fn left_out(run: &Run<'_>, ends: &Endpoints, rules: &Rules) -> LeftOut {
    let destination = &ends.source.holds_destination;
    let destination = destination.as_ref().map(|(relative, contents)| (relative.as_os_str(), *contents));
    LeftOut::of(rules, &run.plan.prefix, destination)
}

/// A refusal of a test run is a warning.
fn refuse<T: Default>(run: &Run<'_>, finding: Result<T, Failure>) -> Result<T, Failure> {
    match finding {
        Err(refusal) if run.mode == Mode::TestRun && refusal.is_of_survey() => {
            let code = refusal.exit_code().number();
            warning(format_args!("a real run would be refused with code {code}. {refusal}"));
            Ok(T::default())
        }
        finding => finding,
    }
}
