//! The server backup of a Linux server: each service is found by looking, and skipped where it is absent.
//!
//! Whatever an ordinary user, or an account of another service, puts up can neither be taken for a server nor fail or
//! delay the backup of the machine.

mod found;
mod listening;
mod mysql;
mod openldap;
mod postgres;
mod processes;

use crate::failure::Failure;
use crate::run::Run;
use crate::secret::Secret;

/// What runs here and can be dumped.
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

/// Finds what runs here, and connects to nothing; it is an error when nothing does.
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
    /// What it is, as shown.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let clusters = self.clusters.iter().map(postgres::Cluster::name);
        let directories = self.directories.iter().map(openldap::Directory::name);
        clusters.chain(directories).chain(self.databases.iter().map(mysql::Databases::name)).collect()
    }

    /// Fails when a dumper is missing. No server is asked whether it lets us in.
    pub fn check(&self, run: &Run<'_>) -> Result<(), Failure> {
        self.clusters.iter().try_for_each(|cluster| postgres::dumper(run, cluster).map(|_| ()))?;
        self.databases.iter().try_for_each(|databases| mysql::check(run, databases))
    }
}
