//! A second look at rsync's errors: a live source changes while it is being read.
//!
//! When a file is removed during the run, rsync ends with 24 only if it notices at the right moment; if it notices
//! while reading ACLs or attributes, it ends with 23 and deletes nothing more. A log truncated while being copied is
//! 23, too. If nothing else went wrong, the transfer is repeated at once, and finds the rest unchanged.

use log::info;

use crate::failure::Failure;
use crate::phases::endpoints::Endpoints;
use crate::phases::safety_net::Nets;
use crate::phases::transfer::Transfer;
use crate::phases::transfer::rsync;
use crate::phases::transfer::rsync::Report;
use crate::phases::transfer::source_entry::{Found, look};
use crate::phases::transfer::verdict;
use crate::phases::transfer::verdict::PARTIAL;
use crate::process::End;

/// How often a transfer is repeated at most.
const MORE: u32 = 2;

/// Makes the clone; repeats it if only changes of the source prevented success.
pub fn clone(transfer: &Transfer<'_>, nets: &mut Nets) -> Result<Report, Failure> {
    let Transfer { run, ends, .. } = *transfer;
    let mut report = rsync::clone(transfer, nets)?;
    for pass in 1..=MORE {
        if !is_worth_another(ends, &report) {
            break;
        }
        // A source that vanished as a whole must not be cloned as an empty one.
        if run.machine.interrupts.received().is_some()
            || verdict::probe_source_of(run, ends, &report).is_err()
        {
            break;
        }
        info!(
            "The source changed while it was read, and nothing else went wrong: retrying ({pass} of {MORE})."
        );
        let mut again = rsync::clone(transfer, nets)?;
        again.statistics.add_earlier(&report.statistics);
        again.starts += report.starts;
        report = again;
    }
    Ok(report)
}

fn is_worth_another(ends: &Endpoints, report: &Report) -> bool {
    let changes = report.diagnostics.only_changes().filter(|_| report.end == End::Exited(PARTIAL));
    changes.is_some_and(|changes| changes.iter().all(|path| look(ends, path) != Found::Unreadable))
}
