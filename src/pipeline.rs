//! The run: one straight line of phases, each of which can fail with exactly one documented exit code.

use crate::failure::Failure;
use crate::host::Host;
use crate::outcome::Outcome;
use crate::phases::endpoints::Endpoints;
use crate::phases::{
    Run, adoption, attempts, awake, capacity, census, conclusion, endpoints, exclusions, introduction, links,
    markers, outputs, password, ping, preflight, safety_net, script, server_backup, transfer,
};
use crate::plan::Plan;
use crate::process::interrupts::Interrupts;

/// Makes the clone that `plan` describes on `host`.
#[must_use]
pub fn run(plan: &Plan, host: &Host, interrupts: &Interrupts) -> Outcome {
    let run = Run::new(plan, host, interrupts);
    let mut claimed = None;
    let outcome =
        walk(&run, &mut claimed).unwrap_or_else(|failure| conclusion::failed_or_skipped(&run, failure));
    conclusion::conclude(&run, claimed, &outcome);
    outcome
}

/// The phases in order. `claimed` is set as soon as the destination may be written.
fn walk(run: &Run<'_>, claimed: &mut Option<Endpoints>) -> Result<Outcome, Failure> {
    preflight::rights(run)?;
    outputs::start_log(run)?;
    let rsync = preflight::rsync(run)?;
    introduction::log(run, &rsync);
    let ends: &Endpoints = claimed.insert(endpoints::claim(run)?);
    ping::announce(run);
    introduction::log_what_is_left_out(run, ends);
    let mut rules = exclusions::gather(run, ends)?;
    script::check(run)?;
    let password = password::resolve(run)?;
    let survey = census::judge(run, ends, &mut rules)?;
    adoption::judge(run, &rsync, ends, &rules)?;
    capacity::judge(run, ends, &rules, &survey)?;
    if run.plan.test_run {
        drop(password);
        transfer::list_changes(run, &rsync, ends, &rules)?;
        return Ok(Outcome::TestRun);
    }
    let _awake = awake::hold(run);
    server_backup::run(run, password)?;
    script::run_pre_clone(run)?;
    let mut nets = safety_net::make_ready(run, &ends.destination, &survey.census)?;
    markers::begin(run, ends)?;
    links::part(run, ends, &rules)?;
    let (report, judgement) = attempts::clone(run, &rsync, ends, &rules, &survey.linked, &mut nets)?;
    let outcome = markers::write(run, ends, &report, judgement)?;
    script::run_post_clone(run, &outcome)?;
    Ok(outcome)
}
