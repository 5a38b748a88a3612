//! The table of the system's tools: everything that only a Mac has is reached through it.

use std::path::{Path, PathBuf};

/// The absolute path of each tool.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Tells the version of macOS.
    pub sw_vers: PathBuf,
    /// Tells whether a volume ignores ownership; gone from later macOS.
    pub vsdbutil: PathBuf,
    /// Tells everything about a volume.
    pub diskutil: PathBuf,
    /// Tells the UUID of a filesystem (Linux).
    pub blkid: PathBuf,
    /// Reaches the keychains of macOS.
    pub security: PathBuf,
    /// Encrypts and decrypts systemd's credentials.
    pub systemd_creds: PathBuf,
    /// Prints the databases of `OpenLDAP`.
    pub slapcat: PathBuf,
    /// Where `slapd` keeps its configuration when it is not told otherwise, best first.
    pub slapd_configurations: Vec<PathBuf>,
    /// Below which the programs of database servers are: `bin`, `lib/postgresql/VERSION/bin`, `pgsql-VERSION/bin`.
    pub usr: PathBuf,
    /// `Server.app`'s own root, below which `usr/sbin/serveradmin` and `usr/bin/pg_dumpall` are on 10.8 and later.
    pub server_root: PathBuf,
    /// The system's root, below which both are on 10.7, and below which the services keep their sockets.
    pub system_root: PathBuf,
}

impl Tools {
    /// Where macOS keeps them.
    #[must_use]
    pub fn native() -> Self {
        Self {
            sw_vers: "/usr/bin/sw_vers".into(),
            vsdbutil: "/usr/sbin/vsdbutil".into(),
            diskutil: "/usr/sbin/diskutil".into(),
            blkid: first_of("/usr/sbin/blkid", "/sbin/blkid"),
            security: "/usr/bin/security".into(),
            systemd_creds: "/usr/bin/systemd-creds".into(),
            slapcat: "/usr/sbin/slapcat".into(),
            slapd_configurations: [
                "/etc/ldap/slapd.d",
                "/etc/openldap/slapd.d",
                "/etc/ldap/slapd.conf",
                "/etc/openldap/slapd.conf",
            ]
            .map(PathBuf::from)
            .into(),
            usr: "/usr".into(),
            server_root: "/Applications/Server.app/Contents/ServerRoot".into(),
            system_root: "/".into(),
        }
    }
}

/// The first, unless only the second is there.
fn first_of(first: &str, second: &str) -> PathBuf {
    let is_second = !Path::new(first).exists() && Path::new(second).exists();
    PathBuf::from(if is_second { second } else { first })
}
