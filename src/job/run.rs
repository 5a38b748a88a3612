//! `counterpart run`: the clones of one job, or of all.

use std::ffi::OsString;

use crate::cli::job::RunArgs;
use crate::cli::job_file;
use crate::cli::job_file::{Job, JobClone};
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::host::Host;
use crate::job::Work;
use crate::job::each::{Rotation, Step, Task};
use crate::plan::schedule::Name;

/// What is to be done. Errors if a single job is wrong; with `--all` a wrong one is a step that fails.
pub fn work(args: &RunArgs, host: &Host) -> Result<Work, Refusal> {
    let once = args.once.given();
    let Some(name) = &args.name else { return all(&once, host).map(Work::Each) };
    let mut job = job_file::load(name, &host.job_file_dir, &once)?;
    if let Some(section) = &args.only {
        job = job.only(section)?;
    }
    if let [clone] = &job.clones[..] {
        return Ok(Work::Here(Box::new(clone.plan.clone())));
    }
    if args.once.adopt {
        return Err(Refusal(
            ExitCode::USAGE,
            format!("The job {name} has several destinations: say with --only which one to adopt."),
        ));
    }
    Ok(Work::Each(steps(&job, &once)))
}

fn all(once: &[&str], host: &Host) -> Result<Vec<Step>, Refusal> {
    let directory = &host.job_file_dir;
    let mut all = Vec::new();
    for name in job_file::names(directory)? {
        let label = name.as_ref().map_or_else(|_| "a file without a job's name".to_owned(), Name::to_string);
        match name.and_then(|name| job_file::load(&name, directory, once)) {
            Ok(job) => all.extend(steps(&job, once)),
            Err(refusal) => all.push(Step { label, task: Err(refusal) }),
        }
    }
    Ok(all)
}

fn steps(job: &Job, once: &[&str]) -> Vec<Step> {
    let step = |(at, clone): (usize, &JobClone)| {
        let section = clone.section.as_ref();
        let only = section.into_iter().flat_map(|section| ["--only".to_owned(), section.to_string()]);
        let once = once.iter().map(|option| format!("--{option}"));
        let words = ["run".to_owned(), job.name.to_string(), "--member".to_owned()];
        let rotation = clone.rotation.as_ref().map(|group| Rotation {
            group: (job.name.clone(), group.clone()),
            is_last: !job.clones[at + 1..].iter().any(|later| later.rotation.as_ref() == Some(group)),
        });
        let arguments = words.into_iter().chain(only).chain(once).map(OsString::from).collect();
        Step { label: label(&job.name, section), task: Ok(Task { arguments, rotation }) }
    };
    job.clones.iter().enumerate().map(step).collect()
}

/// A clone of a job, in the summary.
#[must_use]
pub fn label(job: &Name, section: Option<&Name>) -> String {
    section.map_or_else(|| job.to_string(), |section| format!("{job} {section}"))
}
