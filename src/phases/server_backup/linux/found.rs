//! Helpers shared by the searches for servers.

use std::path::Path;

use crate::display;
use crate::failure::Failure;
use crate::fs::trusted;
use crate::run::Run;

/// The process or socket table could not be read.
pub fn unknown(error: &std::io::Error) -> Failure {
    Failure::BackupUnsupported {
        why: format!("/proc does not show what runs here: {}", display::reason(error)).into(),
    }
}

/// Whether this is a program that only root can have installed.
pub fn is_program(path: &Path) -> bool {
    trusted::find(path, 0).is_ok_and(|found| found.is_program())
}

/// A signal that we received has also ended the dumper, so it is the reason to report.
pub fn unless_interrupted<T>(
    run: &Run<'_>,
    result: Result<T, String>,
    failure: impl FnOnce(String) -> Failure,
) -> Result<T, Failure> {
    run.go_on()?;
    result.map_err(failure)
}
