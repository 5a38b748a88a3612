//! Backup of directory and database servers: copied file by file while they run they would not be consistent, so they
//! are dumped into a folder that the clone picks up.

pub mod dump;
pub mod linux;
pub mod macos;
mod silence;

use std::io;
use std::path::Path;

use log::info;

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Folder;
use crate::host::platform::Platform;
use crate::process::wipe_freed_memory;
use crate::run::Run;
use crate::secret::Secret;

/// Dumps everything that this machine serves, if that was asked for. Nobody needs the password after that.
pub fn run(run: &Run<'_>, password: Option<Secret>) -> Result<(), Failure> {
    let Some(password) = password else { return Ok(()) };
    run.go_on()?;
    let _phase = run.phase("server backup");
    let done = match run.host.platform {
        Platform::MacOs(version) => macos::run(run, version, &password),
        Platform::Linux => linux::run(run, &password),
    };
    drop(password);
    wipe_freed_memory(false);
    done
}

/// What a server backup would save.
pub enum Found {
    /// On Linux.
    Linux(linux::Found),
    /// On a Mac.
    MacOs(macos::Found),
}

/// Looks for it as a server backup does, and dumps nothing. What is skipped is logged.
///
/// Errors when there is nothing, or when what is there cannot be told.
pub fn find(run: &Run<'_>) -> Result<Found, Failure> {
    run.go_on()?;
    match run.host.platform {
        Platform::MacOs(version) => macos::find(run, version).map(Found::MacOs),
        Platform::Linux => linux::find(run).map(Found::Linux),
    }
}

impl Found {
    /// What it is, as shown.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Linux(found) => found.names(),
            Self::MacOs(found) => found.names(),
        }
    }

    /// Fails as a server backup would before the first byte is dumped: for want of a folder, of a program or of rights.
    pub fn check(&self, run: &Run<'_>) -> Result<(), Failure> {
        check_folder(run)?;
        match self {
            Self::Linux(found) => found.check(run),
            Self::MacOs(_) => Ok(()),
        }
    }
}

fn folder_path<'a>(run: &Run<'a>) -> &'a Path {
    run.plan.backup_dir.as_deref().unwrap_or(&run.host.backup_dir)
}

/// Checks a backup folder that is there already.
fn check_folder(run: &Run<'_>) -> Result<(), Failure> {
    let path = folder_path(run);
    // As it will be opened, but for making it.
    let opened = Folder::reach(path.parent().unwrap_or(path)).and_then(|above| match path.file_name() {
        Some(name) => above.enter(name),
        None => Ok(above),
    });
    let checked = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => opened.and_then(|folder| folder.refuse_strangers()),
    };
    checked.map_err(|error| Failure::BackupFolder { path: path.to_owned(), why: display::reason(&error) })
}

/// The backup folder, made where it is missing: 0700 and root's, as it holds every password hash of the machine.
pub fn folder(run: &Run<'_>) -> Result<Folder, Failure> {
    let path = folder_path(run);
    info!("Server backup to {}.", display::path(path));
    let open = || {
        let folder = Folder::open_or_create(path, 0o700)?;
        folder.make_private()?;
        Ok(folder)
    };
    open().map_err(|error: io::Error| Failure::BackupFolder {
        path: path.to_owned(),
        why: display::reason(&error),
    })
}
