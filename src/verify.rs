//! `counterpart verify`: reads a clone again and compares it with its source, changing neither unless it is to be repaired.
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
mod repair;
mod report;
mod sample;
mod verifier;

use std::io;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

use chrono::Utc;

use crate::cli::verify::VerifyArgs;
use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::failure::refusal::Refusal;
use crate::fs::dir::Dir;
use crate::host::machine::Machine;
use crate::job::{Work, each};
use crate::logging::kept::Kept as KeptLog;
use crate::logging::shown::{Shown, Verbosity};
use crate::logging::{Screen, complain, warning};
use crate::phases::endpoints::Endpoints;
use crate::phases::survey::found::Survey;
use crate::phases::transfer::meter::Meter;
use crate::phases::{bootable, endpoints, exclusions, preflight, survey};
use crate::plan::Plan;
use crate::rsync::filter::matcher::{LeftOut, Place};
use crate::rsync::filter::rules::Rules;
use crate::run::{Mode, Run};
use crate::tree::pair::{Here, Unreadable, walk};
use crate::tree::sides::{Side, Sides};
use crate::volume::kind::Kind;
use completed::Completed;
use finding::Findings;
use kept::Kept;
use links::Links;
use repair::Repair;
use report::Verified;
use sample::{Chosen, Sample};
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
    let messages = KeptLog::start();
    let screen = Screen::new(Shown::choose(Verbosity::Normal, plan.colour, true));
    let mut verified = verify(args, plan, machine, &screen);
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
    let today = u64::try_from(Utc::now().timestamp() / DAY).unwrap_or(0);
    let chosen = args.sample.map_or(Chosen::All, |share| Chosen::Sample(Sample::new(share, today)));
    let findings = compare(&run, &ground, kept, chosen, screen)?;
    let Ground { ends, completed, top, .. } = &ground;
    let dir = &ends.destination.dir;
    let interrupted = machine.interrupts.received();
    if interrupted.is_none() && !completed.stands(dir, &plan.prefix) {
        return Err(begun_meanwhile(plan));
    }
    Ok(Some(Verified {
        source: display::path(ends.source.dir.path()).to_string(),
        destination: display::path(dir.shown()).to_string(),
        started: completed.started,
        mark: completed.mark,
        kept,
        top: *top,
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
    if completed.mark != verified.mark {
        return Err(begun_meanwhile(plan));
    }
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
            top: verified.top,
        })?
    };
    let findings = compare(&run, &ground, verified.kept, Chosen::Paths(paths), screen)?;
    verified.took += began.elapsed();
    verified.interrupted = machine.interrupts.received();
    // What was not looked at is not known to be repaired.
    verified.repaired = Some(findings).filter(|_| verified.interrupted.is_none());
    Ok(())
}

fn begun_meanwhile(plan: &Plan) -> Refusal {
    Refusal(
        ExitCode::LOCKED,
        format!(
            "A clone to {} was begun meanwhile, so that nothing is known of what was read. Verify it afterwards.",
            display::path(&plan.destination)
        ),
    )
}

/// Compares both ends, and the contents of the files that are chosen.
fn compare(
    run: &Run<'_>,
    ground: &Ground,
    kept: Kept,
    chosen: Chosen,
    screen: &Screen,
) -> Result<Findings, Failure> {
    let Ground { ends, completed, rules, survey, .. } = ground;
    let all = chosen.of(survey.census.content);
    // Of a few files nobody waits for the end.
    let watched = Some(screen.clone()).filter(|screen| screen.draws() && all.is_some());
    let meter = Meter::new(watched, all.unwrap_or(0));
    let left_out = survey::left_out(run, ends, rules);
    let mut sources = ends.source.filesystems.iter().map(|it| &it.dir).chain([&ends.source.dir]);
    let verifier = Verifier {
        ends,
        left_out: &left_out,
        interrupts: run.machine.interrupts,
        meter: &meter,
        kept,
        started: completed.started,
        stamps_changes: sources.all(|dir| Kind::of(dir).is_ok_and(Kind::stamps_changes)),
        chosen,
        links: Links::default(),
    };
    let findings = findings(run, ends, &left_out, &verifier);
    meter.clear();
    findings
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
    let open = |dir: &Dir| dir.as_fd().try_clone_to_owned();
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
