//! The test run: lists what a clone would change, and changes nothing.

use indicatif::HumanBytes;
use log::info;

use crate::display;
use crate::failure::Failure;
use crate::logging::warning;
use crate::outcome::Outcome;
use crate::phases::capacity;
use crate::phases::endpoints::Endpoints;
use crate::phases::preflight::Rsync;
use crate::phases::survey;
use crate::phases::transfer::dry_run;
use crate::process::End;
use crate::rsync::exit_status;
use crate::rsync::filter::rules::Rules;
use crate::rsync::itemized::Change;
use crate::run::Run;

/// Warns of what a clone would be refused for, and logs everything that it would change.
pub fn list_changes(
    run: &Run<'_>,
    rsync: &Rsync,
    ends: &Endpoints,
    rules: &mut Rules,
) -> Result<Outcome, Failure> {
    survey::warn_of_short_disks(run);
    let survey = survey::check(run, ends, rules, None)?;
    capacity::check(run, ends, rules, &survey)?;
    let (mut created, mut changed, mut deleted) = (0_u64, 0_u64, 0_u64);
    let end = dry_run::list(run, rsync, ends, rules, &mut |item| {
        let name = display::line(item.name);
        match item.change {
            Change::Create => {
                created += 1;
                info!("Would create {name}");
            }
            Change::Replace | Change::Attributes => {
                changed += 1;
                info!("Would change {name} ({})", item.letters);
            }
            Change::Delete => {
                deleted += 1;
                info!("Would delete {name}");
            }
        }
    })?;
    if let End::Exited(code @ 1..) = end {
        warning(format_args!(
            "rsync ended with code {code}: {}. The list may be incomplete.",
            exit_status::meaning(code)
        ));
    }
    info!(
        "Test run: would create {created}, change {changed} and delete {deleted} entries, and write {}. Nothing was changed.",
        HumanBytes(survey.differences.written())
    );
    Ok(Outcome::TestRun)
}
