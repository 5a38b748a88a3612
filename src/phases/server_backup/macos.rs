//! The server backup of macOS Server.

use crate::failure::Failure;
use crate::host::platform::MacOsVersion;
use crate::phases::Run;
use crate::secret::Secret;

/// Archives the directory, dumps the databases and the settings.
pub fn run(run: &Run<'_>, version: MacOsVersion, password: &Secret) -> Result<(), Failure> {
    let _ = (run, version, password);
    Err(Failure::BackupUnsupported { why: "not written yet".into() })
}
