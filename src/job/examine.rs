//! `counterpart doctor --job`: the doctor for each clone of a job.

use std::ffi::OsString;

use crate::cli::job::DoctorJob;
use crate::cli::job_file;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::host::Host;
use crate::job::Work;
use crate::job::each::{Step, Task};
use crate::job::run::label;
use crate::plan::schedule::Name;

/// What is to be examined. Errors if the job is wrong.
pub fn work(args: &DoctorJob, host: &Host) -> Result<Work, Refusal> {
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
        let words = ["doctor", "--job", &job.name.to_string(), "--only", &section.to_string()];
        let arguments = words.map(OsString::from).into();
        Step { label: label(&job.name, Some(section)), task: Ok(Task { arguments, rotation: None }) }
    };
    Ok(Work::Each(job.clones.iter().filter_map(|clone| clone.section.as_ref()).map(step).collect()))
}
