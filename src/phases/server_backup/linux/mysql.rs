//! `MariaDB` and `MySQL`: dumps all databases of each server through its socket, as its own account if that may log in.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use log::info;

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
use crate::process::{Command, End, capture};
use crate::run::Run;
use crate::servers::mysql as known;
use crate::servers::mysql::Login;

const KIND: Kind = Kind { name: "MariaDB or MySQL", programs: &known::SERVERS, accounts: &known::ACCOUNTS };

/// A running server.
#[derive(Debug)]
pub struct Databases {
    server: Server,
    sockets: Sockets,
}

impl Databases {
    /// The name to show.
    pub fn name(&self) -> String {
        format!("MariaDB or MySQL at {}", self.place())
    }

    fn place(&self) -> String {
        self.sockets.first().map(|socket| display::path(socket.path()).to_string()).unwrap_or_default()
    }
}

/// Finds the running servers.
pub fn find(run: &Run<'_>) -> Result<Vec<Databases>, Failure> {
    let servers = processes::find(run, &KIND).map_err(|error| unknown(&error))?;
    let all = listening::find(&servers, KIND.name, known::is_socket).map_err(|error| unknown(&error))?;
    let mut found = Vec::new();
    for (server, sockets) in servers.into_iter().zip(all) {
        let number = server.number;
        if let Some(why) = sockets.objection() {
            return Err(failure(format!("MariaDB or MySQL (process {number})"), why.to_owned()));
        }
        if sockets.is_empty() {
            warning(format!(
                "MariaDB or MySQL (process {number}) is not dumped: it does not listen on a socket with an expected \
                 name."
            ));
        } else {
            found.push(Databases { server, sockets });
        }
    }
    if found.is_empty() {
        info!("No MariaDB or MySQL server runs here.");
    }
    Ok(found)
}

/// Dumps each of them.
pub fn dump(run: &Run<'_>, dir: &Dir, servers: &[Databases]) -> Result<(), Failure> {
    let wanted: Vec<_> = servers
        .iter()
        .map(|found| ("MySQL".to_owned(), sanitised(found.place().trim_start_matches('/'))))
        .collect();
    for (found, name) in servers.iter().zip(told_apart(&wanted)) {
        run.go_on()?;
        info!("Dumping {}.", found.name());
        let dumped = Dumper::new(run, found).and_then(|dumper| dumper.dump(dir, &format!("{name}.bz2")));
        unless_interrupted(run, dumped, |why| failure(found.name(), why))?;
    }
    Ok(())
}

/// Checks that the programs to dump it exist. The server is not contacted.
pub fn check(run: &Run<'_>, found: &Databases) -> Result<(), Failure> {
    let checked = [known::CLIENTS, known::DUMPERS].iter().try_for_each(|names| tool(run, names).map(|_| ()));
    checked.map_err(|why| failure(found.name(), why))
}

fn failure(server: String, why: String) -> Failure {
    Failure::DatabaseNotDumped { server, why: why.into() }
}

/// The first of these programs that exists.
fn tool(run: &Run<'_>, names: &[&str]) -> Result<PathBuf, String> {
    let dir = run.machine.host.tools.usr.join("bin");
    let program = names.iter().map(|name| dir.join(name)).find(|program| is_program(program));
    program.ok_or_else(|| format!("no {} in {}", names.join(" or "), display::path(&dir)))
}

/// Everything needed to dump one server.
struct Dumper<'a> {
    run: &'a Run<'a>,
    server: &'a Server,
    socket: &'a Entry,
    client: PathBuf,
    dump_program: PathBuf,
}

impl<'a> Dumper<'a> {
    fn new(run: &'a Run<'a>, found: &'a Databases) -> Result<Self, String> {
        let (client, dump_program) = (tool(run, &known::CLIENTS)?, tool(run, &known::DUMPERS)?);
        let socket = found.sockets.reach(&found.server)?;
        Ok(Self { run, server: &found.server, socket, client, dump_program })
    }

    fn dump(&self, dir: &Dir, name: &str) -> Result<(), String> {
        let (login, printed) = self.log_in()?;
        let expected = known::listed(&printed);
        let only = self.only(login, &printed)?;
        let (mut databases, mut dumped) = (known::Databases::default(), BTreeSet::new());
        let mut watch = |bytes: &[u8]| {
            databases.read(bytes, &mut |name| {
                info!("Dumping the database {}.", display::line(name.as_bytes()));
                dumped.insert(name);
            });
        };
        let arguments = |socket: &Path| known::dump_arguments(login, socket, only.as_ref());
        let command = self.command(&self.dump_program, login, arguments)?;
        let dump = write_compressed(self.run, dir, name, command, is_harmless, known::ENDING, &mut watch)?;
        let missing: Vec<&str> = expected.difference(&dumped).map(String::as_str).collect();
        if !missing.is_empty() {
            // A database that was dropped meanwhile is not missing.
            let still_there = known::listed(&self.ask(login, known::DATABASES)?);
            if let Some(name) = missing.iter().find(|name| still_there.contains(**name)) {
                return Err(format!("the database {} is not in the dump", display::line(name.as_bytes())));
            }
        }
        dump.put_into_place()
    }

    /// If a directory that is not a database would make the dump unusable: the names of all others.
    fn only(&self, login: Login<'_>, printed: &[u8]) -> Result<Option<BTreeSet<String>>, String> {
        let strays = known::strays(printed);
        if strays.is_empty() {
            return Ok(None);
        }
        let with_tables = known::strays(&self.ask(login, known::UNNAMEABLE)?);
        for name in &strays {
            let shown = display::line(name.as_bytes());
            if with_tables.contains(name) {
                warning(format!(
                    "{shown} is not dumped, because no server can restore a database of that name: rename it with \
                     ALTER DATABASE … UPGRADE DATA DIRECTORY NAME."
                ));
            } else {
                info!("{shown} is not dumped: it is a directory without tables, not a database.");
            }
        }
        Ok(Some(known::listed(printed)))
    }

    /// Finds a login to which the server shows everything, and the databases it shows: the server's own account or
    /// root, both verified by the kernel, and finally the user in root's option file.
    fn log_in(&self) -> Result<(Login<'a>, Vec<u8>), String> {
        let mut refusals = Vec::new();
        let account = self.server.account.name.as_str();
        let by_kernel = [account, "root"].map(Login::Account);
        let logins = if account == "root" { &by_kernel[1..] } else { &by_kernel[..] };
        for login in logins.iter().copied().chain([Login::OptionFile]) {
            match self.list(login) {
                Ok(printed) => return Ok((login, printed)),
                Err(why) => {
                    if !refusals.contains(&why) {
                        refusals.push(why);
                    }
                }
            }
            if self.run.machine.interrupts.received().is_some() {
                break;
            }
        }
        Err(refusals.join("; "))
    }

    /// Lists the databases; a login that cannot see the accounts' database may not see others either.
    fn list(&self, login: Login<'_>) -> Result<Vec<u8>, String> {
        let who = match login {
            Login::Account(name) => name.to_owned(),
            Login::OptionFile if self.is_safe()? => "root with its option file".to_owned(),
            Login::OptionFile => {
                return Err("root's option file was not used, because this client could be made to send the password in \
                            clear text: let root log in through the socket (auth_socket)"
                    .to_owned());
            }
        };
        // A server's account may only have limited rights.
        if let Login::Account(name) = login
            && name != "root"
            && !known::grants_all(&self.ask(login, known::GRANTS)?)
        {
            return Err(format!("{name} might not see everything"));
        }
        let printed = self.ask(login, known::DATABASES)?;
        if known::listed(&printed).contains(known::OF_ACCOUNTS) {
            return Ok(printed);
        }
        Err(format!(
            "{who} does not see the database \"{}\", so it might not see everything",
            known::OF_ACCOUNTS
        ))
    }

    /// Whether both programs keep the password secret, whatever the server requests.
    fn is_safe(&self) -> Result<bool, String> {
        for program in [&self.client, &self.dump_program] {
            let mut command = Command::tool(program, ["--version"]);
            command.user = Some(self.server.account.numbers);
            let printed = capture(&command, self.run.machine.interrupts, TOOL_LIMIT)
                .map_err(|error| not_run(program, &error))?;
            if !known::is_mariadb(&printed.out) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn ask(&self, login: Login<'_>, question: &str) -> Result<Vec<u8>, String> {
        let arguments = |socket: &Path| known::question_arguments(login, socket, question);
        let command = self.command(&self.client, login, arguments)?;
        let program = display::path(&command.program);
        let printed = capture(&command, self.run.machine.interrupts, TOOL_LIMIT)
            .map_err(|error| not_run(&command.program, &error))?;
        if printed.end == End::Exited(0) {
            return Ok(printed.out);
        }
        let words = display::line(printed.err.trim_ascii());
        Err(format!("{program} cannot list the databases: {words}"))
    }

    /// Prepares a program to run as the given login and to find the socket in the directory held open.
    fn command(
        &self,
        program: &Path,
        login: Login<'_>,
        arguments: impl FnOnce(&Path) -> Vec<OsString>,
    ) -> Result<Command, String> {
        let mut command = Command::tool(program, [] as [&str; 0]);
        let directory = self.socket.directory().try_clone();
        let dir = command.hand_over(
            directory
                .map_err(|error| format!("the socket cannot be passed on: {}", display::reason(&error)))?,
        );
        command.arguments = arguments(&dir.join(self.socket.name()));
        match login {
            Login::Account(name) if name == self.server.account.name => {
                command.user = Some(self.server.account.numbers);
            }
            Login::Account(_) => {}
            Login::OptionFile => {
                let root = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
                command.environment.extend(root.map(|root| ("HOME".into(), root.dir.into())));
            }
        }
        Ok(command)
    }
}

fn not_run(program: &Path, error: &std::io::Error) -> String {
    format!("{} could not be run: {}", display::path(program), display::reason(error))
}

/// `mysqldump: Deprecated program name` and the like do not concern the dump.
fn is_harmless(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line).to_lowercase();
    text.trim().is_empty() || text.contains("warning") || text.contains("deprecated")
}
