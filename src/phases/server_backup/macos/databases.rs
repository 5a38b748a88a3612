//! The `PostgreSQL` instances of a server.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use log::info;

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::fs::trusted;
use crate::host::platform::MacOsVersion;
use crate::logging::warning;
use crate::phases::server_backup::dump::{DumpFile, Encoding, run_dumper};
use crate::phases::server_backup::macos::tools::{ask, commit, first_words, not_written};
use crate::process::Command;
use crate::run::Run;
use crate::servers::macos_server;
use crate::servers::macos_server::{DatabaseNames, Instance, ServerTools, Service, Sign};

/// A running instance, and where to reach it.
pub(super) struct Found {
    pub(super) instance: Instance,
    /// If `None`, the dumper finds the socket by itself.
    socket: Option<Socket>,
}

struct Socket {
    dir: PathBuf,
    port: u16,
}

/// Finds the running instances.
pub(super) fn find_instances(
    run: &Run<'_>,
    version: MacOsVersion,
    tools: &ServerTools,
) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for instance in macos_server::instances(version) {
        run.go_on()?;
        let one = find_instance(run, tools, instance).map_err(|why| Failure::DatabaseNotDumped {
            server: instance.name.to_owned(),
            why: why.into(),
        })?;
        found.extend(one);
    }
    Ok(found)
}

fn find_instance(run: &Run<'_>, tools: &ServerTools, instance: Instance) -> Result<Option<Found>, String> {
    let below = |dir: &str| run.machine.host.tools.system_root.join(dir);
    match instance.sign {
        Sign::Service(service) => {
            Ok(is_running(run, tools, instance, service)?.then_some(Found { instance, socket: None }))
        }
        Sign::Socket(dir) => {
            let dir = below(dir);
            let socket = find_socket(run, instance, &dir)?;
            if socket.is_none() {
                info!("{} has no socket in {}, so it is not dumped.", instance.name, display::path(&dir));
            }
            Ok(socket.map(|socket| Found { instance, socket: Some(socket) }))
        }
        Sign::ServiceSocket { service, dir, prefix, otherwise } => {
            if !is_running(run, tools, instance, service)? {
                return Ok(None);
            }
            let dir = below(dir);
            match find_newest_socket(run, instance, &dir, prefix) {
                Some(socket) => Ok(Some(Found { instance, socket: Some(socket) })),
                None => match find_socket(run, instance, &dir.join(otherwise))? {
                    Some(socket) => Ok(Some(Found { instance, socket: Some(socket) })),
                    None => Err(format!(
                        "the service {service} is running, but there is no socket below {}",
                        display::path(&dir)
                    )),
                },
            }
        }
    }
}

/// Whether a service is running. An unreadable answer is an error: it must not cause a database to be left out.
fn is_running(run: &Run<'_>, tools: &ServerTools, instance: Instance, service: &str) -> Result<bool, String> {
    let answer = ask(run, tools, ["status", service])?;
    match macos_server::read_status(&answer.out, service) {
        Service::Running => return Ok(true),
        Service::Resting(state) => info!(
            "{} is not dumped: the service {service} is {}.",
            instance.name,
            display::line(state.as_bytes())
        ),
        Service::Gone => info!("{} is not dumped: this server has no service {service}.", instance.name),
        Service::Unknown(Some(error)) => {
            return Err(format!("serveradmin status {service}: {}", display::line(error.as_bytes())));
        }
        Service::Unknown(None) => {
            return Err(format!(
                "whether {service} is running cannot be determined ({})",
                first_words(&answer)
            ));
        }
    }
    Ok(false)
}

/// The `PostgreSQL` socket in a directory; `None` if the directory does not exist. Skips anything that somebody else
/// could have put there.
fn find_socket(run: &Run<'_>, instance: Instance, dir: &Path) -> Result<Option<Socket>, String> {
    let unreadable = |error: io::Error| format!("{}: {}", display::path(dir), display::reason(&error));
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(error)),
    };
    let (user, _) = numbers(run, instance)?;
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        let Some(port) = name.to_str().and_then(macos_server::socket_port) else { continue };
        match trusted_socket(&run.machine.host.tools.system_root, &dir.join(&name), user) {
            Ok(true) => return Ok(Some(Socket { dir: dir.to_owned(), port })),
            Ok(false) => {}
            Err(error) => {
                let path = dir.join(&name);
                let why = display::reason(&error);
                warning(format!("{}: {} is not used: {why}.", instance.name, display::path(&path)));
            }
        }
    }
    Ok(None)
}

/// Whether this is a socket that only root and the service can have created. The system's own directories are trusted:
/// on a Mac, other system accounts may write to some of them.
fn trusted_socket(root: &Path, path: &Path, user: u32) -> io::Result<bool> {
    /// `Library/Server` and `var/run`.
    const OF_THE_SYSTEM: usize = 2;
    let below = path.strip_prefix(root).map_err(io::Error::other)?;
    let base: PathBuf = below.components().take(OF_THE_SYSTEM).collect();
    let rest: PathBuf = below.components().skip(OF_THE_SYSTEM).collect();
    Ok(trusted::find_below(&root.join(base), &rest, user)?.is_socket())
}

/// The socket in the newest directory with this prefix: each start of the service creates another one.
fn find_newest_socket(run: &Run<'_>, instance: Instance, parent: &Path, prefix: &str) -> Option<Socket> {
    let mut dirs: Vec<_> = fs::read_dir(parent)
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    dirs.sort();
    // A directory of somebody else must not hide others, whether it is readable or not.
    dirs.iter().rev().find_map(|(_, dir)| match find_socket(run, instance, dir) {
        Ok(socket) => socket,
        Err(why) => {
            warning(format!("{}: {why}.", instance.name));
            None
        }
    })
}

/// The user and group id that an instance belongs to.
fn numbers(run: &Run<'_>, instance: Instance) -> Result<(u32, u32), String> {
    let user = instance.user;
    run.machine
        .host
        .user(user)
        .map_err(|error| format!("the user {user} cannot be looked up: {}", display::reason(&error)))?
        .ok_or_else(|| format!("there is no user {user}"))
}

/// Dumps every database of an instance into one file.
pub(super) fn dump_instance(
    run: &Run<'_>,
    tools: &ServerTools,
    dir: &Dir,
    found: &Found,
) -> Result<(), String> {
    let Instance { name, file, user, .. } = found.instance;
    let numbers = numbers(run, found.instance)?;
    let mut arguments = vec![OsString::from("--no-password")];
    if let Some(Socket { dir, port }) = &found.socket {
        info!("Dumping {name}, as {user}, from {}.", display::path(dir));
        arguments.extend(["-h".into(), dir.into(), "-p".into(), port.to_string().into()]);
    } else {
        info!("Dumping {name}, as {user}.");
    }
    let mut command = Command::tool(&tools.pg_dumpall, arguments);
    command.user = Some(numbers);
    // libpq asks the kernel who is listening, and talks to nobody else.
    if found.socket.is_some() {
        command.environment.push(("PGREQUIREPEER".into(), user.into()));
    }
    let mut dump =
        DumpFile::create(dir, file, Encoding::Bzip2).map_err(|error| not_written(dir, file, &error))?;
    let mut names = DatabaseNames::default();
    let tail = run_dumper(run, command, is_notice, &mut |bytes| {
        names.push(bytes);
        dump.write_all(bytes)
    })?;
    if !String::from_utf8_lossy(&tail).contains(macos_server::DUMP_END) {
        return Err(format!(
            "the dump does not end with \"{}\", so it is incomplete",
            macos_server::DUMP_END
        ));
    }
    commit(dir, file, dump)?;
    for database in names.found() {
        info!("{name}: the database {} is in {file}.", display::line(database.as_bytes()));
    }
    Ok(())
}

/// Whether this is a `PostgreSQL` notice, which is neither a warning nor an error.
fn is_notice(line: &[u8]) -> bool {
    String::from_utf8_lossy(line).contains("NOTICE:")
}
