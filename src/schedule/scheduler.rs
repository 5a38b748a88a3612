//! Access to the system's own scheduler.

use std::ffi::OsString;
use std::io::{self};
use std::path::Path;

use crate::display;
use crate::failure::refusal::Refusal;
use crate::host::TOOL_LIMIT;
use crate::host::machine::Machine;
use crate::host::platform::Platform;
use crate::process::{Captured, Command, End, capture};

/// Access to the system's own scheduler.
pub struct Scheduler<'a> {
    /// The machine we run on, and the signals that may end us.
    pub machine: Machine<'a>,
}

impl Scheduler<'_> {
    /// Runs a tool that must succeed; its output is part of the refusal.
    pub fn tool<'b>(
        &self,
        program: &Path,
        arguments: impl IntoIterator<Item = &'b str>,
    ) -> Result<String, Refusal> {
        self.succeed(&Command::tool(program, arguments))
    }

    /// The same; the tool prints times in UTC.
    pub fn tool_in_utc<'b>(
        &self,
        program: &Path,
        arguments: impl IntoIterator<Item = &'b str>,
    ) -> Result<String, Refusal> {
        let mut command = Command::tool(program, arguments);
        command.environment.push(("TZ".into(), "UTC".into()));
        self.succeed(&command)
    }

    fn succeed(&self, command: &Command) -> Result<String, Refusal> {
        let called = display::path(&command.program).to_string()
            + " "
            + &display::name(&command.arguments.join(" ".as_ref())).to_string();
        let Captured { end, out, err } = self.capture(command)?;
        if end == End::Exited(0) {
            return Ok(String::from_utf8_lossy(&out).into_owned());
        }
        let said = err.split(|byte| *byte == b'\n').chain(out.split(|byte| *byte == b'\n'));
        let words: Vec<String> = said
            .filter(|line| !line.trim_ascii().is_empty())
            .map(|line| display::line(line.trim_ascii()).to_string())
            .collect();
        let how = match end {
            End::Exited(code) => format!("ended with code {code}"),
            End::Killed(signal) => format!("was killed by signal {signal}"),
        };
        Err(Refusal::new(format!("{called} {how}: {}", words.join(" "))))
    }

    /// Runs a tool, however it ends.
    pub fn ask(&self, program: &Path, arguments: Vec<OsString>) -> Result<Captured, Refusal> {
        self.capture(&Command::tool(program, arguments))
    }

    fn capture(&self, command: &Command) -> Result<Captured, Refusal> {
        capture(command, self.machine.interrupts, TOOL_LIMIT).map_err(|error| {
            let tool = display::path(&command.program);
            Refusal::new(match self.machine.host.platform {
                Platform::Linux if error.kind() == io::ErrorKind::NotFound => {
                    format!("{tool} was not found. Scheduling needs systemd; without it use cron, as SCHEDULING.md \
                             shows.")
                }
                Platform::Linux | Platform::MacOs(_) => {
                    format!("{tool} could not be run: {}.", display::reason(&error))
                }
            })
        })
    }
}
