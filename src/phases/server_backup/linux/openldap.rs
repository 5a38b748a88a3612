//! `OpenLDAP`: dumps the configuration and every database of each server, encrypted, as they contain password hashes.

use std::fs::File;
use std::io::{self, Write as _};

use log::info;

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::fs::trusted;
use crate::host::TOOL_LIMIT;
use crate::linux::names::{sanitised, told_apart};
use crate::phases::server_backup::dump::{DumpFile, Encoding, run_dumper};
use crate::phases::server_backup::linux::found::{is_program, unknown, unless_interrupted};
use crate::phases::server_backup::linux::processes;
use crate::phases::server_backup::linux::processes::{Account, Kind, Server};
use crate::process::{Command, capture};
use crate::run::Run;
use crate::secret::Secret;
use crate::servers::openldap as known;
use crate::servers::openldap::Configuration;

const KIND: Kind = Kind { name: "OpenLDAP", programs: &known::SERVERS, accounts: &known::ACCOUNTS };

/// A server's configuration, and the user and group as which it is read.
#[derive(Debug)]
pub struct Directory {
    configuration: Configuration,
    /// The file that was checked and is passed to slapcat.
    file: File,
    reader: (u32, u32),
}

impl Directory {
    /// Opens a configuration that only root and this account can have set up, as slapcat runs what it says. Files that
    /// slapcat touches must stay the server's, so `reader` picks the user it runs as from the configuration's owner.
    fn open(
        configuration: &Configuration,
        account: &Account,
        reader: impl FnOnce((u32, u32)) -> (u32, u32),
    ) -> Result<Self, Failure> {
        let opened = trusted::find(configuration.path(), account.numbers.0).and_then(|found| {
            let is_right = match configuration {
                Configuration::Dir(_) => found.is_directory(),
                Configuration::File(_) => found.is_file(),
            };
            if is_right {
                Ok((found.owner(), found.open()?))
            } else {
                Err(io::ErrorKind::InvalidInput.into())
            }
        });
        let (owner, file) = opened.map_err(|error| Failure::DirectoryNotArchived {
            why: format!(
                "the configuration {} cannot be trusted: {}",
                display::path(configuration.path()),
                display::reason(&error)
            )
            .into(),
        })?;
        Ok(Self { configuration: configuration.clone(), file, reader: reader(owner) })
    }

    /// The name to show.
    pub fn name(&self) -> String {
        format!("OpenLDAP of {}", display::path(self.configuration.path()))
    }
}

/// Finds the running servers, or else one configured in slapd's default location.
pub fn find(run: &Run<'_>) -> Result<Vec<Directory>, Failure> {
    let slapcat = &run.machine.host.tools.slapcat;
    let mut directories = running(run)?;
    if !is_program(slapcat) {
        if directories.is_empty() {
            info!("OpenLDAP is skipped: there is no {}.", display::path(slapcat));
            return Ok(directories);
        }
        let why = format!("slapd runs, but there is no {}", display::path(slapcat));
        return Err(Failure::DirectoryNotArchived { why: why.into() });
    }
    if directories.is_empty()
        && let Some(configuration) = by_default(run)
    {
        directories.push(at_rest(run, &configuration)?);
    }
    directories.sort_by(|one, other| one.configuration.cmp(&other.configuration));
    directories.dedup_by(|one, other| one.configuration == other.configuration);
    if directories.is_empty() {
        info!("OpenLDAP is skipped: no server is configured here.");
    }
    Ok(directories)
}

fn running(run: &Run<'_>) -> Result<Vec<Directory>, Failure> {
    let mut found = Vec::new();
    for server in processes::find(run, &KIND).map_err(|error| unknown(&error))? {
        let line = server.command_line().map_err(|error| unknown(&error))?;
        if known::is_tool(&line) {
            continue;
        }
        let configured = configured(&server, &line).map_err(|error| unknown(&error))?;
        if let Some(configuration) = configured.or_else(|| by_default(run)) {
            found.push(of_server(run, &server, &configuration)?);
        }
    }
    Ok(found)
}

/// A server running as root may use a configuration that its account owns; that is read as the account.
fn of_server(run: &Run<'_>, server: &Server, configuration: &Configuration) -> Result<Directory, Failure> {
    let accounts = match server.account.numbers.0 {
        0 => Account::all(run.machine.host, &KIND),
        _ => Vec::new(),
    };
    let first = Directory::open(configuration, &server.account, |_| server.account.numbers);
    accounts.iter().fold(first, |found, account| {
        found.or_else(|_| Directory::open(configuration, account, |_| account.numbers))
    })
}

/// The configuration that a server was started with, as a path for us.
fn configured(server: &Server, line: &[u8]) -> io::Result<Option<Configuration>> {
    let current = server.current_directory()?.0;
    let Some(configured) = Configuration::of_command_line(line, &current) else { return Ok(None) };
    let path = server.path(configured.path())?;
    Ok(Some(configured.placed_at(path)))
}

fn by_default(run: &Run<'_>) -> Option<Configuration> {
    run.machine.host.tools.slapd_configurations.iter().find_map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        let is_empty = || std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
        match metadata.is_dir() {
            true if is_empty() => None,
            true => Some(Configuration::Dir(path.clone())),
            false => Some(Configuration::File(path.clone())),
        }
    })
}

/// Opens a configuration that belongs to root or to one of the accounts for such servers.
fn at_rest(run: &Run<'_>, configuration: &Configuration) -> Result<Directory, Failure> {
    let accounts = Account::all(run.machine.host, &KIND);
    let first = Directory::open(configuration, &Account::root(), |owner| {
        let is_its = |account: &&Account| account.numbers.1 == owner.1;
        accounts.iter().find(is_its).map_or((0, 0), |account| account.numbers)
    });
    accounts.iter().fold(first, |found, account| {
        found.or_else(|_| Directory::open(configuration, account, |_| account.numbers))
    })
}

/// Dumps each of them.
pub fn dump(run: &Run<'_>, dir: &Dir, directories: &[Directory], password: &Secret) -> Result<(), Failure> {
    let wanted: Vec<_> = directories
        .iter()
        .map(|directory| {
            ("OpenLDAP".to_owned(), sanitised(&directory.configuration.path().to_string_lossy()))
        })
        .collect();
    for (directory, name) in directories.iter().zip(told_apart(&wanted)) {
        run.go_on()?;
        info!("Dumping OpenLDAP of {}.", display::path(directory.configuration.path()));
        let dumped = dump_one(run, dir, &format!("{name}.ldif.age"), directory, password);
        unless_interrupted(run, dumped, |why| Failure::DirectoryNotArchived { why: why.into() })?;
    }
    Ok(())
}

fn dump_one(
    run: &Run<'_>,
    dir: &Dir,
    name: &str,
    directory: &Directory,
    password: &Secret,
) -> Result<(), String> {
    let last = last_database(run, directory)?;
    let mut dump = DumpFile::create(dir, name, Encoding::Age(password)).map_err(|error| {
        format!("{} could not be written: {}", display::path(&dir.path().join(name)), display::reason(&error))
    })?;
    for database in 0..=last {
        dump_database(run, &mut dump, directory, database)?;
    }
    dump.put_into_place()
}

/// slapcat gets the configuration already open, so it needs no access to its path.
fn slapcat(run: &Run<'_>, directory: &Directory, database: u32) -> Result<Command, String> {
    let mut command = Command::tool(&run.machine.host.tools.slapcat, [] as [&str; 0]);
    let file = directory.file.try_clone();
    let file =
        file.map_err(|error| format!("the configuration cannot be passed on: {}", display::reason(&error)))?;
    let path = command.hand_over(file);
    command.arguments = directory.configuration.arguments(&path, database);
    command.user = Some(directory.reader);
    Ok(command)
}

fn last_database(run: &Run<'_>, directory: &Directory) -> Result<u32, String> {
    let command = slapcat(run, directory, known::NO_DATABASE)?;
    let tool = display::path(&command.program).to_string();
    let printed = capture(&command, run.machine.interrupts, TOOL_LIMIT)
        .map_err(|error| format!("{tool} could not be run: {}", display::reason(&error)))?;
    let words = String::from_utf8_lossy(&printed.err);
    known::last_database(&words).ok_or_else(|| {
        format!(
            "{tool} does not list the databases of {}: {}",
            display::path(directory.configuration.path()),
            display::line(words.trim().as_bytes())
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
    // Written with the first chunk, so that an empty database leaves no trace.
    let mut separator = Some(known::separator(database));
    let printed = run_dumper(run, slapcat(run, directory, database)?, known::is_harmless, &mut |bytes| {
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
