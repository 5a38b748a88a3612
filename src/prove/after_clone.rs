//! `--prove`: a clone that is complete is booted before its run ends.

use std::ffi::OsStr;

use chrono::Local;
use log::info;

use crate::cli::prove::Setup;
use crate::display::words;
use crate::failure::Failure;
use crate::failure::refusal::Refusal;
use crate::outcome::Outcome;
use crate::prove::disk::Search;
use crate::prove::{Proven, prove as prove_disk, refuse_elsewhere};
use crate::run::Run;

/// Boots the clone if that was asked for and is due. One that does not boot is complete all the same.
#[must_use]
pub fn prove(run: &Run<'_>, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Completed | Outcome::Vanished if is_due(run) => {}
        Outcome::Completed
        | Outcome::Vanished
        | Outcome::Flawed(_)
        | Outcome::TestRun
        | Outcome::Skipped
        | Outcome::Failed(_) => return outcome,
    }
    let _phase = run.phase("prove");
    match boot(run) {
        Ok(Proven { proof, sentence }) => {
            run.note(|journal| journal.proof = Some(proof));
            match sentence {
                Ok(sentence) => {
                    sentence.lines().for_each(|line| info!("{line}"));
                    outcome
                }
                Err(failure) => Outcome::Flawed(failure),
            }
        }
        Err(Refusal(_, why)) => {
            if let Some(signal) = run.machine.interrupts.received() {
                info!("Only its proof was interrupted.");
                return Outcome::Flawed(Failure::Interrupted { signal });
            }
            // The copy is complete, and nothing is known against it.
            run.warn_publicly(format_args!("the clone was not proven: {why}"));
            outcome
        }
    }
}

/// Whether the clone is to be booted. It is if nothing is known of its last boot.
fn is_due(run: &Run<'_>) -> bool {
    let Some(frequency) = run.plan.prove else { return false };
    let booted = run.remembered().and_then(|state| Some(state.disks.last()?.proven.as_ref()?.epoch));
    let now = Local::now().timestamp();
    let is_due = frequency.is_due(booted, now);
    if let Some(booted) = booted.filter(|_| !is_due) {
        info!("The clone is not booted: it was proven {} ago.", words::span(now - booted));
    }
    is_due
}

fn boot(run: &Run<'_>) -> Result<Proven, Refusal> {
    refuse_elsewhere(run.machine.host)?;
    let place = run.place().map_or(OsStr::new(""), |place| place.as_os_str());
    // The run holds the lock of its destination.
    let disk = Search { machine: run.machine, is_locked: true }.open(place)?;
    let setup = Setup { log_dir: run.plan.log_dir.clone(), ..Setup::default() };
    prove_disk(&setup, run.machine, &disk, &|line| info!("{line}"))
}
