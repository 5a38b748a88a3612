//! The test run: lists what a clone would change, and changes nothing.

mod json;

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
use crate::phases::test_run::json::{Document, Totals};
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
    let mut totals = Totals { bytes: survey.differences.written(), ..Totals::default() };
    let mut document = run.plan.json.then(|| Document::begin(run));
    let listed = dry_run::list(run, rsync, ends, rules, &mut |item| {
        let name = display::line(item.name);
        match item.change {
            Change::Create => {
                totals.created += 1;
                info!("Would create {name}");
            }
            Change::Replace | Change::Attributes => {
                totals.changed += 1;
                info!("Would change {name} ({})", item.letters);
            }
            Change::Delete => {
                totals.deleted += 1;
                info!("Would delete {name}");
            }
        }
        if let Some(document) = &mut document {
            document.add(item);
        }
    });
    if let Some(document) = document {
        document.end(totals, matches!(listed, Ok(End::Exited(0))));
    }
    if let End::Exited(code @ 1..) = listed? {
        warning(format_args!(
            "rsync ended with code {code}: {}. The list may be incomplete.",
            exit_status::meaning(code)
        ));
    }
    let Totals { created, changed, deleted, bytes } = totals;
    info!(
        "Test run: would create {created}, change {changed} and delete {deleted} entries, and write {}. Nothing was changed.",
        HumanBytes(bytes)
    );
    Ok(Outcome::TestRun)
}
