//! `counterpart verify`: reads a clone again and compares it with its source, changing neither.
//!
//! Both ends are claimed as for a clone, and seen through the same view; what a clone leaves out is left out here too. Each
//! pair of entries is compared in one walk, and files by their contents, the clone's from its disk. What differs is damage
//! if the source has not changed since the clone was begun.

mod choose;
mod completed;
mod contents;
mod finding;
mod kept;
mod links;
mod report;
mod sample;
mod verifier;

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::Path;

use chrono::Utc;

use crate::cli::verify::VerifyArgs;
use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::failure::refusal::Refusal;
use crate::host::machine::Machine;
use crate::job::{Work, each};
use crate::logging::kept::Kept as KeptLog;
use crate::logging::shown::{Shown, Verbosity};
use crate::logging::{Screen, complain};
use crate::phases::endpoints::Endpoints;
use crate::phases::transfer::meter::Meter;
use crate::phases::{bootable, endpoints, exclusions, preflight, survey};
use crate::plan::Plan;
use crate::rsync::filter::matcher::{LeftOut, Place};
use crate::run::{Mode, Run};
use crate::tree::pair::{Here, Unreadable, walk};
use crate::tree::sides::{Side, Sides};
use crate::volume::kind::Kind;
use completed::Completed;
use finding::Findings;
use kept::Kept;
use links::Links;
use report::Verified;
use sample::Sample;
use verifier::{Part, Verifier};

/// The seconds of a day.
const DAY: i64 = 24 * 60 * 60;

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
    let mount = endpoints::named::mount(plan, machine, Mode::Verify);
    let run = Run::new(plan, machine, Mode::Verify, mount.whereabouts());
    let messages = KeptLog::start();
    let screen = Screen::new(Shown::choose(Verbosity::Normal, plan.colour, true));
    mount.log(&run);
    let verified = verify(args, &run, &screen);
    for warning in messages.take().0 {
        complain(&format!("Warning: {warning}"));
    }
    match verified {
        Ok(Some(verified)) => {
            verified.print(args.json);
            if verified.interrupted.is_some() {
                complain("The verification was interrupted.");
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

/// Compares both ends; `None` if the destination is missing, and may be.
fn verify(args: &VerifyArgs, run: &Run<'_>, screen: &Screen) -> Result<Option<Verified>, Refusal> {
    preflight::rights(run)?;
    let ends = match endpoints::claim(run) {
        Err(failure) if run.plan.skip_if_missing && failure.means_missing() => return Ok(None),
        ends => ends?,
    };
    let dir = &ends.destination.dir;
    let completed = Completed::read(run, dir)?;
    let kept = Kept::of(run, &ends)?;
    let mut rules = exclusions::gather(run, &ends)?;
    bootable::prepare(run, &ends, &mut rules)?;
    let survey = {
        let _busy = screen.busy("Surveying");
        survey::look(run, &ends, &mut rules, None)?
    };
    if !survey.is_exact {
        crate::logging::warning(
            "an exclusion cannot be applied exactly: what it excludes may be called missing.",
        );
    }
    let sample =
        args.sample.map(|share| Sample::new(share, u64::try_from(Utc::now().timestamp() / DAY).unwrap_or(0)));
    let all = sample.map_or(survey.census.content, |sample| sample.of(survey.census.content));
    let meter = Meter::new(Some(screen.clone()).filter(Screen::draws), all);
    let left_out = survey::left_out(run, &ends, &rules);
    let sources = ends.source.filesystems.iter().map(|it| &it.dir).chain([&ends.source.dir]);
    let verifier = Verifier {
        ends: &ends,
        left_out: &left_out,
        interrupts: run.machine.interrupts,
        meter: &meter,
        kept,
        started: completed.started,
        stamps_changes: sources.into_iter().all(|dir| Kind::of(dir).is_ok_and(Kind::stamps_changes)),
        sample,
        links: Links::default(),
    };
    let findings = findings(run, &ends, &left_out, &verifier)?;
    meter.clear();
    let interrupted = run.machine.interrupts.received();
    if interrupted.is_none() && !completed.stands(dir, &run.plan.prefix) {
        return Err(Refusal(
            ExitCode::LOCKED,
            format!(
                "A clone to {} was begun meanwhile, so that nothing is known of what was read. Verify it afterwards.",
                display::path(&run.plan.destination)
            ),
        ));
    }
    Ok(Some(Verified {
        source: display::path(ends.source.dir.path()).to_string(),
        destination: display::path(dir.shown()).to_string(),
        started: completed.started,
        sample: args.sample,
        findings,
        took: run.began.elapsed(),
        interrupted,
    }))
}

/// Walks both ends.
fn findings(
    run: &Run<'_>,
    ends: &Endpoints,
    left_out: &LeftOut,
    verifier: &Verifier<'_>,
) -> Result<Findings, Failure> {
    let trees = survey::trees(ends, left_out);
    let unreadable = |Unreadable { side, error }| match side {
        Side::Source => Failure::SourceUnreadable { path: run.plan.source.clone(), why: error.into() },
        Side::Destination => {
            Failure::DestinationUnusable { path: run.plan.destination.clone(), why: error.into() }
        }
    };
    let (tops, parts) = walk(&trees, run.machine.interrupts, verifier).map_err(unreadable)?;
    let mut sum = Part::default();
    let open = |dir: &crate::fs::dir::Dir| dir.as_fd().try_clone_to_owned();
    if let (Some(source), Some(copy), Ok(here), Ok(there)) =
        (&tops.source, &tops.destination, open(&ends.source.dir), open(&ends.destination.dir))
    {
        let here = Here {
            dirs: Sides::both(&here, &there),
            path: Path::new(""),
            is_locked: false,
            is_inside_locked: false,
            devices: Sides::default(),
            points: &[],
            place: &Place::default(),
        };
        verifier.roots(&here, (source, copy), &mut sum);
    }
    let mut findings = sum.findings;
    for part in parts {
        findings.add(part.findings);
    }
    Ok(findings)
}
