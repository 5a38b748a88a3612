//! The survey: counts what the source holds before anything is written, and checks what speaks against cloning it.
//!
//! It looks at every entry once and reads no file, so it costs a fraction of the rsync run that follows. Measured by
//! `benches/census.sh` with 150,759 entries on ext4, on two cores: 0.12 to 0.13 of the CPU time, and at most 0.12 of
//! the elapsed time, of a run of rsync 3.5.0 in which nothing has changed and everything is cached. With cold caches it
//! takes more, 0.27 to 0.29 of the CPU time, but then rsync finds in memory what the survey has read: both together
//! take 1.06 of rsync's CPU time alone.

pub mod linked_names;
pub mod locked;
pub mod needs;
pub mod room;
mod shrunken;
pub mod survey;
pub mod tally;
pub mod walk;

use crate::display;
use crate::failure::Failure;
use crate::logging::warning;
use crate::phases::endpoints::Endpoints;
use crate::phases::exclusions::neighbours;
use crate::rsync::filter::matcher::LeftOut;
use crate::rsync::filter::rules::Rules;
use crate::run::Run;

use crate::phases::census::survey::Survey;
pub use linked_names::LinkedNames;
pub use needs::{Needs, names_of};
pub use room::{growth, warn_of_short_disks};
pub use tally::count;

/// Surveys the source, and refuses a clone that would empty the destination or that cannot fit there.
///
/// Adds rules that protect the copies of encrypted directories that cannot be read. A test run writes nothing, so a
/// refusal becomes a warning.
pub fn check(run: &Run<'_>, ends: &Endpoints, rules: &mut Rules) -> Result<Survey, Failure> {
    run.go_on()?;
    let unreadable =
        |why: String| Failure::SourceUnreadable { path: run.plan.source.clone(), why: why.into() };
    let dir = &ends.source.dir;
    let left_out = left_out(run, ends, rules);
    let attributes = needs::wants_attributes(ends);
    let mut survey = tally::survey(dir, &left_out, run.interrupts, attributes)
        .map_err(|error| unreadable(display::reason(&error)))?;
    run.go_on()?;
    if survey.locked.iter().any(|path| path.as_os_str().is_empty()) {
        return Err(unreadable("it is encrypted and its key is not available".to_owned()));
    }
    survey.census.log(left_out.is_exact());
    neighbours::warn_of_boundaries(run, ends, &survey.boundaries, survey.more_boundaries);
    run.note(|journal| journal.census = Some(survey.census.totals()));
    locked::keep_copies(run, rules, survey.locked.clone());
    survey.before = refuse(run, shrunken::before(run, &ends.destination))?;
    refuse(run, shrunken::check(run, survey.before, &survey.census))?;
    refuse(run, room::check(run, ends, &survey.census, left_out.is_exact()))?;
    room::warn_of_short_disks(run);
    Ok(survey)
}

/// What a clone of the source leaves out.
#[must_use]
pub fn left_out(run: &Run<'_>, ends: &Endpoints, rules: &Rules) -> LeftOut {
    let destination = &ends.source.holds_destination;
    let destination = destination.as_ref().map(|(relative, contents)| (relative.as_os_str(), *contents));
    LeftOut::of(rules, &run.plan.prefix, destination)
}

fn refuse<T: Default>(run: &Run<'_>, finding: Result<T, Failure>) -> Result<T, Failure> {
    match finding {
        Err(
            refusal @ (Failure::Shrunken { .. } | Failure::ShrinkUnknown { .. } | Failure::NoRoom { .. }),
        ) if run.mode.only_warns() => {
            let code = refusal.exit_code().number();
            warning(format_args!("a real run would be refused with code {code}. {refusal}"));
            Ok(T::default())
        }
        finding => finding,
    }
}
