//! A dry run of rsync, to find out what a clone would change.

use crate::failure::Failure;
use crate::logging::printed::Printed;
use crate::phases::endpoints::Endpoints;
use crate::phases::preflight::Rsync;
use crate::phases::transfer::rsync::{command, guard, note};
use crate::process::{End, Guarded, Line, Stream, stream_guarded};
use crate::rsync::arguments::Purpose;
use crate::rsync::diagnostics::Diagnostics;
use crate::rsync::exit_status;
use crate::rsync::filter::rules::Rules;
use crate::rsync::itemized::Item;
use crate::run::Run;

/// Lists what a clone would change and passes each item to `see`; fails only if rsync fails as a whole.
pub fn list(
    run: &Run<'_>,
    rsync: &Rsync,
    ends: &Endpoints,
    rules: &Rules,
    see: &mut dyn FnMut(Item<'_>),
) -> Result<End, Failure> {
    run.go_on()?;
    ends.ensure_in_place(run)?;
    let command = command(run, rsync, ends, rules, Purpose::List, None)?;
    let (mut diagnostics, mut printed, names) = (Diagnostics::default(), Printed::new(""), ends.names());
    let mut stall = guard(run, ends);
    let end = stream_guarded(&command, run.machine.interrupts, &mut stall, &mut |line| match line.stream {
        Stream::Out => {
            if let Some(item) = Item::read(line.bytes).filter(|_| line.piece.begins) {
                see(item);
            }
        }
        Stream::Err => {
            let bytes: &[u8] = &names.restore(line.bytes);
            note(&mut diagnostics, &mut printed, Line { bytes, ..line });
        }
    });
    printed.finish();
    let end = end.map_err(|source| Failure::RsyncNotRun { path: rsync.path.clone(), source })?;
    let end = match end {
        Guarded::Ended(end) => end,
        Guarded::GivenUp { left_behind } => return Err(stall.describe(left_behind).into()),
    };
    run.go_on()?;
    match end {
        End::Exited(0 | 23 | 24) => Ok(end),
        End::Exited(_) | End::Killed(_) => Err(exit_status::of_rsync(end)),
    }
}
