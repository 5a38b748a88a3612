//! Which clones the schedules make, read from the files that they were installed with.

use std::ffi::{OsStr, OsString};

use crate::cli;
use crate::cli::job_file;
use crate::failure::refusal::Refusal;
use crate::host::machine::Machine;
use crate::host::platform::Platform;
use crate::linux::systemd;
use crate::macos::launchd;
use crate::plan::Plan;
use crate::plan::schedule::{Name, State};
use crate::schedule::files;
use crate::schedule::scheduler::Scheduler;

/// A schedule, and what it makes.
#[derive(Debug)]
pub struct Made {
    /// Its name.
    pub name: Name,
    /// The job whose clones it makes.
    pub job: Option<Name>,
    /// The clones; or why they cannot be found out, in a sentence without its full stop.
    pub clones: Result<Vec<Plan>, String>,
}

/// Every schedule, sorted by name; half of one counts as well. The system's scheduler is not asked.
pub fn all(machine: Machine<'_>) -> Result<Vec<Made>, Refusal> {
    let dir = &machine.host.job_dir;
    let is_linux = machine.host.platform == Platform::Linux;
    let mut found: Vec<(Name, OsString)> = Vec::new();
    for file in files::names(dir)? {
        let name = if is_linux {
            systemd::name_of(&file).or_else(|| systemd::name_of_service(&file))
        } else {
            launchd::name_of(&file)
        };
        let Some(name) = name.filter(|_| files::is_ours(dir, &file)) else { continue };
        let starter = if is_linux { (systemd::unit(&name) + ".service").into() } else { file };
        found.push((name, starter));
    }
    found.sort();
    found.dedup();
    Ok(found.into_iter().map(|(name, file)| made(machine, name, &file)).collect())
}

/// When a schedule makes this clone next, in seconds since 1970, and its name. What cannot be found out is left out: nobody
/// asked, and `status` says why.
#[must_use]
pub fn next_run(machine: Machine<'_>, plan: &Plan) -> Option<(i64, Name)> {
    let makes = |made: &Made| {
        made.clones.as_ref().is_ok_and(|clones| {
            clones.iter().any(|clone| clone.destination == plan.destination && clone.prefix == plan.prefix)
        })
    };
    let schedules = all(machine).ok()?.into_iter().filter(makes);
    let next = schedules.filter_map(|made| {
        let state = state(machine, &made.name).ok().filter(|state| state.loaded)?;
        Some((state.next_at?, made.name))
    });
    next.min()
}

/// How the system's scheduler has it.
pub fn state(machine: Machine<'_>, name: &Name) -> Result<State, Refusal> {
    Scheduler { machine }.state(name)
}

fn made(machine: Machine<'_>, name: Name, file: &OsStr) -> Made {
    let dir = &machine.host.job_dir;
    let read = files::find(dir, std::iter::once(file));
    let words = match read {
        Err(Refusal(_, why)) => Err(why.trim_end_matches('.').to_owned()),
        Ok(files) => match files.first() {
            None => Err(format!("{} is missing", crate::display::path(&dir.join(file)))),
            Some(file) => {
                let words = match machine.host.platform {
                    Platform::Linux => systemd::command(&String::from_utf8_lossy(&file.content)),
                    Platform::MacOs(_) => launchd::command(&file.content),
                };
                words.ok_or_else(|| "its command was changed by hand".to_owned())
            }
        },
    };
    let words = match words {
        Ok(words) => words,
        Err(why) => return Made { name, job: None, clones: Err(why) },
    };
    let job = match &words[..] {
        [_, run, job] if run == "run" => job.parse::<Name>().ok(),
        _ => None,
    };
    let clones = if let Some(job) = &job {
        job_file::load(job, &machine.host.job_file_dir, &[])
            .map(|job| job.clones.into_iter().map(|clone| clone.plan).collect())
            .map_err(|Refusal(_, why)| why.trim_end_matches('.').to_owned())
    } else {
        cli::clone_from(words.into_iter().skip(1).map(OsString::from))
            .map(|plan| vec![plan])
            .map_err(|why| format!("its command is not understood: {why}"))
    };
    Made { name, job, clones }
}
