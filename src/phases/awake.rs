//! Keeps the machine awake while the clone is made.

use std::ffi::OsString;
use std::time::Duration;

use log::info;

use crate::display;
use crate::host::platform::Platform;
use crate::process::Command;
use crate::process::background::{Background, NotReady, background};
use crate::run::Run;

/// How long the system may take to confirm it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Keeps the machine awake until dropped; `None` if the system has no way to do so.
///
/// Failing to do so is no reason to skip the clone: it is only logged.
pub fn hold(run: &Run<'_>) -> Option<Background> {
    let tools = &run.machine.host.tools;
    let (tool, mut arguments) = match run.machine.host.platform {
        // Prevents idle sleep of the system, idle sleep of disks, and sleep on mains power.
        Platform::MacOs(_) => (&tools.caffeinate, ["-i", "-m", "-s"].map(OsString::from).to_vec()),
        Platform::Linux => (
            &tools.systemd_inhibit,
            ["--what=sleep:idle", "--who=Counterpart", "--why=A clone is being made", "--mode=block"]
                .map(OsString::from)
                .to_vec(),
        ),
    };
    // Both prevent sleep while another program runs. `cat` runs until its input, which we hold open, is closed.
    arguments.push(tools.cat.clone().into());
    let name = display::path(tool);
    let why = match background(&Command::tool(tool, arguments), PATIENCE) {
        Ok(held) => {
            info!("Sleep is inhibited until the clone finishes.");
            return Some(held);
        }
        Err(NotReady::Failed(error)) => format!("{name} could not be run: {}", display::reason(&error)),
        Err(NotReady::Silent) => format!("{name} did not answer within {} seconds", PATIENCE.as_secs()),
        Err(NotReady::Ended(said)) => {
            let first = said.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
            match first {
                Some(words) => format!("{name} says: {}", display::line(words.trim_ascii())),
                None => format!("{name} ended at once"),
            }
        }
    };
    info!("Sleep is not inhibited: {why}.");
    None
}
