//! The test run: lists what a clone would change, and changes nothing.

use log::info;

use crate::display;
use crate::failure::Failure;
use crate::logging::warning;
use crate::phases::adoption;
use crate::phases::adoption::Losses;
use crate::phases::endpoints::Endpoints;
use crate::phases::preflight::Rsync;
use crate::phases::transfer::dry_run;
use crate::process::End;
use crate::rsync::exit_status;
use crate::rsync::filter::rules::Rules;
use crate::rsync::itemized::Change;
use crate::run::Run;

/// Logs everything that a clone would change.
pub fn list_changes(run: &Run<'_>, rsync: &Rsync, ends: &Endpoints, rules: &Rules) -> Result<(), Failure> {
    let (mut created, mut changed, mut deleted) = (0_u64, 0_u64, 0_u64);
    let needs_leave = adoption::needs_leave(run, &ends.destination)?;
    let mut losses = Losses::default();
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
        if needs_leave {
            losses.see(&item, &ends.destination.dir);
        }
    })?;
    if let End::Exited(code @ 1..) = end {
        warning(format_args!(
            "rsync ended with code {code}: {}. The list may be incomplete.",
            exit_status::meaning(code)
        ));
    }
    if let Some(refusal) = losses.refusal(&run.plan.destination) {
        warning(format_args!(
            "a real run would be refused with code {}. {refusal}",
            refusal.exit_code().number()
        ));
    }
    info!(
        "Test run: would create {created}, change {changed} and delete {deleted} entries. Nothing was changed."
    );
    Ok(())
}
