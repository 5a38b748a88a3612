//! The run: a straight line of phases, each of which can only fail with a documented exit code.

use crate::failure::Failure;
use crate::host::machine::Machine;
use crate::outcome::Outcome;
use crate::phases::conclusion::Claim;
use crate::phases::endpoints::Endpoints;
use crate::phases::endpoints::named::Mount;
use crate::phases::preflight::Rsync;
use crate::phases::transfer::remember::Remembered;
use crate::phases::transfer::{Method, Transfer, engine, in_place};
use crate::phases::{
    awake, bootable, capacity, conclusion, endpoints, exclusions, log_header, markers, outputs, password,
    ping, preflight, safety_net, script, server_backup, snapshot, survey, test_run,
};
use crate::plan::Plan;
use crate::prove::after_clone;
use crate::run::{Mode, Run};
use crate::verify::daily;
use crate::verify::daily::Made;
use crate::verify::hashes;

/// Makes the clone that `plan` describes on `host`.
#[must_use]
pub fn run(plan: &Plan, machine: Machine<'_>) -> Outcome {
    let mode = Mode::of(plan);
    let mount = endpoints::named::mount(plan, machine, mode);
    let run = Run::new(plan, machine, mode, mount.whereabouts());
    let service = ping::Service::find(&run);
    let (claim, ended) = match claim(&run, &mount, &service) {
        Ok((rsync, mut claim)) => {
            let ended = clone(&run, &rsync, &mut claim.ends).map(|outcome| after_clone::prove(&run, outcome));
            (Some(claim), ended)
        }
        Err(failure) => (None, Err(failure)),
    };
    let outcome = ended.unwrap_or_else(|failure| conclusion::failed_or_skipped(&run, failure));
    conclusion::conclude(&run, claim, mount, &service, &outcome);
    outcome
}

/// The phases until the destination may be written to.
fn claim(run: &Run<'_>, mount: &Mount<'_>, service: &ping::Service) -> Result<(Rsync, Claim), Failure> {
    preflight::rights(run)?;
    outputs::start_log(run)?;
    service.check(run)?;
    let rsync = preflight::rsync(run)?;
    log_header::log(run, &rsync);
    mount.log(run);
    let ends = endpoints::claim(run)?;
    let announcement = ping::announce(run, service);
    Ok((rsync, Claim { ends, announcement }))
}

/// The phases from then on.
fn clone(run: &Run<'_>, rsync: &Rsync, ends: &mut Endpoints) -> Result<Outcome, Failure> {
    in_place::check(run, rsync, ends)?;
    log_header::log_what_is_left_out(run, ends);
    let mut rules = exclusions::gather(run, ends)?;
    let boot = bootable::prepare(run, ends, &mut rules)?;
    script::check(run)?;
    let password = password::resolve(run)?;
    if run.mode == Mode::TestRun {
        return test_run::list_changes(run, rsync, ends, &mut rules);
    }
    run.keep_log();
    let _awake = awake::hold(run);
    server_backup::run(run, password)?;
    script::run_pre_clone(run)?;
    let source = snapshot::take(run, ends)?;
    let (outcome, written) = source.during(ends, |ends, source| {
        let remembered = Remembered::load(run, rsync, ends, source.snapshots());
        let memory = remembered.as_ref().ok().map(|remembered| remembered.memory(None));
        let survey = survey::check(run, ends, &mut rules, memory)?;
        capacity::check(run, ends, &rules, &survey)?;
        let mut nets = safety_net::make_ready(run, &ends.destination, &survey)?;
        let reserve = markers::begin(run, ends)?;
        let (method, linked, meter) = (Method::FULL, &survey.linked, survey.meter(run));
        let transfer = Transfer { run, rsync, ends, rules: &rules, method, linked, meter: &meter };
        let cloned = engine::clone(&transfer, &survey, &remembered, &mut nets);
        let (report, ended) = cloned.or_else(|failure| source.judge(Err(failure)))?;
        let transferred = (report, source.judge(ended));
        let unbootable = bootable::make(run, ends, boot, &transferred)?;
        let (outcome, written) = markers::write(run, ends, reserve, &survey, transferred, unbootable)?;
        let made = Made { rsync, ends, rules: &rules, survey: &survey };
        let outcome = hashes::keep::keep(run, made, outcome);
        Ok((daily::verify(run, made, outcome), written))
    })?;
    script::run_post_clone(run, &outcome).map_err(|failure| written.withdraw(run, ends, failure))?;
    Ok(outcome)
}
