//! `counterpart exclusions`: prints the built-in patterns of a clone.

use std::io::{self, Write as _};

use crate::cli::ExclusionsArgs;
use crate::exit_code::ExitCode;
use crate::host::Host;
use crate::host::platform::{Platform, System};
use crate::logging::complain;
use crate::phases::exclusions;
use crate::{display, linux, macos};

/// Prints one pattern a line and returns the exit code.
#[must_use]
pub fn run(args: &ExclusionsArgs, host: &Host) -> ExitCode {
    let system = args.system.map_or_else(|| running(host.platform), System::from);
    let is_system = match &args.source {
        None => true,
        Some(source) => match std::fs::canonicalize(source) {
            Ok(source) => match system {
                System::MacOs => macos::exclusions::is_system(&source),
                System::Linux => linux::exclusions::is_system(&source),
            },
            Err(error) => {
                let (path, why) = (display::path(source), display::reason(&error));
                complain(&format!("The source {path} cannot be read: {why}."));
                return ExitCode::SOURCE;
            }
        },
    };
    let text: String =
        exclusions::built_in(system, is_system).iter().flat_map(|pattern| [pattern, "\n"]).collect();
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("The patterns cannot be written: {}.", display::reason(&error)));
            ExitCode::NOT_ROOT_OR_INTERNAL
        }
    }
}

fn running(platform: Platform) -> System {
    match platform {
        Platform::MacOs(_) => System::MacOs,
        Platform::Linux => System::Linux,
    }
}
