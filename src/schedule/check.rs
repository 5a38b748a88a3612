//! Checks a clone's arguments as the clone will, to find now what would make every scheduled run fail.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::host::machine::Machine;
use crate::phases::endpoints::identity;
use crate::phases::survey::adoption;
use crate::phases::{endpoints, exclusions, password, ping, preflight, script};
use crate::plan::schedule::Job;
use crate::plan::{Ping, Plan};
use crate::process::tool_environment;
use crate::run::{Mode, Run};
use crate::volume::mount_point::mount_point;

/// Fails as the clone would; returns other problems as warnings. Changes nothing.
pub fn check(plan: &Plan, machine: Machine<'_>) -> Result<Vec<String>, Failure> {
    let mut host = machine.host.clone();
    // Use the job's PATH, not that of the installing user.
    if let Some((_, path)) = tool_environment().into_iter().find(|(name, _)| name == "PATH") {
        host.search_path = path;
    }
    // A test run takes no lock and probes nothing at the destination.
    let machine = Machine { host: &host, ..machine };
    let mount = endpoints::named::mount(plan, machine, Mode::TestRun);
    let run = Run::new(plan, machine, Mode::TestRun, mount.whereabouts());
    preflight::rsync(&run)?;
    let mut warnings = Vec::new();
    let is_missing = match &plan.named {
        Some(_) if run.place().is_none() => {
            let why = run.why_not_mounted();
            if !matches!(why, Failure::DestinationMissing { .. }) {
                return Err(why);
            }
            true
        }
        Some(_) => false,
        None => is_missing(&plan.destination),
    };
    if is_missing {
        endpoints::check_source(&run)?;
        if !plan.skip_if_missing {
            warnings.push(format!(
                "the destination {} is not there now. As long as it is missing, the job fails.",
                display::path(&plan.destination)
            ));
        }
    } else {
        let ends = endpoints::claim(&run)?;
        // A test run only warns about it.
        let strict = Run::new(plan, machine, Mode::Examine, mount.whereabouts());
        match identity::check(&strict, &ends.destination.dir) {
            Ok(_) => warnings.extend(of_destination(&run, &ends)?),
            Err(refusal) if plan.skip_if_missing && refusal.means_missing() => {}
            // Disks may alternate: the one connected now need not be the one at night.
            Err(refusal) if refusal.exit_code() == ExitCode::CHANGED_DESTINATION => {
                warnings.push(format!("a clone would be refused with 88 now. {refusal}"));
            }
            Err(failure) => return Err(failure),
        }
    }
    ping::Service::find(&run).check(&run)?;
    exclusions::check(&run)?;
    script::check(&run)?;
    password::resolve(&run)?;
    if plan.adopt {
        warnings.push(
            "--adopt in a job lets it take over whatever disk is there. Use it once, by hand, and leave it out here."
                .to_owned(),
        );
    }
    let files = [&plan.exclude_from, &plan.pre_script, &plan.post_script, &plan.on_error, &plan.rsync];
    let files = files.into_iter().flatten().map(PathBuf::as_path);
    let files = files.chain(plan.ping.as_ref().and_then(Ping::file));
    warnings.extend(files.filter_map(open_to_others));
    Ok(warnings)
}

fn is_missing(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn of_destination(run: &Run<'_>, ends: &endpoints::Endpoints) -> Result<Vec<String>, Failure> {
    let mut warnings = Vec::new();
    let path = ends.destination.dir.path();
    if run.plan.named.is_none() && mount_point(path) == Path::new("/") {
        warnings.push(format!(
            "no disk of its own is mounted at {}. If one belongs there, mount it and make the first clone by hand: \
             from then on a clone without it is refused with 88.",
            display::path(path)
        ));
    }
    // A test run has not checked this yet.
    if adoption::needs_leave(run, &ends.destination)? {
        warnings.push(format!(
            "{} holds something and has no Counterpart marker. If a clone would delete any of it, the job fails with \
             76: make the first clone by hand.",
            display::path(ends.destination.dir.shown())
        ));
    }
    Ok(warnings)
}

/// Warns about a program that others could change, because root will run it.
pub fn program(job: &Job) -> Option<String> {
    open_to_others(Path::new(&job.program))
}

fn open_to_others(file: &Path) -> Option<String> {
    let real = std::fs::canonicalize(file).ok()?;
    let changeable = real.ancestors().find(|path| {
        // In a directory like /tmp nobody can replace another's file, but the directories above it may be anyone's.
        std::fs::metadata(path).is_ok_and(|found| found.uid() != 0 || found.mode() & 0o022 != 0)
    })?;
    Some(format!(
        "{} can be changed by users other than root ({}), and the job uses it as root. Keep it where only root can \
         write.",
        display::path(&real),
        display::path(changeable)
    ))
}
