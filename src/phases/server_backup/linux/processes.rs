//! Finds the running servers by what the kernel says about each process, not by what the process says about itself.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use log::info;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, fstatat};

use crate::display;
use crate::fs::trusted;
use crate::host::Host;
use crate::linux::processes::Identity;
use crate::linux::sockets;
use crate::linux::sockets::FIRST_ORDINARY_USER;
use crate::logging::warning;
use crate::run::Run;

/// A kind of server.
#[derive(Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// The names of its programs.
    pub programs: &'static [&'static str],
    /// The accounts that it may run as, besides root.
    pub accounts: &'static [&'static str],
}

/// An account of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// The user id and its primary group id.
    pub numbers: (u32, u32),
}

impl Account {
    /// Root.
    #[must_use]
    pub fn root() -> Self {
        Self { name: "root".to_owned(), numbers: (0, 0) }
    }

    /// The account with this user id for a kind of server; root is allowed too.
    #[must_use]
    pub fn of(host: &Host, kind: &Kind, user: u32) -> Option<Self> {
        if user == 0 {
            return Some(Self::root());
        }
        Self::all(host, kind).into_iter().find(|account| account.numbers.0 == user)
    }

    /// The accounts for a kind of server that exist on this system, without root.
    #[must_use]
    pub fn all(host: &Host, kind: &Kind) -> Vec<Self> {
        let account = |name: &&str| {
            // An account that cannot be looked up runs nothing trustworthy.
            let numbers = host.user(name).ok().flatten().filter(|numbers| numbers.0 != 0)?;
            Some(Self { name: (*name).to_owned(), numbers })
        };
        kind.accounts.iter().filter_map(account).collect()
    }
}

/// A server that runs here as root or as its own account, from a program that only root can have installed.
#[derive(Debug)]
pub struct Server {
    /// Its directory in `/proc`, which stays that process's even if its id is reused.
    process: File,
    /// The process id.
    pub number: u32,
    /// The parent's process id.
    pub parent: u32,
    /// The account it runs as.
    pub account: Account,
}

/// How many skipped processes are named at most, so that starting thousands does not flood the log.
const MOST_NAMED: usize = 5;

/// Counts what is skipped, and logs the first few.
#[derive(Debug, Default)]
pub struct Skipped(usize);

impl Skipped {
    /// Adds one.
    pub fn add(&mut self, what: impl std::fmt::Display, why: impl std::fmt::Display) {
        self.0 += 1;
        if self.0 <= MOST_NAMED {
            info!("{what} is skipped: {why}.");
        }
    }

    /// Logs how many were not named.
    pub fn finish(&self, kind: &str) {
        if self.0 > MOST_NAMED {
            info!("{} more of {kind} are skipped for similar reasons.", self.0 - MOST_NAMED);
        }
    }
}

/// Why a process is not a server to be dumped.
enum Refused {
    /// It has exited, is of another kind, or is in a container with its own network.
    Elsewhere,
    /// Any user can start one like it.
    Strange(String),
    /// Only root and system accounts can start it, so it may have data to lose.
    Doubtful(String),
}

/// Finds the running servers of one kind.
pub fn find(run: &Run<'_>, kind: &Kind) -> io::Result<Vec<Server>> {
    let network = std::fs::read_link("/proc/self/ns/net")?;
    let (mut found, mut skipped) = (Vec::new(), Skipped::default());
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        let title = format!("{} (process {number})", kind.name);
        match look(run.machine.host, kind, number, &network) {
            Ok(server) => found.push(server),
            Err(Refused::Elsewhere) => {}
            Err(Refused::Strange(why)) => skipped.add(title, why),
            Err(Refused::Doubtful(why)) => warning(format!("{title} is not dumped: {why}.")),
        }
    }
    skipped.finish(kind.name);
    found.sort_by_key(|server| server.number);
    Ok(found)
}

fn look(host: &Host, kind: &Kind, number: u32, network: &Path) -> Result<Server, Refused> {
    let gone = |_| Refused::Elsewhere;
    let process = File::open(format!("/proc/{number}")).map_err(gone)?;
    let program = link(&process, "exe").map_err(gone)?;
    let is_meant = |name: &OsStr| kind.programs.iter().any(|program| name == *program);
    let (path, is_deleted) = undeleted(&program);
    if !path.file_name().is_some_and(is_meant) || link(&process, "ns/net").map_err(gone)? != network {
        return Err(Refused::Elsewhere);
    }
    // Checked first: anything prepared by an ordinary user may block forever.
    let identity = identity(&process).ok_or(Refused::Elsewhere)?;
    let user = identity
        .user()
        .ok_or_else(|| Refused::Strange("it runs with the rights of more than one user".to_owned()))?;
    let account = Account::of(host, kind, user);
    if account.is_none() && user >= FIRST_ORDINARY_USER {
        return Err(Refused::Strange(format!("it belongs to {}, an ordinary user", trusted::name_of(user))));
    }
    if is_deleted {
        let why = format!("its program {} is no longer there; restart it", display::path(&path));
        return Err(Refused::Doubtful(why));
    }
    check_program(&process, &path).map_err(Refused::Doubtful)?;
    let account = account.ok_or_else(|| {
        Refused::Doubtful(format!(
            "it runs as {}, which is not an account of {}",
            trusted::name_of(user),
            kind.name
        ))
    })?;
    let server = Server { process, number, parent: identity.parent, account };
    // It may have become another program meanwhile.
    let is_same = server.is_still(&identity) && link(&server.process, "exe").is_ok_and(|now| now == program);
    if is_same { Ok(server) } else { Err(Refused::Strange("it has become another program".to_owned())) }
}

fn link(process: &File, name: &str) -> io::Result<PathBuf> {
    Ok(readlinkat(process, name)?.into())
}

fn identity(process: &File) -> Option<Identity> {
    Identity::read(&String::from_utf8_lossy(&read(process, "status").ok()?))
}

/// The most that is read of a file in `/proc`, in bytes.
const MOST_READ: u64 = 1 << 17;

fn read(process: &File, name: &str) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let file = File::from(openat(process, name, flags, Mode::empty())?);
    let mut content = Vec::new();
    file.take(MOST_READ).read_to_end(&mut content)?;
    Ok(content)
}

/// Strips the kernel's mark of a program that was removed or replaced since it was started.
fn undeleted(program: &Path) -> (PathBuf, bool) {
    match program.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(path) => (PathBuf::from(OsString::from_vec(path.to_vec())), true),
        None => (program.to_owned(), false),
    }
}

/// Checks that the file at the program's path is the running one, and that only root can have installed it.
fn check_program(process: &File, path: &Path) -> Result<(), String> {
    let why = |why: String| format!("its program {} cannot be trusted: {why}", display::path(path));
    let found = trusted::find(path, 0).map_err(|error| why(display::reason(&error)))?;
    let running = fstatat(process, "exe", AtFlags::empty()).map_err(|error| why(error.desc().to_owned()))?;
    let is_it = found.is_program() && found.identity() == trusted::identity(&running);
    if is_it { Ok(()) } else { Err(why("what runs is another file".to_owned())) }
}

impl Server {
    /// Whether it is still the same process.
    fn is_still(&self, identity: &Identity) -> bool {
        self::identity(&self.process).is_some_and(|now| now.users == identity.users)
    }

    /// Its command line arguments, each followed by a zero byte.
    pub fn command_line(&self) -> io::Result<Vec<u8>> {
        read(&self.process, "cmdline")
    }

    /// Its working directory: the path and the open directory.
    pub fn current_directory(&self) -> io::Result<(PathBuf, File)> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok((link(&self.process, "cwd")?, File::from(openat(&self.process, "cwd", flags, Mode::empty())?)))
    }

    /// Translates a path of the process: its root may differ from ours.
    pub fn path(&self, path: &Path) -> io::Result<PathBuf> {
        let root = link(&self.process, "root")?;
        Ok(root.join(path.strip_prefix("/").unwrap_or(path)))
    }

    /// The inode numbers of its open sockets; none if it has exited.
    pub fn sockets(&self) -> io::Result<Vec<u64>> {
        match self.open_sockets() {
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_over(&error) => Ok(Vec::new()),
            found => found,
        }
    }

    fn open_sockets(&self) -> io::Result<Vec<u64>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = File::from(openat(&self.process, "fd", flags, Mode::empty())?);
        let mut entries = nix::dir::Dir::from_fd(dir.try_clone()?.into())?;
        let mut found = Vec::new();
        for entry in entries.iter() {
            // It was closed meanwhile.
            let Ok(target) = readlinkat(&dir, entry?.file_name()) else { continue };
            found.extend(sockets::inode(target.as_bytes()));
        }
        Ok(found)
    }
}

fn is_over(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::ESRCH as i32)
}
