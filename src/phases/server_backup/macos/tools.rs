//! Runs the tools of macOS Server.

use std::io::{self};
use std::path::Path;
use std::time::Duration;

use log::info;

use crate::display;
use crate::fs::dir::Dir;
use crate::phases::server_backup::dump::DumpFile;
use crate::process::{Captured, Command, End, capture};
use crate::run::Run;
use crate::servers::macos_server::ServerTools;

pub fn ask(run: &Run<'_>, tools: &ServerTools, arguments: [&str; 2]) -> Result<Captured, String> {
    let command = Command::tool(&tools.serveradmin, arguments);
    capture(&command, run.machine.interrupts, ANSWER_LIMIT)
        .map_err(|error| not_run(&tools.serveradmin, &error))
}

pub fn not_run(program: &Path, error: &io::Error) -> String {
    format!("{} could not be run: {}", display::path(program), display::reason(error))
}

/// The first words of an unparsable answer.
pub fn first_words(answer: &Captured) -> String {
    let lines = answer.err.split(|byte| *byte == b'\n').chain(answer.out.split(|byte| *byte == b'\n'));
    let words = lines.map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
    let end = match answer.end {
        End::Exited(code) => format!("serveradmin ended with code {code}"),
        End::Killed(signal) => format!("serveradmin was killed by signal {signal}"),
    };
    words.map_or_else(|| end.clone(), |words| format!("{end}: {}", display::line(words)))
}

pub fn not_written(dir: &Dir, name: &str, error: &io::Error) -> String {
    format!("{} could not be written: {}", display::path(&dir.path().join(name)), display::reason(error))
}

pub fn commit(dir: &Dir, name: &str, dump: DumpFile<'_>) -> Result<(), String> {
    dump.commit().map_err(|error| not_written(dir, name, &error))?;
    info!("Dumped to {}.", display::path(&dir.path().join(name)));
    Ok(())
}

/// How long `serveradmin` may take to answer; it may have to start its own server first.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(300);
