//! `--verify-daily`: a run that has made a complete clone reads a part of it again, every day another.

use chrono::Local;
use log::info;

use crate::display::words::{count, took};
use crate::failure::Failure;
use crate::logging::warning;
use crate::outcome::Outcome;
use crate::phases::endpoints::{Endpoints, identity};
use crate::phases::preflight::Rsync;
use crate::phases::survey::found::Survey;
use crate::plan::share::Share;
use crate::rsync::filter::rules::Rules;
use crate::run::Run;
use crate::state::reading::{Extent, Reading};
use crate::verify::comparison::{CloneOf, compare};
use crate::verify::finding::Findings;
use crate::verify::kept::Kept;
use crate::verify::sample::Chosen;

/// How many damaged entries the log names.
const NAMED: usize = 100;

/// The clone that was made.
#[derive(Debug, Clone, Copy)]
pub struct Made<'a> {
    /// The rsync that has made it.
    pub rsync: &'a Rsync,
    /// Both ends.
    pub ends: &'a Endpoints,
    /// What belongs to it.
    pub rules: &'a Rules,
    /// What was found before.
    pub survey: &'a Survey,
}

/// Reads the next part of a complete clone, if that is wanted and due. A damaged clone keeps its markers: it is as complete as
/// before.
#[must_use]
pub fn verify(run: &Run<'_>, made: Made<'_>, outcome: Outcome) -> Outcome {
    let Some(share) = run.plan.verify_daily else { return outcome };
    match outcome {
        Outcome::Completed | Outcome::Vanished => {}
        Outcome::Flawed(_) | Outcome::TestRun | Outcome::Skipped | Outcome::Failed(_) => return outcome,
    }
    let _phase = run.phase("verify");
    match read(run, made, share) {
        Ok(0) => outcome,
        Ok(number) => Outcome::Flawed(Failure::Damaged { path: run.plan.destination.clone(), number }),
        Err(failure @ Failure::Interrupted { .. }) => {
            info!("Only the reading of it was interrupted.");
            Outcome::Flawed(failure)
        }
        // The copy is complete, and nothing is known against it.
        Err(failure) => {
            run.warn(format_args!("no part of the clone was read again. {failure}"));
            outcome
        }
    }
}

/// Reads the part whose turn it is; returns how many entries are damaged.
fn read(run: &Run<'_>, made: Made<'_>, share: Share) -> Result<u64, Failure> {
    let Made { rsync, ends, rules, survey } = made;
    let known = known(run, ends);
    let of = share.turns();
    let Some(number) = Reading::next(known.as_ref(), of, Local::now().timestamp()) else {
        info!("No part of the clone is read again: one was already read today.");
        return Ok(0);
    };
    let clone = CloneOf { ends, rules, content: survey.census.content, started: run.started.timestamp() };
    let kept = Kept::by(run, ends, rsync);
    let clock = std::time::Instant::now();
    let findings = compare(run, &clone, kept, Chosen::Part { number, of }, &run.screen())?;
    run.go_on()?;
    info!(
        "Read again, part {} of {of}: {} files ({}) in {}, {} damaged, {} not compared.",
        number + 1,
        count(findings.files),
        indicatif::HumanBytes(findings.bytes),
        took(clock.elapsed()),
        count(findings.damaged),
        count(findings.uncompared)
    );
    name(run, &findings);
    let extent = Extent::Part { number, of };
    let reading = Reading::after(known.as_ref(), extent, &Local::now().into(), findings.counts());
    run.note(|journal| journal.reading = Some(reading));
    Ok(findings.damaged)
}

/// What was read of this clone before; nothing if that cannot be told.
fn known(run: &Run<'_>, ends: &Endpoints) -> Option<Reading> {
    let state = run.remembered()?;
    state.reading(&identity::id(run, &ends.destination.dir).ok()?).cloned()
}

/// Names in the log what is damaged, and warns of what could not be compared.
fn name(run: &Run<'_>, findings: &Findings) {
    let Findings { damages, damaged, not_compared, uncompared, .. } = findings;
    for damage in damages.iter().take(NAMED) {
        warning(format_args!("damaged: {}: {}.", damage.shown(), damage.message()));
    }
    if let more @ 1.. = damaged.saturating_sub(NAMED as u64) {
        warning(format_args!("{} more are damaged.", count(more)));
    }
    if let Some(first) = not_compared.first() {
        run.warn(format_args!(
            "{} of the clone could not be compared, among them {}: {}.",
            if *uncompared == 1 { "1 entry".to_owned() } else { format!("{} entries", count(*uncompared)) },
            first.shown(),
            first.why
        ));
    }
}
