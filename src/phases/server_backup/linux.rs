//! The server backup on Linux: each service is detected, and skipped if absent.
//!
//! Nothing set up by an ordinary user or another service's account can pass for a server, or break or delay the backup.

mod found;
mod listening;
mod mysql;
mod openldap;
mod postgres;
mod processes;

use crate::failure::Failure;
use crate::run::Run;
use crate::secret::Secret;

/// The servers that run here and can be dumped.
pub struct Found {
    clusters: Vec<postgres::Cluster>,
    directories: Vec<openldap::Directory>,
    databases: Vec<mysql::Databases>,
}

/// Dumps what runs here.
pub fn run(run: &Run<'_>, password: &Secret) -> Result<(), Failure> {
    let Found { clusters, directories, databases } = find(run)?;
    let dir = crate::phases::server_backup::place::dir(run)?;
    postgres::dump(run, &dir, &clusters)?;
    openldap::dump(run, &dir, &directories, password)?;
    mysql::dump(run, &dir, &databases)
}

/// Finds the running servers without connecting to any; fails if there are none.
pub fn find(run: &Run<'_>) -> Result<Found, Failure> {
    let clusters = postgres::find(run)?;
    let directories = openldap::find(run)?;
    let databases = mysql::find(run)?;
    if clusters.is_empty() && directories.is_empty() && databases.is_empty() {
        return Err(Failure::BackupUnsupported {
            why: "no PostgreSQL, OpenLDAP, MariaDB or MySQL server was found on this machine"
                .to_owned()
                .into(),
        });
    }
    Ok(Found { clusters, directories, databases })
}

impl Found {
    /// The names to show.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let clusters = self.clusters.iter().map(postgres::Cluster::name);
        let directories = self.directories.iter().map(openldap::Directory::name);
        clusters.chain(directories).chain(self.databases.iter().map(mysql::Databases::name)).collect()
    }

    /// Fails if a dumper is missing. Does not check whether the servers let us in.
    pub fn check(&self, run: &Run<'_>) -> Result<(), Failure> {
        self.clusters.iter().try_for_each(|cluster| postgres::dumper(run, cluster).map(|_| ()))?;
        self.databases.iter().try_for_each(|databases| mysql::check(run, databases))
    }
}
