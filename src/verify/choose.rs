//! Which clones are verified: the one that was named, or those of a job.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;

use crate::cli;
use crate::cli::job::JobClones;
use crate::cli::verify::VerifyArgs;
use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::host::Host;
use crate::host::machine::Machine;
use crate::job::{Work, examine};
use crate::phases::endpoints;
use crate::phases::preflight;
use crate::plan::Plan;
use crate::plan::schedule::Name;
use crate::run::{Mode, Run};
use crate::state::Store;

/// What is to be verified.
pub fn work(args: &VerifyArgs, machine: Machine<'_>) -> Result<Work, Refusal> {
    if let Some(name) = &args.job {
        return of_job(args, name, machine.host);
    }
    // One that was given comes first.
    let source = match (args.has_source(), args.alone) {
        (true, _) => OsString::new(),
        // It does not matter.
        (false, true) => OsString::from("/"),
        (false, false) => remembered(args, machine)?,
    };
    clone_of(args, &source).map(|plan| Work::Here(Box::new(plan)))
}

/// As for the clone: one that is made without root is verified without.
pub fn rights(run: &Run<'_>) -> Result<(), Refusal> {
    preflight::rights(run).map_err(|failure| {
        let why = "verify must be run as root: it reads everybody's files. Use sudo.";
        Refusal(failure.exit_code(), why.to_owned())
    })
}

fn clone_of(args: &VerifyArgs, source: &OsStr) -> Result<Plan, Refusal> {
    cli::clone_from(args.clone_words(source).into_iter()).map_err(|why| Refusal(ExitCode::USAGE, why))
}

/// The source of the clone, as this machine remembers it.
fn remembered(args: &VerifyArgs, machine: Machine<'_>) -> Result<OsString, Refusal> {
    // Of this clone only the destination counts.
    let plan = clone_of(args, OsStr::new("/"))?;
    let mount = endpoints::named::mount(&plan, machine, Mode::Verify);
    let run = Run::new(&plan, machine, Mode::Verify, mount.whereabouts());
    rights(&run)?;
    // It may be known by its filesystem.
    endpoints::destination(&run)?;
    let shown = display::path(&plan.destination);
    let known = Store::new(&machine.host.state_dir).load(run.location(), &plan.prefix).map_err(|error| {
        let why = display::reason(&error);
        Refusal::new(format!("What this machine remembers of {shown} cannot be read: {why}."))
    })?;
    let source = known.and_then(|mut state| {
        let last = state.disks.pop().map(|disk| disk.source);
        state.last_success.map(|record| record.source).or(last)
    });
    match source {
        Some(source) => Ok(OsString::from_vec(display::unescape(source.as_bytes()))),
        None => Err(Refusal(
            ExitCode::USAGE,
            format!(
                "This machine remembers no clone in {shown}: name the directory that it was made of with -s."
            ),
        )),
    }
}

fn of_job(args: &VerifyArgs, name: &Name, host: &Host) -> Result<Work, Refusal> {
    let clones = JobClones { name: name.clone(), only: args.only.clone(), json: args.json };
    let share = args.sample.map(|share| format!("--sample={}.{:03}%", share.0 / 1000, share.0 % 1000));
    let repair = args.repair.then(|| "--repair".to_owned());
    let alone = args.alone.then(|| "--alone".to_owned());
    let more: Vec<OsString> = share.into_iter().chain(repair).chain(alone).map(OsString::from).collect();
    examine::work("verify", &clones, &more, host)
}
