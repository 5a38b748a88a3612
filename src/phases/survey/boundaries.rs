//! Where other filesystems begin inside a source of several: subvolumes that are not part of the clone.
//!
//! rsync's `--one-file-system` would stop at every filesystem, those that are part of the clone included. So rsync goes on
//! into all that it sees, and rules keep it out of the rest: what the clone holds there stays, as with one filesystem.

use crate::failure::Failure;
use crate::phases::endpoints::Endpoints;
use crate::phases::endpoints::filesystems::refused;
use crate::phases::survey::found::Survey;
use crate::rsync::filter::rules::{Rules, keep};
use crate::run::Run;

/// Adds the rules, if the source is several filesystems. Refuses what the rules could not cover.
pub fn keep_copies(
    run: &Run<'_>,
    ends: &Endpoints,
    rules: &mut Rules,
    survey: &Survey,
    has_filesystems: bool,
) -> Result<(), Failure> {
    if ends.source.filesystems.is_empty() {
        return Ok(());
    }
    if has_filesystems {
        return Err(Failure::DestinationUnusable {
            path: run.plan.destination.clone(),
            why: "it has filesystems or subvolumes of its own in it, from which a clone of several filesystems would \
                  delete; the log names them"
                .to_owned()
                .into(),
        });
    }
    if survey.more_boundaries > 0 {
        return Err(refused("there are too many subvolumes in it that are not part of the clone"));
    }
    for path in &survey.boundaries {
        rules.ours.extend(keep(path.as_os_str()));
    }
    Ok(())
}
