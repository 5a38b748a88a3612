//! `counterpart setpass`: stores the password of the server backup.

use crate::cli::SetpassArgs;
use crate::exit_code::ExitCode;
use crate::host::Host;
use crate::process::interrupts::Interrupts;

/// Does what was asked for and returns the exit code.
#[must_use]
pub fn run(args: &SetpassArgs, host: &Host, interrupts: &Interrupts) -> ExitCode {
    let _ = (args, host, interrupts);
    ExitCode::NOT_ROOT_OR_INTERNAL
}
