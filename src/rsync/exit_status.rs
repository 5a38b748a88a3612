//! rsync's exit codes, the same from 3.0.9 to 3.5.1.

use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::process::End;

/// The failure for this end of rsync if nothing more specific is known.
#[must_use]
pub fn of_rsync(end: End) -> Failure {
    match end {
        End::Killed(signal) => Failure::RsyncKilled { signal },
        End::Exited(code) => {
            let meaning = meaning(code);
            ExitCode::from_rsync(code)
                .map_or(Failure::RsyncUnusable { code, meaning }, |code| Failure::Rsync { code, meaning })
        }
    }
}

/// rsync's own description of a code.
#[must_use]
pub fn meaning(code: i32) -> &'static str {
    match code {
        0 => "success",
        1 => "syntax or usage error",
        2 => "protocol incompatibility",
        3 => "errors selecting input or output files and directories",
        4 => "requested action not supported",
        5 => "error starting the client-server protocol",
        10 => "error in socket input or output",
        11 => "error in file input or output",
        12 => "error in the protocol's data stream",
        13 => "errors with program diagnostics",
        14 => "error in inter-process communication",
        15 => "a sibling process crashed",
        16 => "a sibling process ended abnormally",
        19 => "received SIGUSR1",
        20 => "received SIGINT, SIGTERM or SIGHUP",
        21 => "waitpid failed",
        22 => "out of memory",
        23 => "some files or attributes were not transferred",
        24 => "some files vanished from the source before they could be transferred",
        25 => "the limit of deletions stopped further deletions",
        30 => "time-out in sending or receiving data",
        35 => "time-out in waiting for a daemon's connection",
        124..=127 => "remote shell failed",
        _ => "a code that rsync does not document",
    }
}

/// Whether the cause of a code may be transient: the data stream broke off, or something timed out.
#[must_use]
pub fn may_pass(code: i32) -> bool {
    matches!(code, 10 | 12 | 30 | 35)
}

/// Whether rsync may have printed useful statistics.
#[must_use]
pub fn keeps_statistics(code: i32) -> bool {
    matches!(code, 0 | 11 | 12 | 23 | 24 | 30)
}
