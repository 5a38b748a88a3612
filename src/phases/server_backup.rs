//! Backup of directory and database servers: file copies made while they run would be inconsistent, so they are dumped
//! into a directory that the clone picks up.

pub mod dump;
pub mod linux;
pub mod macos;
pub mod place;
mod silence;

use crate::failure::Failure;
use crate::host::platform::Platform;
use crate::phases::server_backup::place::check_dir;
use crate::phases::survey;
use crate::process::wipe_freed_memory;
use crate::run::Run;
use crate::secret::Secret;

/// Dumps everything this machine serves, if requested. The password is not needed after that.
pub fn run(run: &Run<'_>, password: Option<Secret>) -> Result<(), Failure> {
    survey::warn_of_short_disks(run);
    let Some(password) = password else { return Ok(()) };
    run.go_on()?;
    let _phase = run.phase("server backup");
    let done = match run.machine.host.platform {
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

/// Looks for servers like a server backup does, but dumps nothing. Logs what is skipped.
///
/// Fails if there is nothing, or if what is there cannot be determined.
pub fn find(run: &Run<'_>) -> Result<Found, Failure> {
    run.go_on()?;
    match run.machine.host.platform {
        Platform::MacOs(version) => macos::find(run, version).map(Found::MacOs),
        Platform::Linux => linux::find(run).map(Found::Linux),
    }
}

impl Found {
    /// The names to show.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Linux(found) => found.names(),
            Self::MacOs(found) => found.names(),
        }
    }

    /// Fails as a server backup would before dumping the first byte: for lack of a directory, a program or rights.
    pub fn check(&self, run: &Run<'_>) -> Result<(), Failure> {
        check_dir(run)?;
        match self {
            Self::Linux(found) => found.check(run),
            Self::MacOs(_) => Ok(()),
        }
    }
}
