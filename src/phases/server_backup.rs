//! Backup of directory and database servers: copied file by file while they run they would not be consistent, so they
//! are dumped into a folder that the clone picks up.

pub mod dump;
pub mod linux;
pub mod macos;
pub mod parallel_bzip2;

use log::info;

use super::Run;
use crate::failure::Failure;
use crate::host::folder::Folder;
use crate::host::platform::Platform;
use crate::secret::Secret;
use crate::shown;

/// Dumps everything that this machine serves, if that was asked for.
pub fn run(run: &Run<'_>, password: Option<&Secret>) -> Result<(), Failure> {
    let Some(password) = password else { return Ok(()) };
    run.go_on()?;
    let _phase = run.phase("server backup");
    match run.host.platform {
        Platform::MacOs(version) => macos::run(run, version, password),
        Platform::Linux => linux::run(run, password),
    }
}

/// The backup folder, made where it is missing: 0700 and root's, as it holds every password hash of the machine.
pub fn folder(run: &Run<'_>) -> Result<Folder, Failure> {
    let path = run.plan.backup_dir.as_deref().unwrap_or(&run.host.backup_dir);
    info!("Server backup to {}.", shown::path(path));
    let open = || {
        let folder = Folder::open_or_create(path, 0o700)?;
        folder.make_private()?;
        Ok(folder)
    };
    open().map_err(|error: std::io::Error| Failure::BackupFolder {
        path: path.to_owned(),
        why: shown::reason(&error),
    })
}
