//! Runs the transfer and determines its verdict, again after a pause if the cause may be temporary.

use log::info;

use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::outcome::Completion;
use crate::phases::preflight;
use crate::phases::preflight::Rsync;
use crate::phases::safety_net;
use crate::phases::safety_net::Nets;
use crate::phases::survey::locked;
use crate::phases::transfer::Transfer;
use crate::phases::transfer::rsync::Report;
use crate::phases::transfer::second_look;
use crate::phases::transfer::verdict;
use crate::phases::transfer::verdict::Ended;
use crate::process::End;
use crate::record;
use crate::record::Lines;
use crate::rsync::exit_status;
use crate::run::Run;

/// Makes the clone, with as many retries as the plan allows; one extra, immediate, if a hard-linked file vanished, as
/// its remaining names complete the clone; and others if safety nets are removed to make room.
pub fn clone(transfer: &Transfer<'_>, nets: &mut Nets) -> Result<Ended, Failure> {
    let Transfer { run, rsync, ends, rules, .. } = *transfer;
    let mut left = run.plan.retries;
    let (mut attempt, mut starts, mut is_free) = (0, 0, true);
    let named = |failure| safety_net::named_in(run, &ends.destination, failure);
    loop {
        let tried = second_look::clone(transfer, nets).map(|report| {
            starts += report.starts;
            note(run, rsync, &report, starts);
            let ending = verdict::check(run, ends, &report);
            (report, ending)
        });
        let is_full = |failure: &Failure| matches!(failure, Failure::DestinationFull { .. });
        if tried.as_ref().map_or_else(is_full, |(_, ending)| ending.as_ref().is_err_and(is_full))
            && safety_net::give_up(run, &ends.destination, nets)
        {
            info!("Retrying with the space that this has freed.");
            continue;
        }
        let (report, ending) = tried.map_err(named)?;
        attempt += 1;
        if is_free && matches!(ending, Err(Failure::LinkedVanished { .. })) {
            is_free = false;
            info!("A hard-linked file vanished during the copy: retrying with its remaining names.");
            continue;
        }
        let Some(why) = passing_cause(&report, &ending).filter(|_| left > 0) else {
            let ending = ending.and_then(|completion| locked::check(run, rules, completion));
            return Ok((report, ending.map_err(named)));
        };
        wait(run, why, attempt, attempt + left)?;
        left -= 1;
    }
}

/// Why another attempt may help: the cause is neither the disk, nor rights, nor the choice of options.
fn passing_cause(report: &Report, ending: &Result<Completion, Failure>) -> Option<&'static str> {
    let code = match report.end {
        End::Exited(code) => code,
        End::Killed(_) => ExitCode::TIMEOUT.number().into(),
    };
    match ending {
        // A process left behind would wake up next to the new one.
        Ok(Completion::Vanished) | Err(Failure::Stalled { left_behind: false, .. }) => {
            Some(exit_status::meaning(code))
        }
        Err(Failure::LinkedVanished { .. }) => Some("a hard-linked file vanished"),
        Err(Failure::Rsync { .. }) if exit_status::may_pass(code) => Some(exit_status::meaning(code)),
        Ok(Completion::Whole) | Err(_) => None,
    }
}

fn wait(run: &Run<'_>, why: &str, attempt: u32, all: u32) -> Result<(), Failure> {
    let pause = run.plan.retry_wait;
    info!("Attempt {attempt} of {all}: {why}. The next begins in {}.", humantime::format_duration(pause));
    run.machine.interrupts.sleep(pause);
    run.go_on()?;
    info!("Attempt {} of {all} begins.", attempt + 1);
    Ok(())
}

/// The record describes the last attempt.
pub fn note(run: &Run<'_>, rsync: &Rsync, report: &Report, attempts: u32) {
    let mut failing_paths = Lines::default();
    report.diagnostics.paths.iter().cloned().for_each(|path| failing_paths.push(path));
    failing_paths.more += report.diagnostics.more();
    let (exit_code, signal) = match report.end {
        End::Exited(code) => (Some(code), None),
        End::Killed(signal) => (None, Some(signal)),
    };
    run.note(|notes| {
        notes.failing_paths = failing_paths;
        notes.statistics = report.statistics.is_complete().then_some(report.statistics);
        notes.rsync = Some(record::Rsync { attempts, exit_code, signal, ..preflight::describe(rsync) });
    });
}
