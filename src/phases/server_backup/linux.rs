//! The server backup of a Linux server: each service is found by looking, and skipped where it is absent.

mod mysql;
mod openldap;
mod postgres;

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use log::info;

use crate::failure::Failure;
use crate::linux::sockets::{self, FIRST_ORDINARY_USER};
use crate::phases::Run;
use crate::secret::Secret;
use crate::shown;

/// What runs here and can be dumped.
pub struct Found {
    clusters: Vec<postgres::Cluster>,
    directories: Vec<openldap::Directory>,
    databases: Vec<PathBuf>,
}

/// Dumps what runs here.
pub fn run(run: &Run<'_>, password: &Secret) -> Result<(), Failure> {
    let Found { clusters, directories, databases } = find(run)?;
    let folder = super::folder(run)?;
    postgres::dump(run, &folder, &clusters)?;
    openldap::dump(run, &folder, &directories, password)?;
    mysql::dump(run, &folder, &databases)
}

/// Finds what runs here; it is an error when nothing does.
pub fn find(run: &Run<'_>) -> Result<Found, Failure> {
    let table = std::fs::read("/proc/net/unix").map_err(|error| Failure::BackupUnsupported {
        why: format!("/proc/net/unix: {}", shown::reason(&error)),
    })?;
    let sockets = sockets::listening(&table);
    let clusters = postgres::find(&sockets)?;
    let directories = openldap::find(run)?;
    let databases = mysql::find(&sockets);
    if clusters.is_empty() && directories.is_empty() && databases.is_empty() {
        return Err(Failure::BackupUnsupported {
            why: "no PostgreSQL, OpenLDAP, MariaDB or MySQL server was found on this machine".to_owned(),
        });
    }
    Ok(Found { clusters, directories, databases })
}

impl Found {
    /// What it is, as shown.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let clusters = self.clusters.iter().map(postgres::Cluster::name);
        let directories = self.directories.iter().map(openldap::Directory::name);
        let databases =
            self.databases.iter().map(|socket| format!("MariaDB or MySQL at {}", shown::path(socket)));
        clusters.chain(directories).chain(databases).collect()
    }

    /// Fails when a dumper is missing or a server does not let us in.
    pub fn check(&self, run: &Run<'_>) -> Result<(), Failure> {
        self.clusters.iter().try_for_each(|cluster| postgres::dumper(run, cluster).map(|_| ()))?;
        self.databases.iter().try_for_each(|socket| mysql::check(run, socket))
    }
}

/// The user and the group that a server's socket belongs to.
///
/// None, and a line in the log, for what is no socket of a system's user: whatever an ordinary user puts up must not
/// be able to fail or delay the backup of the machine.
fn system_owner(kind: &str, socket: &Path) -> Option<(u32, u32)> {
    let skip = |why: &str| {
        info!("{kind} at {} is skipped: {why}.", shown::path(socket));
        None
    };
    match std::fs::symlink_metadata(socket) {
        Err(error) => skip(&shown::reason(&error)),
        Ok(found) if !found.file_type().is_socket() => skip("it is no socket here"),
        Ok(found) if found.uid() >= FIRST_ORDINARY_USER => skip("it belongs to an ordinary user"),
        Ok(found) => Some((found.uid(), primary_group(found.uid()).unwrap_or(found.gid()))),
    }
}

fn primary_group(user: u32) -> Option<u32> {
    nix::unistd::User::from_uid(user.into()).ok().flatten().map(|user| user.gid.as_raw())
}

/// The longest file that is read whole, in bytes.
const SMALL: u64 = 1 << 16;

/// A signal that reached us has also ended the dumper, and is the reason to tell.
fn unless_interrupted<T>(
    run: &Run<'_>,
    result: Result<T, String>,
    failure: impl FnOnce(String) -> Failure,
) -> Result<T, Failure> {
    run.go_on()?;
    result.map_err(failure)
}
