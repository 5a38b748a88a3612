//! `counterpart job init`: writes a job's file.

use std::ffi::OsString;

use crate::cli::job::Init;
use crate::cli::job_file;
use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::fs::dir::Dir;
use crate::host::Host;

/// Root alone reads it: it may hold an address that is a secret.
const MODE: u32 = 0o600;

/// Writes or prints the file, and returns what to print.
pub fn run(init: &Init, host: &Host) -> Result<String, Refusal> {
    let name = &init.name;
    let directory = &host.job_file_dir;
    let path = display::path(&directory.join(format!("{name}.toml"))).to_string();
    job_file::clones(&init.text, &[]).map_err(|wrong| Refusal(ExitCode::JOB_FILE, wrong.of(&path)))?;
    if init.print {
        return Ok(init.text.clone());
    }
    if !host.is_root() {
        return Err(Refusal::new("job init must be run as root; --print shows the file without it."));
    }
    let unusable = |error: &std::io::Error| {
        Refusal::new(format!("{path} cannot be written: {}.", display::reason(error)))
    };
    let dir = Dir::open_or_create(directory, 0o755).map_err(|error| unusable(&error))?;
    let file = OsString::from(format!("{name}.toml"));
    if dir.kind(&file).map_err(|error| unusable(&error))?.is_some() && !init.replace {
        return Err(Refusal::new(format!(
            "There is a job {name} already: {path}. Replace it with --replace."
        )));
    }
    dir.replace(&file, MODE, init.text.as_bytes()).map_err(|error| unusable(&error))?;
    // What was written is of no use if others can write beside it.
    job_file::load(name, directory, &[])?;
    Ok(format!(
        "The job {name} is written to {path}.\n\
         Try it:      sudo counterpart run {name} -t\n\
         Run it now:  sudo counterpart run {name}\n\
         Schedule it: sudo counterpart schedule install --job {name}\n"
    ))
}
