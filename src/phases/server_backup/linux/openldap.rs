//! `OpenLDAP`: the configuration and every database of each server, encrypted, as there are password hashes in it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use log::info;

use super::unless_interrupted;
use crate::failure::Failure;
use crate::host::TOOL_LIMIT;
use crate::host::folder::Folder;
use crate::linux::names::{sanitised, told_apart};
use crate::linux::openldap::{self as known, Configuration};
use crate::linux::sockets::FIRST_ORDINARY_USER;
use crate::phases::Run;
use crate::phases::server_backup::dump::{DumpFile, Encoding, run_dumper};
use crate::process::{Command, capture};
use crate::secret::Secret;
use crate::shown;

/// A server's configuration, and the user and the group that it is read as.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Directory {
    configuration: Configuration,
    owner: (u32, u32),
}

impl Directory {
    /// What it is, as shown.
    pub fn name(&self) -> String {
        format!("OpenLDAP of {}", shown::path(self.configuration.path()))
    }
}

/// The servers that run, or else one that is configured where slapd looks by default.
pub fn find(run: &Run<'_>) -> Result<Vec<Directory>, Failure> {
    let mut directories = running(run);
    let slapcat = &run.host.tools.slapcat;
    if !slapcat.is_file() {
        if directories.is_empty() {
            info!("OpenLDAP is skipped: there is no {}.", shown::path(slapcat));
            return Ok(directories);
        }
        let why = format!("slapd runs, but there is no {}", shown::path(slapcat));
        return Err(Failure::DirectoryNotArchived { why });
    }
    if directories.is_empty() {
        directories.extend(by_default(run).and_then(owned_by_the_system));
    }
    directories.sort();
    directories.dedup_by(|one, other| one.configuration == other.configuration);
    if directories.is_empty() {
        info!("OpenLDAP is skipped: no server is configured here.");
    }
    Ok(directories)
}

fn running(run: &Run<'_>) -> Vec<Directory> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let folders = processes.map(|entry| entry.path());
    folders.filter_map(|process| look(run, &process)).collect()
}

/// A process that ends meanwhile is none.
fn look(run: &Run<'_>, process: &Path) -> Option<Directory> {
    let name = std::fs::read_to_string(process.join("comm")).ok()?;
    // One in a container has another network, and its paths are not ours.
    if name.trim_end() != "slapd" || network(process)? != network(Path::new("/proc/self"))? {
        return None;
    }
    let owner = known::owner(&std::fs::read_to_string(process.join("status")).ok()?)?;
    if owner.0 >= FIRST_ORDINARY_USER {
        info!("slapd in {} is skipped: it belongs to an ordinary user.", shown::path(process));
        return None;
    }
    let line = std::fs::read(process.join("cmdline")).ok()?;
    let current = std::fs::read_link(process.join("cwd")).ok()?;
    let configuration = Configuration::of_command_line(&line, &current).or_else(|| by_default(run))?;
    Some(Directory { configuration, owner })
}

fn network(process: &Path) -> Option<PathBuf> {
    std::fs::read_link(process.join("ns/net")).ok()
}

fn by_default(run: &Run<'_>) -> Option<Configuration> {
    run.host.tools.slapd_configurations.iter().find_map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        let is_empty = || std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
        match metadata.is_dir() {
            true if is_empty() => None,
            true => Some(Configuration::Folder(path.clone())),
            false => Some(Configuration::File(path.clone())),
        }
    })
}

/// What slapcat touches must stay the server's own, so it runs as the one whose configuration it is.
fn owned_by_the_system(configuration: Configuration) -> Option<Directory> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(configuration.path()).ok()?;
    let owner = (metadata.uid(), metadata.gid());
    (owner.0 < FIRST_ORDINARY_USER).then_some(Directory { configuration, owner })
}

/// Dumps each of them.
pub fn dump(
    run: &Run<'_>,
    folder: &Folder,
    directories: &[Directory],
    password: &Secret,
) -> Result<(), Failure> {
    let wanted: Vec<_> = directories
        .iter()
        .map(|directory| {
            ("OpenLDAP".to_owned(), sanitised(&directory.configuration.path().to_string_lossy()))
        })
        .collect();
    for (directory, name) in directories.iter().zip(told_apart(&wanted)) {
        run.go_on()?;
        info!("Dumping OpenLDAP of {}.", shown::path(directory.configuration.path()));
        let dumped = dump_one(run, folder, &format!("{name}.ldif.age"), directory, password);
        unless_interrupted(run, dumped, |why| Failure::DirectoryNotArchived { why })?;
    }
    Ok(())
}

fn dump_one(
    run: &Run<'_>,
    folder: &Folder,
    name: &str,
    directory: &Directory,
    password: &Secret,
) -> Result<(), String> {
    let last = last_database(run, directory)?;
    let mut dump = DumpFile::create(folder, name, Encoding::Age(password)).map_err(|error| {
        format!("{} could not be written: {}", shown::path(&folder.path().join(name)), shown::reason(&error))
    })?;
    for database in 0..=last {
        dump_database(run, &mut dump, directory, database)?;
    }
    dump.put_into_place()
}

fn slapcat(run: &Run<'_>, directory: &Directory, database: u32) -> Command {
    let mut command = Command::tool(&run.host.tools.slapcat, directory.configuration.arguments(database));
    command.user = Some(directory.owner);
    command
}

fn last_database(run: &Run<'_>, directory: &Directory) -> Result<u32, String> {
    let command = slapcat(run, directory, known::NO_DATABASE);
    let tool = shown::path(&command.program).to_string();
    let printed = capture(&command, run.interrupts, TOOL_LIMIT)
        .map_err(|error| format!("{tool} could not be run: {}", shown::reason(&error)))?;
    let words = String::from_utf8_lossy(&printed.err);
    known::last_database(&words).ok_or_else(|| {
        format!(
            "{tool} does not tell the databases of {}: {}",
            shown::path(directory.configuration.path()),
            shown::line(words.trim().as_bytes())
        )
    })
}

fn dump_database(
    run: &Run<'_>,
    dump: &mut DumpFile<'_>,
    directory: &Directory,
    database: u32,
) -> Result<(), String> {
    if database == 0 && matches!(directory.configuration, Configuration::File(_)) {
        info!("The configuration is a text file, which is cloned as it is.");
        return Ok(());
    }
    // Written with the first piece, so that a database that holds nothing leaves no trace.
    let mut separator = Some(known::separator(database));
    let printed = run_dumper(run, slapcat(run, directory, database), known::is_harmless, &mut |bytes| {
        if let Some(separator) = separator.take() {
            dump.write_all(separator.as_bytes())?;
        }
        dump.write_all(bytes)
    });
    match printed {
        Err(why) if known::holds_nothing(&why) && separator.is_some() => {
            info!("Database {database} holds nothing of its own.");
            Ok(())
        }
        Err(why) => Err(why),
        Ok(_) => {
            info!("Dumped database {database}.");
            Ok(())
        }
    }
}
