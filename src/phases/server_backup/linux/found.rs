//! What the search for servers has in common.

use crate::display;
use crate::failure::Failure;
use crate::fs::trusted;
use crate::run::Run;
use std::path::Path;

/// What the table of processes or of sockets does not tell.
pub fn unknown(error: &std::io::Error) -> Failure {
    Failure::BackupUnsupported {
        why: format!("/proc does not tell what runs here: {}", display::reason(error)).into(),
    }
}

/// Whether this is a program that only root can have put there.
pub fn is_program(path: &Path) -> bool {
    trusted::find(path, 0).is_ok_and(|found| found.is_program())
}

/// A signal that reached us has also ended the dumper, and is the reason to tell.
pub fn unless_interrupted<T>(
    run: &Run<'_>,
    result: Result<T, String>,
    failure: impl FnOnce(String) -> Failure,
) -> Result<T, Failure> {
    run.go_on()?;
    result.map_err(failure)
}
