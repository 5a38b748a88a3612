//! `MariaDB` and `MySQL`: every database of each server, through its socket as root.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use log::info;

use super::{system_owner, unless_interrupted};
use crate::failure::Failure;
use crate::host::TOOL_LIMIT;
use crate::host::folder::Folder;
use crate::linux::mysql::{self as known, Databases};
use crate::linux::names::{sanitised, told_apart};
use crate::phases::Run;
use crate::phases::server_backup::dump::write_compressed;
use crate::process::{Command, End, capture};
use crate::shown;

/// The servers that listen on one of these sockets.
pub fn find(sockets: &[PathBuf]) -> Vec<PathBuf> {
    let is_ours =
        |socket: &&PathBuf| known::is_socket(socket) && system_owner("MariaDB or MySQL", socket).is_some();
    let found: Vec<PathBuf> = sockets.iter().filter(is_ours).cloned().collect();
    if found.is_empty() {
        info!("No MariaDB or MySQL server runs here.");
    }
    found
}

/// Dumps each of them.
pub fn dump(run: &Run<'_>, folder: &Folder, servers: &[PathBuf]) -> Result<(), Failure> {
    let wanted: Vec<_> = servers
        .iter()
        .map(|socket| ("MySQL".to_owned(), sanitised(socket.to_string_lossy().trim_start_matches('/'))))
        .collect();
    for (socket, name) in servers.iter().zip(told_apart(&wanted)) {
        run.go_on()?;
        info!("Dumping MariaDB or MySQL at {}.", shown::path(socket));
        let dumped = dump_one(run, folder, &format!("{name}.bz2"), socket);
        unless_interrupted(run, dumped, |why| failure(socket, why))?;
    }
    Ok(())
}

/// Whether the server lets us see every database, and whether there is a program that dumps them.
pub fn check(run: &Run<'_>, socket: &Path) -> Result<(), Failure> {
    let checked = list(run, socket).and_then(|_| tool(run, &known::DUMPERS, Vec::new())).map(|_| ());
    unless_interrupted(run, checked, |why| failure(socket, why))
}

fn failure(socket: &Path, why: String) -> Failure {
    Failure::DatabaseNotDumped { server: format!("MariaDB or MySQL at {}", shown::path(socket)), why }
}

fn dump_one(run: &Run<'_>, folder: &Folder, name: &str, socket: &Path) -> Result<(), String> {
    let expected = list(run, socket)?;
    let (mut databases, mut dumped) = (Databases::default(), BTreeSet::new());
    let mut watch = |bytes: &[u8]| {
        databases.read(bytes, &mut |name| {
            info!("Dumping the database {}.", shown::line(name.as_bytes()));
            dumped.insert(name);
        });
    };
    let command = tool(run, &known::DUMPERS, known::dump_arguments(socket))?;
    let dump = write_compressed(run, folder, name, command, is_harmless, known::ENDING, &mut watch)?;
    let missing: Vec<&str> = expected.difference(&dumped).map(String::as_str).collect();
    if !missing.is_empty() {
        // One that was dropped meanwhile is not missing.
        let still_there = list(run, socket)?;
        if let Some(name) = missing.iter().find(|name| still_there.contains(**name)) {
            return Err(format!("the database {} is not in the dump", shown::line(name.as_bytes())));
        }
    }
    dump.put_into_place()
}

/// The databases that are there; one who does not see that of the accounts does not see the others either.
fn list(run: &Run<'_>, socket: &Path) -> Result<BTreeSet<String>, String> {
    let command = tool(run, &known::CLIENTS, known::list_arguments(socket))?;
    let program = shown::path(&command.program);
    let printed = capture(&command, run.interrupts, TOOL_LIMIT)
        .map_err(|error| format!("{program} could not be run: {}", shown::reason(&error)))?;
    let words = shown::line(printed.err.trim_ascii());
    if printed.end != End::Exited(0) {
        return Err(format!("{program} cannot list the databases: {words}"));
    }
    let names = known::listed(&printed.out);
    if names.contains(known::ACCOUNTS) {
        return Ok(names);
    }
    Err(format!("{program} shows no database \"{}\", so it may not see everything", known::ACCOUNTS))
}

/// A program of this server, as root with root's own option file, which is where its password would be.
fn tool(run: &Run<'_>, names: &[&str], arguments: Vec<std::ffi::OsString>) -> Result<Command, String> {
    let folder = run.host.tools.usr.join("bin");
    let program = names.iter().map(|name| folder.join(name)).find(|program| program.is_file());
    let program = program.ok_or_else(|| format!("no {} in {}", names.join(" or "), shown::path(&folder)))?;
    let mut command = Command::tool(program, arguments);
    let home = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.dir);
    command.environment.extend(home.map(|home| ("HOME".into(), home.into())));
    Ok(command)
}

/// `mysqldump: Deprecated program name` and the like say nothing about the dump.
fn is_harmless(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line).to_lowercase();
    text.trim().is_empty() || text.contains("warning") || text.contains("deprecated")
}
