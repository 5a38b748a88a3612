//! The server backup of a Linux server.

use crate::failure::Failure;
use crate::phases::Run;
use crate::secret::Secret;

/// Dumps what runs here.
pub fn run(run: &Run<'_>, password: &Secret) -> Result<(), Failure> {
    let _ = (run, password);
    Err(Failure::BackupUnsupported { why: "not written yet".into() })
}
