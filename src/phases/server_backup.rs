//! Backup of directory and database servers: copied file by file while they run they would not be consistent, so they
//! are dumped into a directory that the clone picks up.

pub mod dump;
pub mod linux;
pub mod macos;
pub mod place;
mod silence;

use crate::failure::Failure;
use crate::host::platform::Platform;
use crate::phases::server_backup::place::check_dir;
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

    /// Fails as a server backup would before the first byte is dumped: for want of a directory, of a program or of rights.
    pub fn check(&self, run: &Run<'_>) -> Result<(), Failure> {
        check_dir(run)?;
        match self {
            Self::Linux(found) => found.check(run),
            Self::MacOs(_) => Ok(()),
        }
    }
}
