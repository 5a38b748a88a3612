//! The paths of the system's tools: everything that only a Mac has is reached through this table.

use std::path::{Path, PathBuf};

/// The absolute path of each tool.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Reports the version of macOS.
    pub sw_vers: PathBuf,
    /// Reports whether a volume ignores ownership; removed from later macOS.
    pub vsdbutil: PathBuf,
    /// Reports everything about a volume.
    pub diskutil: PathBuf,
    /// Reports the UUID of a filesystem (Linux).
    pub blkid: PathBuf,
    /// Opens encrypted devices (Linux).
    pub cryptsetup: PathBuf,
    /// Takes snapshots of logical volumes (Linux).
    pub lvm: PathBuf,
    /// Where what works on disks is searched (Linux): sfdisk, partx, mkfs.TYPE, cryptsetup and so on.
    pub disk_tools: Vec<PathBuf>,
    /// Accesses the keychains of macOS.
    pub security: PathBuf,
    /// Encrypts and decrypts systemd's credentials.
    pub systemd_creds: PathBuf,
    /// Prevents sleep on macOS while another program runs.
    pub caffeinate: PathBuf,
    /// Prevents sleep on Linux, through logind, while another program runs.
    pub systemd_inhibit: PathBuf,
    /// Copies its input to its output.
    pub cat: PathBuf,
    /// Loads, starts and removes launchd jobs.
    pub launchctl: PathBuf,
    /// The same for systemd.
    pub systemctl: PathBuf,
    /// Prints the databases of `OpenLDAP`.
    pub slapcat: PathBuf,
    /// Default locations of slapd's configuration, best first.
    pub slapd_configurations: Vec<PathBuf>,
    /// The root of database programs: `bin`, `lib/postgresql/VERSION/bin`, `pgsql-VERSION/bin`.
    pub usr: PathBuf,
    /// `Server.app`'s root, with `usr/sbin/serveradmin` and `usr/bin/pg_dumpall` on 10.8 and later.
    pub server_root: PathBuf,
    /// The system's root, with both on 10.7, and with the sockets of the services.
    pub system_root: PathBuf,
}

impl Tools {
    /// Their paths on macOS.
    #[must_use]
    pub fn native() -> Self {
        Self {
            sw_vers: "/usr/bin/sw_vers".into(),
            vsdbutil: "/usr/sbin/vsdbutil".into(),
            diskutil: "/usr/sbin/diskutil".into(),
            blkid: first_of("/usr/sbin/blkid", "/sbin/blkid"),
            cryptsetup: first_of("/usr/sbin/cryptsetup", "/sbin/cryptsetup"),
            lvm: first_of("/usr/sbin/lvm", "/sbin/lvm"),
            disk_tools: ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from).into(),
            security: "/usr/bin/security".into(),
            systemd_creds: "/usr/bin/systemd-creds".into(),
            caffeinate: "/usr/bin/caffeinate".into(),
            systemd_inhibit: "/usr/bin/systemd-inhibit".into(),
            cat: "/bin/cat".into(),
            launchctl: "/bin/launchctl".into(),
            systemctl: "/usr/bin/systemctl".into(),
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

/// The first, unless only the second exists.
fn first_of(first: &str, second: &str) -> PathBuf {
    let is_second = !Path::new(first).exists() && Path::new(second).exists();
    PathBuf::from(if is_second { second } else { first })
}
