//! `counterpart verify`: reads a clone again and compares it with its source, changing neither unless it is to be repaired.
//!
//! Both ends are claimed as for a clone, and seen through the same view; what a clone leaves out is left out here too. Each
//! pair of entries is compared in one walk, and files by their contents, the clone's from its disk. What differs is damage
//! if the source has not changed since the clone was begun.

mod alone;
mod choose;
mod comparison;
mod completed;
mod contents;
pub mod daily;
mod finding;
pub mod hashes;
mod kept;
mod links;
mod remember;
mod repair;
mod report;
mod sample;
mod verifier;

use std::io;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::Instant;

use crate::cli::verify::VerifyArgs;
use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::failure::refusal::Refusal;
use crate::host::machine::Machine;
use crate::job::{Work, each};
use crate::logging::kept::Kept as KeptLog;
use crate::logging::shown::{Shown, Verbosity};
use crate::logging::{Screen, complain, warning};
use crate::phases::endpoints::Endpoints;
use crate::phases::survey::found::Survey;
use crate::phases::{bootable, endpoints, exclusions, preflight, survey};
use crate::plan::Plan;
use crate::rsync::filter::rules::Rules;
use crate::run::{Mode, Run};
use crate::state::reading::{Counts, Extent};
use comparison::{CloneOf, compare};
use completed::{Completed, begun_meanwhile};
use kept::Kept;
use repair::Repair;
use report::{Against, Basis, Verified};
use sample::Chosen;

/// Verifies what was asked for, prints what was found, and returns the exit code.
#[must_use]
pub fn run(args: &VerifyArgs, machine: Machine<'_>) -> ExitCode {
    match choose::work(args, machine) {
        Ok(Work::Here(plan)) => here(args, &plan, machine),
        Ok(Work::Each(steps)) => each::each(&steps, machine.interrupts),
        Err(Refusal(code, sentence)) => {
            complain(&sentence);
            code
        }
    }
}

fn here(args: &VerifyArgs, plan: &Plan, machine: Machine<'_>) -> ExitCode {
    let messages = KeptLog::start();
    let screen = Screen::new(Shown::choose(Verbosity::Normal, plan.colour, true));
    let looked = if args.alone { alone::verify } else { verify };
    let mut verified = looked(args, plan, machine, &screen);
    let mut failed = None;
    if let Ok(Some(verified)) = &mut verified
        && args.repair
        && verified.is_damaged()
        && let Err(Refusal(code, sentence)) = again(plan, machine, &screen, verified)
    {
        // What was found is printed all the same.
        verified.failed = Some(code);
        failed = Some(sentence);
    }
    for warning in messages.take().0 {
        complain(&format!("Warning: {warning}"));
    }
    match verified {
        Ok(Some(verified)) => {
            verified.print(args.json);
            if verified.interrupted.is_some() {
                complain("The verification was interrupted.");
            }
            if let Some(sentence) = failed {
                complain(&sentence);
            }
            verified.exit_code()
        }
        Ok(None) => {
            let path = display::path(&plan.destination);
            // A closed output must not change the exit code.
            let _ = writeln!(std::io::stdout(), "{path} is missing, and skipped.");
            ExitCode::SUCCESS
        }
        Err(Refusal(code, sentence)) => {
            complain(&sentence);
            code
        }
    }
}

/// Both ends, and what belongs to the clone.
struct Ground {
    ends: Endpoints,
    completed: Completed,
    rules: Rules,
    survey: Survey,
    /// When the clone's top was modified, in seconds and nanoseconds since 1970.
    top: (i64, i64),
}

impl Ground {
    fn clone_of_it(&self) -> CloneOf<'_> {
        CloneOf {
            ends: &self.ends,
            rules: &self.rules,
            content: self.survey.census.content,
            started: self.completed.started,
        }
    }
}

/// Claims both ends as a clone does; `None` if the destination is missing, and may be.
fn prepare(run: &Run<'_>, screen: &Screen) -> Result<Option<Ground>, Refusal> {
    choose::rights(run)?;
    let ends = match endpoints::claim(run) {
        Err(failure) if run.plan.skip_if_missing && failure.means_missing() => return Ok(None),
        ends => ends?,
    };
    let dir = &ends.destination.dir;
    let completed = Completed::read(run, dir)?;
    let lost = |error: io::Error| Failure::DestinationUnusable {
        path: run.plan.destination.clone(),
        why: error.into(),
    };
    let top = dir.metadata().map(|top| (top.mtime(), top.mtime_nsec())).map_err(lost)?;
    let mut rules = exclusions::gather(run, &ends)?;
    bootable::prepare(run, &ends, &mut rules)?;
    let survey = {
        let _busy = screen.busy("Surveying");
        survey::look(run, &ends, &mut rules, None)?
    };
    Ok(Some(Ground { ends, completed, rules, survey, top }))
}

/// Compares both ends; `None` if the destination is missing, and may be.
fn verify(
    args: &VerifyArgs,
    plan: &Plan,
    machine: Machine<'_>,
    screen: &Screen,
) -> Result<Option<Verified>, Refusal> {
    let mount = endpoints::named::mount(plan, machine, Mode::Verify);
    let run = Run::new(plan, machine, Mode::Verify, mount.whereabouts());
    mount.log(&run);
    let Some(ground) = prepare(&run, screen)? else { return Ok(None) };
    let kept = Kept::of(&run, &ground.ends)?;
    if !ground.survey.is_exact {
        warning("an exclusion cannot be applied exactly: what it excludes may be called missing.");
    }
    let findings = compare(&run, &ground.clone_of_it(), kept, Chosen::of_today(args.sample), screen)?;
    let Ground { ends, completed, top, .. } = &ground;
    let dir = &ends.destination.dir;
    let interrupted = machine.interrupts.received();
    if interrupted.is_none() && !completed.stands(dir, &plan.prefix) {
        return Err(begun_meanwhile(plan));
    }
    if interrupted.is_none() {
        let extent = if args.sample.is_some() { Extent::Some } else { Extent::All };
        remember::save(&run, dir, extent, findings.counts());
    }
    Ok(Some(Verified {
        against: Against::Source(display::path(ends.source.dir.path()).to_string()),
        destination: display::path(dir.shown()).to_string(),
        started: completed.started,
        basis: Some(Basis { mark: completed.mark, kept, top: *top }),
        sample: args.sample,
        findings,
        repaired: None,
        failed: None,
        took: run.began.elapsed(),
        interrupted,
    }))
}

/// Repairs what is damaged, and compares it once more.
fn again(plan: &Plan, machine: Machine<'_>, screen: &Screen, verified: &mut Verified) -> Result<(), Refusal> {
    let began = Instant::now();
    let mount = endpoints::named::mount(plan, machine, Mode::Clone);
    let run = Run::new(plan, machine, Mode::Clone, mount.whereabouts());
    mount.log(&run);
    let rsync = preflight::rsync(&run)?;
    let Some(ground) = prepare(&run, screen)? else { return Err(run.why_not_mounted().into()) };
    let Ground { ends, completed, rules, survey, .. } = &ground;
    let Some(basis) = verified.basis.filter(|basis| completed.mark == basis.mark) else {
        return Err(begun_meanwhile(plan));
    };
    let left_out = survey::left_out(&run, ends, rules);
    let damages = &verified.findings.damages;
    let paths = {
        let _busy = screen.busy("Repairing");
        repair::repair(&Repair {
            run: &run,
            rsync: &rsync,
            ends,
            rules,
            left_out: &left_out,
            survey,
            damages,
            top: basis.top,
        })?
    };
    let findings = compare(&run, &ground.clone_of_it(), basis.kept, Chosen::Paths(paths), screen)?;
    verified.took += began.elapsed();
    verified.interrupted = machine.interrupts.received();
    if verified.interrupted.is_none() {
        // Everything was read before the repair, and what was damaged once more.
        let extent = if verified.sample.is_some() { Extent::Some } else { Extent::All };
        let left = findings.damaged;
        remember::save(
            &run,
            &ends.destination.dir,
            extent,
            Counts { damaged: left, ..verified.findings.counts() },
        );
    }
    // What was not looked at is not known to be repaired.
    verified.repaired = Some(findings).filter(|_| verified.interrupted.is_none());
    Ok(())
}
