//! `PostgreSQL`: dumps every running cluster as the account it runs as.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use log::info;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::fs::trusted::Entry;
use crate::host::TOOL_LIMIT;
use crate::linux::names::{sanitised, told_apart};
use crate::logging::warning;
use crate::phases::server_backup::dump::write_compressed;
use crate::phases::server_backup::linux::found::{is_program, unknown, unless_interrupted};
use crate::phases::server_backup::linux::listening;
use crate::phases::server_backup::linux::listening::Sockets;
use crate::phases::server_backup::linux::processes;
use crate::phases::server_backup::linux::processes::{Kind, Server};
use crate::process::{Command, capture};
use crate::run::Run;
use crate::servers::postgres as known;
use crate::servers::postgres::{Databases, Version};

const KIND: Kind = Kind { name: "PostgreSQL", programs: &known::SERVERS, accounts: &known::ACCOUNTS };

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    server: Server,
    sockets: Sockets,
    data: PathBuf,
    version: Version,
}

impl Cluster {
    fn look(server: Server, sockets: Sockets) -> Result<Self, Failure> {
        let place = format!("process {}", server.number);
        let failed = |why: String| failure(&place, why);
        if let Some(why) = sockets.objection() {
            return Err(failed(why.to_owned()));
        }
        // The server's working directory is its data directory, and it refuses to start in one it does not own.
        let (data, dir) = server.current_directory().map_err(|error| {
            failed(format!("its data directory cannot be opened: {}", display::reason(&error)))
        })?;
        let text = version_text(&dir).map_err(|error| {
            failed(format!("{}/PG_VERSION cannot be read: {}", display::path(&data), display::reason(&error)))
        })?;
        let version = Version::read(&text)
            .ok_or_else(|| failed(format!("{}/PG_VERSION names no version", display::path(&data))))?;
        Ok(Self { server, sockets, data, version })
    }

    /// The name to show.
    pub fn name(&self) -> String {
        format!("PostgreSQL {} at {}", self.version, self.place())
    }

    fn place(&self) -> String {
        self.sockets.first().map(|socket| display::path(socket.path()).to_string()).unwrap_or_default()
    }

    /// The name of its dump, and the suffix if two clusters would get the same name.
    fn wanted_name(&self) -> (String, String) {
        let name = self.data.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let port = self.sockets.first().and_then(|socket| known::port(socket.name())).unwrap_or_default();
        (format!("Postgres-{}-{}", self.version, sanitised(&name)), port.to_string())
    }
}

fn version_text(dir: &File) -> io::Result<String> {
    /// A version is a few bytes long.
    const MOST: u64 = 64;
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = File::from(openat(dir, "PG_VERSION", flags, Mode::empty())?);
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn failure(place: &str, why: String) -> Failure {
    Failure::DatabaseNotDumped { server: format!("PostgreSQL at {place}"), why: why.into() }
}

/// Finds the running clusters. A cluster with several sockets is found once.
pub fn find(run: &Run<'_>) -> Result<Vec<Cluster>, Failure> {
    let is_meant = |name: &OsStr| known::port(name).is_some();
    let servers = processes::find(run, &KIND).map_err(|error| unknown(&error))?;
    let sockets = listening::find(&servers, KIND.name, is_meant).map_err(|error| unknown(&error))?;
    let numbers: Vec<u32> = servers.iter().map(|server| server.number).collect();
    let mut clusters = Vec::new();
    for (server, sockets) in servers.into_iter().zip(sockets) {
        if !sockets.is_empty() {
            clusters.push(Cluster::look(server, sockets)?);
        } else if !numbers.contains(&server.parent) {
            let number = server.number;
            warning(format!("PostgreSQL (process {number}) is not dumped: it listens on no socket."));
        }
    }
    if clusters.is_empty() {
        info!("No PostgreSQL server runs here.");
    }
    Ok(clusters)
}

/// Dumps each of them.
pub fn dump(run: &Run<'_>, dir: &Dir, clusters: &[Cluster]) -> Result<(), Failure> {
    let wanted: Vec<_> = clusters.iter().map(Cluster::wanted_name).collect();
    for (cluster, name) in clusters.iter().zip(told_apart(&wanted)) {
        run.go_on()?;
        let program = dumper(run, cluster)?;
        info!("Dumping {}.", cluster.name());
        let dumped = dump_one(run, dir, &format!("{name}.bz2"), cluster, &program);
        unless_interrupted(run, dumped, |why| failure(&cluster.place(), why))?;
    }
    Ok(())
}

fn dump_one(run: &Run<'_>, dir: &Dir, name: &str, cluster: &Cluster, program: &Path) -> Result<(), String> {
    let socket = cluster.sockets.reach(&cluster.server)?;
    let mut databases = Databases::default();
    let mut watch = |bytes: &[u8]| {
        let log_name = &mut |name: String| info!("Dumping the database {}.", display::line(name.as_bytes()));
        databases.read(bytes, log_name);
    };
    let command = command(program, cluster, socket)
        .map_err(|error| format!("the socket cannot be passed on: {}", display::reason(&error)))?;
    write_compressed(run, dir, name, command, known::is_harmless, known::ENDING, &mut watch)?.put_into_place()
}

/// The dumper runs as the cluster's account, finds the socket in the directory held open, and asks the kernel once
/// more who answers there.
fn command(program: &Path, cluster: &Cluster, socket: &Entry) -> io::Result<Command> {
    let port = known::port(socket.name()).ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::tool(program, [] as [&str; 0]);
    let dir = command.hand_over(socket.directory().try_clone()?);
    command.arguments = known::arguments(&dir, port);
    command.user = Some(cluster.server.account.numbers);
    command.environment.push(("PGREQUIREPEER".into(), cluster.server.account.name.clone().into()));
    Ok(command)
}

/// The first `pg_dumpall` that can dump this cluster: one older than the server refuses.
pub fn dumper(run: &Run<'_>, cluster: &Cluster) -> Result<PathBuf, Failure> {
    let usr = &run.machine.host.tools.usr;
    let places = known::dumpers(usr, cluster.version, &names(&usr.join("lib/postgresql")), &names(usr));
    let fits = |program: &PathBuf| {
        let mut command = Command::tool(program, ["--version"]);
        command.user = Some(cluster.server.account.numbers);
        let printed = capture(&command, run.machine.interrupts, TOOL_LIMIT).ok()?;
        Version::of_program(&String::from_utf8_lossy(&printed.out))
            .filter(|version| *version >= cluster.version)
    };
    let found = places.iter().find(|program| is_program(program) && fits(program).is_some());
    found.cloned().ok_or_else(|| {
        let searched: Vec<String> = places.iter().map(|place| display::path(place).to_string()).collect();
        Failure::PgDumpallNotFound { searched: searched.join(", ") }
    })
}

fn names(dir: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    entries.filter_map(|entry| entry.ok().map(|entry| entry.file_name())).collect()
}
