//! The machine we run on: plain data. Only [`Host::native`] asks the compiler or the machine which system this is.

pub mod machine;
pub mod platform;
pub mod rights;
pub mod tools;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use nix::unistd::User;

use crate::process::interrupts::Interrupts;
use crate::process::{Command, capture};
use platform::{MacOsVersion, Platform, System};
use rights::Rights;
use tools::Tools;

/// The machine that a run works on.
#[derive(Debug, Clone)]
pub struct Host {
    /// The system and, on macOS, its version.
    pub platform: Platform,
    /// The paths of the system's own tools.
    pub tools: Tools,
    /// Directories to search for rsync before [`Host::search_path`].
    pub rsync_dirs: Vec<PathBuf>,
    /// `PATH`, which is searched for rsync last.
    pub search_path: OsString,
    /// The directory of scheduled jobs: launchd's daemons, systemd's units.
    pub job_dir: PathBuf,
    /// The directory of job files.
    pub job_file_dir: PathBuf,
    /// The default log directory.
    pub log_dir: PathBuf,
    /// Our lock directory.
    pub lock_dir: PathBuf,
    /// Where the state of each destination is stored.
    pub state_dir: PathBuf,
    /// The state directory of root's runs on this machine, which everyone may read.
    pub system_state_dir: PathBuf,
    /// The default directory of a server backup.
    pub backup_dir: PathBuf,
    /// The system's encrypted credential store (Linux).
    pub encrypted_credentials: PathBuf,
    /// The system's plain credential store (Linux).
    pub plain_credentials: PathBuf,
    /// Where a service manager put this job's credentials.
    pub job_credentials: Option<PathBuf>,
    /// Where disks are mounted: a directory below one of these that is not a mount point is most likely a missing disk.
    pub mount_dirs: Vec<PathBuf>,
    /// How long a dump program may print nothing before it is killed.
    pub dumper_silence: Duration,
    /// The effective user ID; 0 is root.
    pub effective_uid: u32,
    /// What this process may do.
    pub rights: Rights,
    /// The machine's name.
    pub name: String,
    /// Users by name, with user and group ID, that need not be looked up in the system.
    pub users: BTreeMap<String, (u32, u32)>,
}

/// The default for an unset `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The longest that a system tool such as `sw_vers` may take.
pub const TOOL_LIMIT: Duration = Duration::from_secs(60);

/// How long a dump program may wait for its server, for example for a lock.
pub const DUMPER_SILENCE: Duration = Duration::from_secs(30 * 60);

impl Host {
    /// The machine that this process runs on.
    ///
    /// Errors on macOS if `sw_vers` cannot report the version.
    pub fn native() -> anyhow::Result<Self> {
        let system = if cfg!(target_os = "macos") { System::MacOs } else { System::Linux };
        let effective_uid = nix::unistd::geteuid().as_raw();
        let home = absolute_dir("HOME");
        let tools = Tools::native();
        Ok(Self {
            platform: platform(system, &tools)?,
            tools,
            rsync_dirs: rsync_dirs(system),
            search_path: std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into()),
            job_dir: job_dir(system),
            job_file_dir: job_file_dir(system),
            log_dir: log_dir(system, effective_uid, home.clone()),
            lock_dir: lock_dir(system, effective_uid, home.clone()),
            state_dir: state_dir(system, effective_uid, home),
            system_state_dir: state_dir(system, 0, None),
            backup_dir: "/var/backups/counterpart".into(),
            encrypted_credentials: "/etc/credstore.encrypted".into(),
            plain_credentials: "/etc/credstore".into(),
            job_credentials: absolute_dir("CREDENTIALS_DIRECTORY"),
            mount_dirs: mount_dirs(system),
            dumper_silence: DUMPER_SILENCE,
            effective_uid,
            rights: Rights::native(system, effective_uid),
            name: name(),
            users: BTreeMap::new(),
        })
    }

    /// A user's ID and primary group ID; `None` if there is no such user.
    pub fn user(&self, name: &str) -> io::Result<Option<(u32, u32)>> {
        if let Some(numbers) = self.users.get(name) {
            return Ok(Some(*numbers));
        }
        let user = User::from_name(name)?;
        Ok(user.map(|user| (user.uid.as_raw(), user.gid.as_raw())))
    }

    /// Whether the effective user is root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.effective_uid == 0
    }
}

/// Asks `sw_vers` for the version on macOS. `SYSTEM_VERSION_COMPAT`, which makes it report 10.16, is not passed on.
pub fn platform(system: System, tools: &Tools) -> anyhow::Result<Platform> {
    match system {
        System::Linux => Ok(Platform::Linux),
        System::MacOs => {
            let tool = tools.sw_vers.display();
            let command = Command::tool(&tools.sw_vers, ["-productVersion"]);
            let printed = capture(&command, &Interrupts::default(), TOOL_LIMIT)
                .with_context(|| format!("{tool} cannot be run"))?;
            let text = String::from_utf8_lossy(&printed.out).trim().to_owned();
            let version: MacOsVersion =
                text.parse().with_context(|| format!("{tool} printed no macOS version: {text:?}"))?;
            Ok(Platform::MacOs(version))
        }
    }
}

/// Where rsync is searched before `PATH`: Homebrew on Apple silicon and on Intel, then `MacPorts`.
#[must_use]
pub fn rsync_dirs(system: System) -> Vec<PathBuf> {
    match system {
        System::MacOs => ["/opt/homebrew/bin", "/usr/local/bin", "/opt/local/bin"].map(PathBuf::from).into(),
        System::Linux => Vec::new(),
    }
}

/// Where users and desktops mount disks.
#[must_use]
pub fn mount_dirs(system: System) -> Vec<PathBuf> {
    match system {
        System::MacOs => vec!["/Volumes".into()],
        System::Linux => ["/mnt", "/media", "/run/media"].map(PathBuf::from).into(),
    }
}

/// A directory named by the environment; a relative one is ignored, as it would depend on the caller.
fn absolute_dir(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|dir| dir.is_absolute())
}

fn job_dir(system: System) -> PathBuf {
    match system {
        System::MacOs => "/Library/LaunchDaemons".into(),
        System::Linux => "/etc/systemd/system".into(),
    }
}

fn job_file_dir(system: System) -> PathBuf {
    match system {
        System::MacOs => "/Library/Application Support/Counterpart".into(),
        System::Linux => "/etc/counterpart".into(),
    }
}

fn log_dir(system: System, uid: u32, home: Option<PathBuf>) -> PathBuf {
    let home = home.unwrap_or_else(|| PathBuf::from("/"));
    match (system, uid) {
        (System::MacOs, 0) => "/Library/Logs/Counterpart".into(),
        (System::Linux, 0) => "/var/log/counterpart".into(),
        (System::MacOs, _) => home.join("Library/Logs/Counterpart"),
        (System::Linux, _) => {
            absolute_dir("XDG_STATE_HOME").unwrap_or_else(|| home.join(".local/state")).join("counterpart")
        }
    }
}

fn lock_dir(system: System, uid: u32, home: Option<PathBuf>) -> PathBuf {
    match (system, uid) {
        (System::MacOs, 0) => "/var/run/counterpart".into(),
        (System::Linux, 0) => "/run/counterpart".into(),
        _ => log_dir(system, uid, home).join("lock"),
    }
}

fn state_dir(system: System, uid: u32, home: Option<PathBuf>) -> PathBuf {
    match (system, uid) {
        (System::MacOs, 0) => "/var/db/counterpart".into(),
        (System::Linux, 0) => "/var/lib/counterpart".into(),
        _ => log_dir(system, uid, home).join("state"),
    }
}

fn name() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "unknown".to_owned(), |name| crate::display::name(&name).to_string())
}
