//! The commands that look at the clones of a job: `doctor --job` and `verify --job`.

use std::ffi::OsString;

use crate::cli::job::JobClones;
use crate::cli::job_file;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::host::Host;
use crate::job::Work;
use crate::job::each::{Step, Task};
use crate::job::run::label;
use crate::plan::schedule::Name;

/// What `command` is to look at; for one of several clones it is started with `more` as well. Errors if the job is wrong.
pub fn work(command: &str, args: &JobClones, more: &[OsString], host: &Host) -> Result<Work, Refusal> {
    let mut job = job_file::load(&args.name, &host.job_file_dir, &[])?;
    if let Some(section) = &args.only {
        job = job.only(section)?;
    }
    if let [clone] = &job.clones[..] {
        return Ok(Work::Here(Box::new(clone.alone())));
    }
    if args.json {
        return Err(Refusal(
            ExitCode::USAGE,
            format!(
                "The job {} has several destinations: say with --only which one --json is about.",
                job.name
            ),
        ));
    }
    let step = |section: &Name| {
        let words = [command, "--job", &job.name.to_string(), "--only", &section.to_string()];
        let arguments = words.map(OsString::from).into_iter().chain(more.iter().cloned()).collect();
        Step { label: label(&job.name, Some(section)), task: Ok(Task { arguments, rotation: None }) }
    };
    Ok(Work::Each(job.clones.iter().filter_map(|clone| clone.section.as_ref()).map(step).collect()))
}
