//! Where the dumps are kept.

use std::io;
use std::path::Path;

use log::info;

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::run::Run;

/// The directory of the dumps.
#[must_use]
pub fn dir_path<'a>(run: &Run<'a>) -> &'a Path {
    run.plan.backup_dir.as_deref().unwrap_or(&run.machine.host.backup_dir)
}

/// Checks an existing backup directory.
pub fn check_dir(run: &Run<'_>) -> Result<(), Failure> {
    let path = dir_path(run);
    // Opened as later, but without creating it.
    let opened = Dir::reach(path.parent().unwrap_or(path)).and_then(|above| match path.file_name() {
        Some(name) => above.enter(name),
        None => Ok(above),
    });
    let checked = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => opened.and_then(|dir| dir.refuse_strangers()),
    };
    checked.map_err(|error| Failure::BackupDir { path: path.to_owned(), why: error.into() })
}

/// Opens the backup directory, creating it if missing: 0700 and root's, as it holds every password hash of the machine.
pub fn dir(run: &Run<'_>) -> Result<Dir, Failure> {
    let path = dir_path(run);
    info!("Server backup to {}.", display::path(path));
    let open = || {
        let dir = Dir::open_or_create(path, 0o700)?;
        dir.make_private()?;
        Ok(dir)
    };
    open().map_err(|error: io::Error| Failure::BackupDir { path: path.to_owned(), why: error.into() })
}
