//! The server backup on macOS Server: the directory, the databases and the services' settings.

mod databases;
mod directory;
mod tools;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use log::info;

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::host::platform::{MacOsVersion, Platform};
use crate::phases::server_backup::dump::{DumpFile, Encoding, run_dumper};
use crate::phases::server_backup::macos::tools::{commit, not_written};
use crate::process::Command;
use crate::run::Run;
use crate::secret::Secret;
use crate::servers::macos_server;
use crate::servers::macos_server::ServerTools;
use databases::{dump_instance, find_instances};
use directory::archive_directory;

/// What a server runs, and what dumps it.
pub struct Found {
    tools: ServerTools,
    instances: Vec<databases::Found>,
}

impl Found {
    /// The names to show.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let instances = self.instances.iter().map(|found| found.instance.name.to_owned());
        instances.chain(["the settings of all services".to_owned()]).collect()
    }
}

/// Finds what runs here; fails if this is not a server, or one without its tools.
pub fn find(run: &Run<'_>, version: MacOsVersion) -> Result<Found, Failure> {
    let found = find_all(run, version);
    // A failure caused by a signal is an interruption, not an error.
    found.map_err(|failure| run.go_on().err().unwrap_or(failure))
}

fn find_all(run: &Run<'_>, version: MacOsVersion) -> Result<Found, Failure> {
    let tools = find_tools(run, version)?;
    let instances = find_instances(run, version, &tools)?;
    if !instances.is_empty() && !is_program(&tools.pg_dumpall) {
        return Err(Failure::PgDumpallNotFound { searched: display::path(&tools.pg_dumpall).to_string() });
    }
    Ok(Found { tools, instances })
}

/// Archives the directory, and dumps the databases and the settings.
pub fn run(run: &Run<'_>, version: MacOsVersion, password: &Secret) -> Result<(), Failure> {
    // A failure caused by a signal is an interruption, not an error.
    back_up(run, version, password).map_err(|failure| run.go_on().err().unwrap_or(failure))
}

fn back_up(run: &Run<'_>, version: MacOsVersion, password: &Secret) -> Result<(), Failure> {
    let Found { tools, instances } = find_all(run, version)?;
    let dir = crate::phases::server_backup::place::dir(run)?;
    archive_directory(run, &tools, &dir, password)
        .map_err(|why| Failure::DirectoryNotArchived { why: why.into() })?;
    for found in &instances {
        run.go_on()?;
        dump_instance(run, &tools, &dir, found).map_err(|why| Failure::DatabaseNotDumped {
            server: found.instance.name.to_owned(),
            why: why.into(),
        })?;
    }
    run.go_on()?;
    dump_settings(run, &tools, &dir).map_err(|why| Failure::SettingsNotDumped { why: why.into() })
}

fn find_tools(run: &Run<'_>, version: MacOsVersion) -> Result<ServerTools, Failure> {
    let unsupported = |why: String| Failure::BackupUnsupported { why: why.into() };
    let system = Platform::MacOs(version);
    let roots = &run.machine.host.tools;
    let tools = macos_server::tools(version, &roots.server_root, &roots.system_root)
        .ok_or_else(|| unsupported(format!("{system} is older than 10.7")))?;
    if !tools.signs.iter().any(|sign| sign.exists()) {
        let signs: Vec<String> = tools.signs.iter().map(|sign| display::path(sign).to_string()).collect();
        return Err(unsupported(format!("this {system} is not a server (no {})", signs.join(", no "))));
    }
    if is_program(&tools.serveradmin) {
        Ok(tools)
    } else {
        Err(Failure::ServeradminNotFound { path: tools.serveradmin })
    }
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn dump_settings(run: &Run<'_>, tools: &ServerTools, dir: &Dir) -> Result<(), String> {
    /// The number of bytes within which a property list identifies itself.
    const HEAD: usize = 512;
    let name = macos_server::SETTINGS;
    info!("Dumping the settings of all services.");
    let command = Command::tool(&tools.serveradmin, ["-x", "settings", "all"]);
    let mut dump =
        DumpFile::create(dir, name, Encoding::Bzip2).map_err(|error| not_written(dir, name, &error))?;
    let mut head = Vec::new();
    // It writes to standard error even on success; the list itself shows whether it is complete.
    let tail = run_dumper(run, command, |_| true, &mut |bytes| {
        head.extend_from_slice(&bytes[..bytes.len().min(HEAD - head.len())]);
        dump.write_all(bytes)
    })?;
    let is_list = String::from_utf8_lossy(&head).contains("<plist");
    if !is_list || !tail.trim_ascii_end().ends_with(b"</plist>") {
        let words = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let shown = if is_list {
            "it does not end as one".to_owned()
        } else {
            format!("it begins with \"{}\"", display::line(words))
        };
        return Err(format!("serveradmin did not print a complete property list: {shown}"));
    }
    commit(dir, name, dump)
}
