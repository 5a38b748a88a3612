//! The transfer and its verdict, again after a wait where the cause may have passed.

use log::info;

use super::endpoints::Endpoints;
use super::preflight::Rsync;
use super::transfer::{self, Report};
use super::verdict::{self, Completion};
use super::{Run, journal, locked, markers};
use crate::failure::Failure;
use crate::process::End;
use crate::record;
use crate::record::Lines;
use crate::rsync::exit_status;
use crate::rsync::rules::Rules;

/// Makes the clone, with as many more attempts as the plan allows.
pub fn clone(
    run: &Run<'_>,
    rsync: &Rsync,
    ends: &Endpoints,
    rules: &Rules,
) -> Result<(Report, Result<Completion, Failure>), Failure> {
    let _phase = run.phase("transfer");
    let mut left = run.plan.retries;
    loop {
        let report = transfer::clone(run, rsync, ends, rules)?;
        let attempt = run.plan.retries - left + 1;
        note(run, rsync, &report, attempt);
        let judgement = verdict::judge(run, ends, &report);
        let Some(why) = passing_cause(&report, &judgement).filter(|_| left > 0) else {
            let judgement = judgement.and_then(|completion| locked::judge(run, rules, completion));
            return Ok((report, judgement));
        };
        left -= 1;
        wait(run, why, attempt)?;
        // Whoever unplugged the disk meanwhile must not find it filled below its mount point.
        markers::still_in_place(run, ends)?;
    }
}

/// Why another attempt may help: what has to do with neither disk, nor with rights, nor with the choice of options.
fn passing_cause(report: &Report, judgement: &Result<Completion, Failure>) -> Option<&'static str> {
    let End::Exited(code) = report.end else { return None };
    match judgement {
        Ok(Completion::Vanished) => Some(exit_status::meaning(code)),
        Err(Failure::Rsync { .. }) if exit_status::may_pass(code) => Some(exit_status::meaning(code)),
        Ok(Completion::Whole) | Err(_) => None,
    }
}

fn wait(run: &Run<'_>, why: &str, attempt: u32) -> Result<(), Failure> {
    let pause = run.plan.retry_wait;
    info!(
        "Attempt {attempt} of {}: {why}. The next begins in {}.",
        run.plan.retries + 1,
        humantime::format_duration(pause)
    );
    run.interrupts.sleep(pause);
    run.go_on()?;
    info!("Attempt {} of {} begins.", attempt + 1, run.plan.retries + 1);
    Ok(())
}

/// The last attempt is what the record tells of.
fn note(run: &Run<'_>, rsync: &Rsync, report: &Report, attempt: u32) {
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
        notes.rsync =
            Some(record::Rsync { attempts: attempt, exit_code, signal, ..journal::describe(rsync) });
    });
}
