//! The end of every run, however it went: writes the results for those who look at them afterwards.

pub mod metrics;
pub mod summary;

use std::ffi::{CString, OsStr};
use std::time::Duration;

use log::{error, info};

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::logging::warning;
use crate::outcome::Outcome;
use crate::phases::endpoints::named::Mount;
use crate::phases::endpoints::{Destination, Endpoints, claim_destination, identity};
use crate::phases::ping::{Request, Service};
use crate::phases::{markers, outputs, ping, script};
use crate::process;
use crate::record::{Record, Totals};
use crate::run::Run;
use crate::state::{Disk, State, Store};

/// What the end of a run needs from its beginning.
#[derive(Debug)]
pub struct Claim {
    /// Source and destination, which may be written from now on.
    pub ends: Endpoints,
    /// The ping to a monitoring service that announced the run.
    pub announcement: Option<Request>,
}

/// Turns a failure into the run's outcome: with `--skip-if-missing`, a missing destination skips the run.
#[must_use]
pub fn failed_or_skipped(run: &Run<'_>, failure: Failure) -> Outcome {
    if run.plan.skip_if_missing && failure.means_missing() {
        info!("{failure}");
        info!("Nothing is cloned (--skip-if-missing).");
        return Outcome::Skipped;
    }
    Outcome::Failed(failure)
}

/// Records the reason of a failure at the destination, saves the run's record, and sends the notifications.
pub fn conclude(run: &Run<'_>, claim: Option<Claim>, mount: Mount<'_>, service: &Service, outcome: &Outcome) {
    if let Some(path) = run.changes().path() {
        info!("What was changed is listed in {}.", display::path(&path));
    }
    if let Outcome::Failed(failure) | Outcome::Flawed(failure) = outcome {
        error!("Error: {failure}");
    }
    // A test run changes nothing.
    if !run.mode.writes() {
        return;
    }
    let was_claimed = claim.is_some();
    run.end_log();
    let (ends, announcement) = claim.map_or((None, None), |claim| (Some(claim.ends), claim.announcement));
    let destination = writable(run, ends, outcome);
    if let (Outcome::Failed(failure), Some(destination)) = (outcome, &destination) {
        markers::record_failure(run, destination, failure);
    }
    let is_proven = recall(run);
    let record = run.record(outcome);
    let public = run.for_everybody(&record, outcome);
    if let Some(destination) = &destination {
        markers::write_record(run, destination, &record, record == public);
    }
    let disk = destination.as_ref().filter(|_| public.outcome.is_complete());
    let disk = disk.and_then(|destination| complete(run, destination, public.census));
    let last_success = if is_allowed(outcome, outputs::may_remember) {
        remember(run, disk, was_claimed, public, is_proven)
    } else {
        None
    };
    // From here on the disk may be unmounted and the next run may start.
    drop(destination);
    drop(mount);
    if is_allowed(outcome, outputs::may_measure) {
        metrics::write(run, &record, last_success);
    }
    // The signal that ended the clone must not interrupt the notifications.
    run.machine.interrupts.answered();
    ping::finish(run, service, announcement, &record);
    script::run_on_error(run, outcome);
    for line in summary::lines(run, &record, outcome) {
        run.screen().say(&line);
    }
}

/// Notes what is known of this clone from before, unless this run has found it out itself; returns whether it has proven it.
fn recall(run: &Run<'_>) -> bool {
    let known = run.remembered();
    let mut is_proven = false;
    run.note(|journal| {
        is_proven = journal.proof.is_some();
        let earlier = known.as_ref().and_then(|state| state.disks.last()?.reading.as_ref());
        journal.verification = journal.reading.as_ref().or(earlier).map(|reading| reading.known.clone());
        journal.proof = journal.proof.take().or(known.and_then(|state| state.proof));
    });
    is_proven
}

/// Whether this output lies outside the destination.
fn is_allowed(outcome: &Outcome, allows: impl FnOnce(&Failure) -> bool) -> bool {
    match outcome {
        Outcome::Failed(failure) => allows(failure),
        Outcome::Completed | Outcome::Vanished | Outcome::Flawed(_) | Outcome::TestRun | Outcome::Skipped => {
            true
        }
    }
}

/// Whether an argument was mistyped, which says nothing about the clone that is there.
fn is_of_arguments(run: &Run<'_>, failure: &Failure) -> bool {
    let is_of_file = matches!(
        failure,
        Failure::ExcludesUnreadable { .. }
            | Failure::PingFile { .. }
            | Failure::ScriptNotExecutable { was_checked: false, .. }
    );
    is_of_file || (run.plan.rsync.is_some() && failure.is_of_preflight())
}

/// Returns the destination if it may be written to at this end of the run.
fn writable(run: &Run<'_>, claimed: Option<Endpoints>, outcome: &Outcome) -> Option<Destination> {
    match outcome {
        Outcome::Failed(failure) if failure.refuses_destination() || is_of_arguments(run, failure) => None,
        // What made rsync hang would make us hang as well.
        Outcome::Failed(Failure::Stalled { .. }) => {
            claimed.map(|ends| ends.destination).filter(|destination| {
                let answers = answers(run, destination);
                if !answers {
                    warning("the destination does not answer, so nothing is written there.");
                }
                answers
            })
        }
        Outcome::Failed(_) => claimed.map(|ends| ends.destination).or_else(|| claim_destination(run)),
        Outcome::Completed | Outcome::Vanished | Outcome::Flawed(_) => claimed.map(|ends| ends.destination),
        Outcome::TestRun | Outcome::Skipped => None,
    }
}

/// How long the destination may take to accept a byte.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether the destination can be written to; tried by a process that may be left behind.
fn answers(run: &Run<'_>, destination: &Destination) -> bool {
    let name = Dir::temporary_name(OsStr::new(&(run.plan.prefix.stem() + "probe")));
    let name = name.and_then(|name| Ok(CString::new(name.into_encoded_bytes())?));
    name.is_ok_and(|name| process::can_write(&destination.dir, &name, PATIENCE))
}

/// The destination as it is remembered after a complete clone of a source that holds this much.
fn complete(run: &Run<'_>, destination: &Destination, census: Option<Totals>) -> Option<Disk> {
    match identity::settled(run, &destination.dir, &destination.acceptance) {
        Ok(disk) => Some(Disk { complete: census, ..disk }),
        Err(error) => {
            let why = display::reason(&error);
            warning(format_args!(
                "the destination's id cannot be read ({why}): its last use is not remembered."
            ));
            None
        }
    }
}

/// Saves the run on this machine, and returns when the last known success ended.
///
/// A destination that was never accepted is not added: a mistyped path would be monitored forever.
fn remember(
    run: &Run<'_>,
    disk: Option<Disk>,
    was_claimed: bool,
    record: Record,
    is_proven: bool,
) -> Option<i64> {
    let (location, prefix) = (run.location(), &run.plan.prefix);
    let store = Store::new(&run.machine.host.state_dir);
    let known = match store.load(location, prefix) {
        Ok(known) => known,
        Err(error) => {
            let why = display::reason(&error);
            let path = display::path(&run.plan.destination);
            if !(run.plan.adopt && was_claimed) {
                // Another run or an administrator may still be able to read it.
                warning(format_args!("the record of {path} cannot be read ({why}) and is left as it is."));
                return None;
            }
            warning(format_args!("the record of {path} cannot be read ({why}) and is rewritten."));
            None
        }
    };
    if known.is_none() && !was_claimed {
        return None;
    }
    let mut state = known.unwrap_or_else(|| State::new(&location.resolved, prefix));
    let mut reading = None;
    run.note(|journal| reading = journal.reading.take());
    if let Some(disk) = disk {
        let id = disk.id.clone();
        state.complete(disk);
        if let Some(reading) = reading {
            state.read(&id, reading);
        }
    }
    if record.outcome.is_complete() {
        state.last_success = Some(record.clone());
    }
    if let Some(proof) = record.proof.clone().filter(|_| is_proven) {
        state.prove(proof);
    }
    state.last = Some(record);
    if let Err(error) = store.save(location, prefix, &state) {
        warning(format_args!(
            "the state of this run could not be saved in {}: {}.",
            display::path(&run.machine.host.state_dir),
            display::reason(&error)
        ));
    }
    state.last_success.map(|success| success.ended.epoch)
}
