//! The Open Directory archive, encrypted with the password.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use log::info;
use zeroize::Zeroizing;

use crate::display;
use crate::fs::dir::{Dir, random_hex};
use crate::logging::warning;
use crate::phases::server_backup::macos::tools::{ask, first_words, not_run};
use crate::process::{Command, End, capture};
use crate::run::Run;
use crate::secret::Secret;
use crate::servers::macos_server;
use crate::servers::macos_server::{Directory, ServerTools};

/// The time limit for archiving the directory.
const ARCHIVE_LIMIT: Duration = Duration::from_secs(2 * 60 * 60);

/// The prefix of the name of an unfinished archive.
const UNFINISHED: &str = "OpenDirectory.tmp-";

/// Archives the directory if this server is its master.
pub(super) fn archive_directory(
    run: &Run<'_>,
    tools: &ServerTools,
    dir: &Dir,
    password: &Secret,
) -> Result<(), String> {
    let answer = ask(run, tools, ["fullstatus", "dirserv"])?;
    match macos_server::read_directory(&answer.out) {
        Directory::Master => archive(run, tools, dir, password),
        Directory::Other(kind) => {
            info!(
                "The directory is not archived: this server is not a directory master ({}).",
                display::line(kind.as_bytes())
            );
            Ok(())
        }
        Directory::Gone => {
            info!("The directory is not archived: this server has no directory service.");
            Ok(())
        }
        Directory::Unknown(Some(error)) => {
            Err(format!("serveradmin fullstatus dirserv: {}", display::line(error.as_bytes())))
        }
        Directory::Unknown(None) => Err(format!(
            "this server's role in the directory cannot be determined ({})",
            first_words(&answer)
        )),
    }
}

/// Archives under a temporary name, so that the last good archive stays until there is a new one.
fn archive(run: &Run<'_>, tools: &ServerTools, dir: &Dir, password: &Secret) -> Result<(), String> {
    info!("Archiving the directory.");
    remove_left_over(dir);
    let stem = random_hex(4).map(|random| format!("{UNFINISHED}{random}"));
    let stem = stem.map_err(|error| format!("no name for the archive: {}", display::reason(&error)))?;
    let done = make_archive(run, tools, &dir.path().join(format!("{stem}.sparsebundle")), password)
        .and_then(|()| take_archive(dir, &stem));
    for name in made_names(&stem) {
        remove(dir, &name);
    }
    done
}

/// Removes unfinished archives left by killed runs; a recent one may belong to another run.
fn remove_left_over(dir: &Dir) {
    let is_old = |name: &OsStr| {
        let changed = fs::symlink_metadata(dir.path().join(name)).and_then(|found| found.modified());
        changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > 2 * ARCHIVE_LIMIT))
    };
    for name in dir.names().unwrap_or_default() {
        if name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) && is_old(&name) {
            remove(dir, &name);
        }
    }
}

fn remove(dir: &Dir, name: &OsStr) {
    if let Err(error) = dir.remove(name) {
        let path = dir.path().join(name);
        warning(format!("{} could not be removed: {}.", display::path(&path), display::reason(&error)));
    }
}

/// The server may append its own suffix to the given name, or replace ours.
fn made_names(stem: &str) -> [OsString; 5] {
    [".sparsebundle", ".sparsebundle.sparsebundle", ".sparsebundle.sparseimage", ".sparseimage", ""]
        .map(|suffix| format!("{stem}{suffix}").into())
}

fn make_archive(run: &Run<'_>, tools: &ServerTools, path: &Path, password: &Secret) -> Result<(), String> {
    let mut command = Command::tool(&tools.serveradmin, ["command"]);
    command.input = macos_server::archive_commands(path, password).map_err(|(what, why)| {
        format!("the {what} {why}, which cannot be passed to serveradmin. Choose another one")
    })?;
    let answer = capture(&command, run.machine.interrupts, ARCHIVE_LIMIT)
        .map_err(|error| not_run(&tools.serveradmin, &error))?;
    let (out, err) = (text(answer.out), text(answer.err));
    for line in out.lines().chain(err.lines()).filter(|line| !repeats(line, password)) {
        info!("serveradmin: {}", display::line(line.as_bytes()));
    }
    let words = macos_server::refusal(&out, &err).map(|line| showable(line, password));
    match (answer.end, words) {
        (End::Exited(0), None) => Ok(()),
        (End::Exited(0), Some(words)) => Err(format!("serveradmin refused: {words}")),
        (End::Exited(code), Some(words)) => Err(format!("serveradmin ended with code {code}: {words}")),
        (End::Exited(code), None) => {
            let said = err.lines().chain(out.lines()).next();
            let words = said.map(|line| ": ".to_owned() + &showable(line, password)).unwrap_or_default();
            Err(format!("serveradmin ended with code {code}{words}"))
        }
        (End::Killed(signal), _) => Err(format!("serveradmin was killed by signal {signal}")),
    }
}

/// The output without the parameter that is the password.
fn text(printed: Vec<u8>) -> Zeroizing<String> {
    let printed = Zeroizing::new(printed);
    let all = Zeroizing::new(String::from_utf8_lossy(&printed).into_owned());
    let mut kept = Zeroizing::new(String::with_capacity(all.len() + 1));
    for line in all.lines().filter(|line| !line.contains("archivePassword")) {
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// Whether a line contains the password, under any key.
fn repeats(line: &str, password: &Secret) -> bool {
    password.expose_text().is_none_or(|password| line.contains(password))
}

fn showable(line: &str, password: &Secret) -> String {
    if repeats(line, password) {
        "its output repeats the password, so it is not shown".to_owned()
    } else {
        display::line(line.as_bytes()).to_string()
    }
}

/// Finds what the server has created and puts it into place.
fn take_archive(dir: &Dir, stem: &str) -> Result<(), String> {
    let failed = |error: io::Error| format!("the archive could not be saved: {}", display::reason(&error));
    for made in made_names(stem) {
        let path = dir.path().join(&made);
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        let (name, other, mode, is_empty) = if found.is_dir() {
            let is_empty = fs::read_dir(&path).map_err(failed)?.next().is_none();
            (macos_server::ARCHIVE, macos_server::ARCHIVE_FILE, 0o700, is_empty)
        } else if found.is_file() {
            (macos_server::ARCHIVE_FILE, macos_server::ARCHIVE, 0o600, found.len() == 0)
        } else {
            continue;
        };
        if is_empty {
            return Err(format!("serveradmin left an empty archive at {}", display::path(&path)));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(failed)?;
        dir.flush_filesystem().map_err(failed)?;
        dir.commit_made(&made, OsStr::new(name)).map_err(failed)?;
        // One of the other form is older.
        dir.remove(OsStr::new(other)).map_err(failed)?;
        info!("Archived to {}.", display::path(&dir.path().join(name)));
        return Ok(());
    }
    Err(format!(
        "serveradmin reported no error, but there is no archive at {}",
        display::path(&dir.path().join(format!("{stem}.sparsebundle")))
    ))
}
