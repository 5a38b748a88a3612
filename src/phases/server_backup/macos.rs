//! The server backup of macOS Server: the directory, the databases and the settings of the services.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::info;
use zeroize::Zeroizing;

use super::dump::{DumpFile, Encoding, run_dumper};
use crate::failure::Failure;
use crate::host::folder::{Folder, random_hex};
use crate::host::platform::{MacOsVersion, Platform};
use crate::logging::warning;
use crate::macos::server::{self, DatabaseNames, Directory, Instance, ServerTools, Service, Sign};
use crate::phases::Run;
use crate::process::{Captured, Command, End, capture};
use crate::secret::Secret;
use crate::shown;

/// The longest that `serveradmin` may take for an answer; its own server may have to start first.
const ANSWER_LIMIT: Duration = Duration::from_secs(300);

/// The longest that the directory's archive may take.
const ARCHIVE_LIMIT: Duration = Duration::from_secs(2 * 60 * 60);

/// Archives the directory, dumps the databases and the settings.
pub fn run(run: &Run<'_>, version: MacOsVersion, password: &Secret) -> Result<(), Failure> {
    // What a signal has made fail was interrupted, not broken.
    back_up(run, version, password).map_err(|failure| run.go_on().err().unwrap_or(failure))
}

fn back_up(run: &Run<'_>, version: MacOsVersion, password: &Secret) -> Result<(), Failure> {
    let tools = find_tools(run, version)?;
    let instances = find_instances(run, version, &tools)?;
    if !instances.is_empty() && !is_program(&tools.pg_dumpall) {
        return Err(Failure::PgDumpallNotFound { searched: shown::path(&tools.pg_dumpall).to_string() });
    }
    let folder = super::folder(run)?;
    archive_directory(run, &tools, &folder, password).map_err(|why| Failure::DirectoryNotArchived { why })?;
    for found in &instances {
        run.go_on()?;
        dump_instance(run, &tools, &folder, found)
            .map_err(|why| Failure::DatabaseNotDumped { server: found.instance.name.to_owned(), why })?;
    }
    run.go_on()?;
    dump_settings(run, &tools, &folder).map_err(|why| Failure::SettingsNotDumped { why })
}

fn find_tools(run: &Run<'_>, version: MacOsVersion) -> Result<ServerTools, Failure> {
    let unsupported = |why: String| Failure::BackupUnsupported { why };
    let system = Platform::MacOs(version);
    let roots = &run.host.tools;
    let tools = server::tools(version, &roots.server_root, &roots.system_root)
        .ok_or_else(|| unsupported(format!("{system} is older than 10.7")))?;
    if !tools.signs.iter().any(|sign| sign.exists()) {
        let signs: Vec<String> = tools.signs.iter().map(|sign| shown::path(sign).to_string()).collect();
        return Err(unsupported(format!("this {system} is no server (no {})", signs.join(", no "))));
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

fn ask(run: &Run<'_>, tools: &ServerTools, arguments: [&str; 2]) -> Result<Captured, String> {
    let command = Command::tool(&tools.serveradmin, arguments);
    capture(&command, run.interrupts, ANSWER_LIMIT).map_err(|error| not_run(&tools.serveradmin, &error))
}

fn not_run(program: &Path, error: &io::Error) -> String {
    format!("{} could not be run: {}", shown::path(program), shown::reason(error))
}

/// The first words of an answer that could not be read.
fn first_words(answer: &Captured) -> String {
    let lines = answer.err.split(|byte| *byte == b'\n').chain(answer.out.split(|byte| *byte == b'\n'));
    let words = lines.map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
    let end = match answer.end {
        End::Exited(code) => format!("serveradmin ended with code {code}"),
        End::Killed(signal) => format!("serveradmin was killed by signal {signal}"),
    };
    words.map_or_else(|| end.clone(), |words| format!("{end}: {}", shown::line(words)))
}

/// An instance that runs, and where it is reached.
struct Found {
    instance: Instance,
    /// Where no socket is named, the dumper finds it by itself.
    socket: Option<Socket>,
}

struct Socket {
    folder: PathBuf,
    port: u16,
}

fn find_instances(run: &Run<'_>, version: MacOsVersion, tools: &ServerTools) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for instance in server::instances(version) {
        run.go_on()?;
        let one = find_instance(run, tools, instance)
            .map_err(|why| Failure::DatabaseNotDumped { server: instance.name.to_owned(), why })?;
        found.extend(one);
    }
    Ok(found)
}

fn find_instance(run: &Run<'_>, tools: &ServerTools, instance: Instance) -> Result<Option<Found>, String> {
    let below = |folder: &str| run.host.tools.system_root.join(folder);
    match instance.sign {
        Sign::Service(service) => {
            Ok(is_running(run, tools, instance, service)?.then_some(Found { instance, socket: None }))
        }
        Sign::Socket(folder) => {
            let folder = below(folder);
            let socket = find_socket(&folder)?;
            if socket.is_none() {
                info!("{} has no socket in {}, so it is not dumped.", instance.name, shown::path(&folder));
            }
            Ok(socket.map(|socket| Found { instance, socket: Some(socket) }))
        }
        Sign::ServiceSocket { service, folder, prefix, otherwise } => {
            if !is_running(run, tools, instance, service)? {
                return Ok(None);
            }
            let folder = below(folder);
            match find_newest_socket(&folder, prefix)? {
                Some(socket) => Ok(Some(Found { instance, socket: Some(socket) })),
                None => match find_socket(&folder.join(otherwise))? {
                    Some(socket) => Ok(Some(Found { instance, socket: Some(socket) })),
                    None => Err(format!(
                        "the service {service} is running, but there is no socket below {}",
                        shown::path(&folder)
                    )),
                },
            }
        }
    }
}

/// Whether a service runs. An answer that cannot be read is an error: a database must not be left out for that.
fn is_running(run: &Run<'_>, tools: &ServerTools, instance: Instance, service: &str) -> Result<bool, String> {
    let answer = ask(run, tools, ["status", service])?;
    match server::read_status(&answer.out, service) {
        Service::Running => return Ok(true),
        Service::Resting(state) => info!(
            "{} is not dumped: the service {service} is {}.",
            instance.name,
            shown::line(state.as_bytes())
        ),
        Service::Gone => info!("{} is not dumped: this server has no service {service}.", instance.name),
        Service::Unknown(Some(error)) => {
            return Err(format!("serveradmin status {service}: {}", shown::line(error.as_bytes())));
        }
        Service::Unknown(None) => {
            return Err(format!("whether {service} is running cannot be told ({})", first_words(&answer)));
        }
    }
    Ok(false)
}

/// The socket of `PostgreSQL` in a folder; none when the folder is not there.
fn find_socket(folder: &Path) -> Result<Option<Socket>, String> {
    let unreadable = |error: io::Error| format!("{}: {}", shown::path(folder), shown::reason(&error));
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(error)),
    };
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        if let Some(port) = entry.file_name().to_str().and_then(server::socket_port)
            && entry.file_type().map_err(unreadable)?.is_socket()
        {
            return Ok(Some(Socket { folder: folder.to_owned(), port }));
        }
    }
    Ok(None)
}

/// The socket in the newest of the folders whose names begin so: each start of the service makes another one.
fn find_newest_socket(parent: &Path, prefix: &str) -> Result<Option<Socket>, String> {
    let Ok(entries) = fs::read_dir(parent) else { return Ok(None) };
    let mut folders: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    folders.sort();
    for (_, folder) in folders.iter().rev() {
        if let Some(socket) = find_socket(folder)? {
            return Ok(Some(socket));
        }
    }
    Ok(None)
}

fn dump_instance(run: &Run<'_>, tools: &ServerTools, folder: &Folder, found: &Found) -> Result<(), String> {
    let Instance { name, file, user, .. } = found.instance;
    let numbers = run
        .host
        .user(user)
        .map_err(|error| format!("the user {user} cannot be looked up: {}", shown::reason(&error)))?
        .ok_or_else(|| format!("there is no user {user}"))?;
    let mut arguments = vec![OsString::from("--no-password")];
    if let Some(Socket { folder, port }) = &found.socket {
        info!("Dumping {name}, as {user}, from {}.", shown::path(folder));
        arguments.extend(["-h".into(), folder.into(), "-p".into(), port.to_string().into()]);
    } else {
        info!("Dumping {name}, as {user}.");
    }
    let mut command = Command::tool(&tools.pg_dumpall, arguments);
    command.user = Some(numbers);
    let mut dump =
        DumpFile::create(folder, file, Encoding::Bzip2).map_err(|error| not_written(folder, file, &error))?;
    let mut names = DatabaseNames::default();
    let tail = run_dumper(run, command, is_notice, &mut |bytes| {
        names.push(bytes);
        dump.write_all(bytes)
    })?;
    if !String::from_utf8_lossy(&tail).contains(server::DUMP_END) {
        return Err(format!("the dump does not end with \"{}\", so it is not whole", server::DUMP_END));
    }
    commit(folder, file, dump)?;
    for database in names.found() {
        info!("{name}: the database {} is in {file}.", shown::line(database.as_bytes()));
    }
    Ok(())
}

/// A notice of `PostgreSQL` is neither a warning nor an error.
fn is_notice(line: &[u8]) -> bool {
    String::from_utf8_lossy(line).contains("NOTICE:")
}

fn not_written(folder: &Folder, name: &str, error: &io::Error) -> String {
    format!("{} could not be written: {}", shown::path(&folder.path().join(name)), shown::reason(error))
}

fn commit(folder: &Folder, name: &str, dump: DumpFile<'_>) -> Result<(), String> {
    dump.commit().map_err(|error| not_written(folder, name, &error))?;
    info!("Dumped to {}.", shown::path(&folder.path().join(name)));
    Ok(())
}

fn dump_settings(run: &Run<'_>, tools: &ServerTools, folder: &Folder) -> Result<(), String> {
    /// Where a property list says that it is one, in bytes.
    const HEAD: usize = 512;
    let name = server::SETTINGS;
    info!("Dumping the settings of all services.");
    let command = Command::tool(&tools.serveradmin, ["-x", "settings", "all"]);
    let mut dump =
        DumpFile::create(folder, name, Encoding::Bzip2).map_err(|error| not_written(folder, name, &error))?;
    let mut head = Vec::new();
    // It talks on standard error even when all is well; whether the list is whole is seen in the list.
    let tail = run_dumper(run, command, |_| true, &mut |bytes| {
        head.extend_from_slice(&bytes[..bytes.len().min(HEAD - head.len())]);
        dump.write_all(bytes)
    })?;
    let is_list = String::from_utf8_lossy(&head).contains("<plist");
    if !is_list || !tail.trim_ascii_end().ends_with(b"</plist>") {
        let words = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let told = if is_list {
            "it does not end as one".to_owned()
        } else {
            format!("it begins with \"{}\"", shown::line(words))
        };
        return Err(format!("what serveradmin printed is no whole property list: {told}"));
    }
    commit(folder, name, dump)
}

/// Archives the directory where this server is its master.
fn archive_directory(
    run: &Run<'_>,
    tools: &ServerTools,
    folder: &Folder,
    password: &Secret,
) -> Result<(), String> {
    let answer = ask(run, tools, ["fullstatus", "dirserv"])?;
    match server::read_directory(&answer.out) {
        Directory::Master => archive(run, tools, folder, password),
        Directory::Other(kind) => {
            info!(
                "The directory is not archived: this server is no master of one ({}).",
                shown::line(kind.as_bytes())
            );
            Ok(())
        }
        Directory::Gone => {
            info!("The directory is not archived: this server has no directory service.");
            Ok(())
        }
        Directory::Unknown(Some(error)) => {
            Err(format!("serveradmin fullstatus dirserv: {}", shown::line(error.as_bytes())))
        }
        Directory::Unknown(None) => {
            Err(format!("what this server is in the directory cannot be told ({})", first_words(&answer)))
        }
    }
}

/// The archive is made under a name of its own, so that the last good one stays until there is a new one.
fn archive(run: &Run<'_>, tools: &ServerTools, folder: &Folder, password: &Secret) -> Result<(), String> {
    info!("Archiving the directory.");
    let stem = random_hex(4).map(|random| format!("OpenDirectory.tmp-{random}"));
    let stem = stem.map_err(|error| format!("no name for the archive: {}", shown::reason(&error)))?;
    let done = make_archive(run, tools, &folder.path().join(format!("{stem}.sparsebundle")), password)
        .and_then(|()| take_archive(folder, &stem));
    for name in made_names(&stem) {
        if let Err(error) = folder.remove(&name) {
            warning(format!("{} is left over: {error}", shown::path(&folder.path().join(&name))));
        }
    }
    done
}

/// The server may put its own suffix behind the name that it is given, or in the place of ours.
fn made_names(stem: &str) -> [OsString; 5] {
    [".sparsebundle", ".sparsebundle.sparsebundle", ".sparsebundle.sparseimage", ".sparseimage", ""]
        .map(|suffix| format!("{stem}{suffix}").into())
}

fn make_archive(run: &Run<'_>, tools: &ServerTools, path: &Path, password: &Secret) -> Result<(), String> {
    let mut command = Command::tool(&tools.serveradmin, ["command"]);
    command.input = server::archive_commands(path, password).map_err(|(what, why)| {
        format!("the {what} {why}, which cannot be handed to serveradmin. Choose another one")
    })?;
    let answer = capture(&command, run.interrupts, ARCHIVE_LIMIT)
        .map_err(|error| not_run(&tools.serveradmin, &error))?;
    let (out, err) = (text(answer.out), text(answer.err));
    for line in out.lines().chain(err.lines()).filter(|line| !repeats(line, password)) {
        info!("serveradmin: {}", shown::line(line.as_bytes()));
    }
    let words = server::refusal(&out, &err).map(|line| showable(line, password));
    match (answer.end, words) {
        (End::Exited(0), None) => Ok(()),
        (End::Exited(0), Some(words)) => Err(format!("serveradmin refused: {words}")),
        (End::Exited(code), Some(words)) => Err(format!("serveradmin ended with code {code}: {words}")),
        (End::Exited(code), None) => Err(format!("serveradmin ended with code {code}")),
        (End::Killed(signal), _) => Err(format!("serveradmin was killed by signal {signal}")),
    }
}

/// What was printed, without the parameter that is the password.
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

/// Whether a line holds the password, by whatever key.
fn repeats(line: &str, password: &Secret) -> bool {
    password.expose_text().is_none_or(|password| line.contains(password))
}

fn showable(line: &str, password: &Secret) -> String {
    if repeats(line, password) {
        "its words repeat the password, so they are not shown".to_owned()
    } else {
        shown::line(line.as_bytes()).to_string()
    }
}

/// Finds what the server has made and puts it into its place.
fn take_archive(folder: &Folder, stem: &str) -> Result<(), String> {
    let failed = |error: io::Error| format!("the archive could not be kept: {}", shown::reason(&error));
    for made in made_names(stem) {
        let path = folder.path().join(&made);
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        let (name, other, mode, is_empty) = if found.is_dir() {
            let is_empty = fs::read_dir(&path).map_err(failed)?.next().is_none();
            (server::ARCHIVE, server::ARCHIVE_FILE, 0o700, is_empty)
        } else if found.is_file() {
            (server::ARCHIVE_FILE, server::ARCHIVE, 0o600, found.len() == 0)
        } else {
            continue;
        };
        if is_empty {
            return Err(format!("serveradmin left an empty archive at {}", shown::path(&path)));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(failed)?;
        folder.flush_filesystem().map_err(failed)?;
        folder.commit_made(&made, OsStr::new(name)).map_err(failed)?;
        // One of the other form is older than this one.
        folder.remove(OsStr::new(other)).map_err(failed)?;
        info!("Archived to {}.", shown::path(&folder.path().join(name)));
        return Ok(());
    }
    Err(format!(
        "serveradmin reported no error, but there is no archive at {}",
        shown::path(&folder.path().join(format!("{stem}.sparsebundle")))
    ))
}
