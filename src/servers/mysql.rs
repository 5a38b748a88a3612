//! `MariaDB` and `MySQL`: socket names, the arguments of their programs, and the format of a dump.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::servers::line_starts::LineStarts;

/// The names of the server program.
pub const SERVERS: [&str; 4] = ["mariadbd", "mysqld", "mysqld-debug", "mariadbd-debug"];

/// The accounts it runs as in system and third-party packages.
pub const ACCOUNTS: [&str; 4] = ["mysql", "mariadb", "_mysql", "_mariadb"];

/// The last line of a complete dump.
pub const ENDING: &str = "-- Dump completed";

/// The dump programs, best first.
pub const DUMPERS: [&str; 2] = ["mariadb-dump", "mysqldump"];

/// The clients, best first.
pub const CLIENTS: [&str; 2] = ["mariadb", "mysql"];

/// The database of accounts: without access to it, access is incomplete.
pub const OF_ACCOUNTS: &str = "mysql";

/// Databases generated on the fly; no dump includes them.
const VIRTUAL: [&str; 4] = ["information_schema", "performance_schema", "ndbinfo", "sys"];

/// Whether a socket name belongs to such a server. `mysqlx.sock` speaks another protocol.
#[must_use]
pub fn is_socket(name: &OsStr) -> bool {
    let name = name.to_str().and_then(|name| name.strip_suffix(".sock"));
    let rest = |name| ["mysqld", "mysql", "mariadb"].iter().find_map(|start| str::strip_prefix(name, start));
    name.and_then(rest).is_some_and(|rest| !rest.starts_with('x'))
}

/// The login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login<'a> {
    /// This account of the server and of the system, without a password: the server asks the kernel who is connecting.
    Account(&'a str),
    /// The user and password in root's own option file.
    OptionFile,
}

/// A directory without plugins. Without them `MariaDB`'s client cannot be made to send a password in plain text: its
/// built-in authentication answers with a digest.
const NO_PLUGINS: &str = "--plugin-dir=/proc/self/fdinfo";

/// The first arguments of every program: the login, and that only this socket is used.
fn login_arguments(login: Login<'_>, socket: &Path) -> Vec<OsString> {
    let mut option = OsString::from("--socket=");
    option.push(socket);
    let mut arguments = match login {
        Login::Account(name) => vec!["--no-defaults".into(), format!("--user={name}").into()],
        Login::OptionFile => Vec::new(),
    };
    arguments.extend([NO_PLUGINS.into(), "--protocol=socket".into(), option]);
    arguments
}

/// The arguments of the dump program. It dumps the databases in `only`, or all if there are none.
#[must_use]
pub fn dump_arguments(login: Login<'_>, socket: &Path, only: Option<&BTreeSet<String>>) -> Vec<OsString> {
    let mut arguments = login_arguments(login, socket);
    arguments.extend(["--single-transaction", "--routines", "--events"].map(OsString::from));
    match only {
        None => arguments.push("--all-databases".into()),
        Some(names) => {
            arguments.extend(["--databases", "--"].map(OsString::from));
            arguments.extend(names.iter().map(OsString::from));
        }
    }
    arguments
}

/// The query for the databases.
pub const DATABASES: &str = "SHOW DATABASES";

/// The query for the privileges of the login.
pub const GRANTS: &str = "SHOW GRANTS";

/// The query for directories that cannot be dumped but contain tables.
pub const UNNAMEABLE: &str =
    "SELECT DISTINCT table_schema FROM information_schema.tables WHERE table_schema LIKE '#mysql50#%'";

/// The arguments for the client to run one query.
#[must_use]
pub fn question_arguments(login: Login<'_>, socket: &Path, question: &str) -> Vec<OsString> {
    let mut arguments = login_arguments(login, socket);
    arguments.extend(["--batch", "--raw", "--skip-column-names"].map(OsString::from));
    arguments.push(format!("--execute={question}").into());
    arguments
}

/// Whether the grants give access to everything.
#[must_use]
pub fn grants_all(printed: &[u8]) -> bool {
    String::from_utf8_lossy(printed).lines().any(|line| line.starts_with("GRANT ALL PRIVILEGES ON *.* "))
}

/// Whether a client is `MariaDB`'s, from its `--version` output.
#[must_use]
pub fn is_mariadb(printed: &[u8]) -> bool {
    memchr::memmem::find(printed, b"MariaDB").is_some()
}

/// The server's prefix for a directory whose name is not a database's, for example `lost+found`.
const STRAY: &str = "#mysql50#";

/// The databases that a dump must contain, from the client's list.
#[must_use]
pub fn listed(printed: &[u8]) -> BTreeSet<String> {
    let is_real = |name: &&str| !name.is_empty() && !VIRTUAL.contains(name) && !name.starts_with(STRAY);
    String::from_utf8_lossy(printed).lines().filter(is_real).map(str::to_owned).collect()
}

/// The entries of that list that are not databases: directories that cannot be restored to any server.
#[must_use]
pub fn strays(printed: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(printed);
    text.lines().filter(|name| name.starts_with(STRAY)).map(str::to_owned).collect()
}

/// Extracts the database names from a dump as it streams by.
#[derive(Debug, Default)]
pub struct Databases(LineStarts);

impl Databases {
    /// Takes the next piece of the dump and passes each database name to `found`.
    pub fn read(&mut self, bytes: &[u8], found: &mut dyn FnMut(String)) {
        self.0.read(bytes, &mut |line| {
            if let Some(name) = database(line) {
                found(name);
            }
        });
    }
}

/// Parses ``CREATE DATABASE /*!32312 IF NOT EXISTS*/ `name` /*!40100 … */;``; a backtick in the name is doubled.
fn database(line: &[u8]) -> Option<String> {
    let rest = String::from_utf8_lossy(line.strip_prefix(b"CREATE DATABASE ")?).into_owned();
    let (_, quoted) = rest.split_once('`')?;
    let mut name = String::new();
    let mut letters = quoted.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '`' && letters.next_if_eq(&'`').is_none() {
            return Some(name);
        }
        name.push(letter);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{
        Databases, GRANTS, Login, dump_arguments, grants_all, is_socket, listed, question_arguments, strays,
    };
    use std::ffi::OsStr;
    use std::path::Path;

    #[test]
    fn a_socket_is_known_by_its_name() {
        for name in ["mysqld.sock", "mysql.sock", "mariadb.sock", "mysqld2.sock"] {
            assert!(is_socket(OsStr::new(name)), "{name}");
        }
        for name in ["mysqlx.sock", "mysql.socket", "x.sock", ""] {
            assert!(!is_socket(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn no_program_looks_elsewhere_or_sends_a_password_as_it_is() {
        let socket = Path::new("/run/a b");
        let common = ["--plugin-dir=/proc/self/fdinfo", "--protocol=socket", "--socket=/run/a b"];
        let dump = dump_arguments(Login::OptionFile, socket, None);
        assert_eq!(dump[..3], common);
        assert_eq!(dump[3..], ["--single-transaction", "--routines", "--events", "--all-databases"]);
        let only = listed(b"-a\nb c\n");
        let dump = dump_arguments(Login::Account("mysql"), socket, Some(&only));
        assert_eq!(dump[..2], ["--no-defaults", "--user=mysql"]);
        assert_eq!(dump[2..5], common);
        assert_eq!(dump[8..], ["--databases", "--", "-a", "b c"]);
        let question = question_arguments(Login::OptionFile, socket, GRANTS);
        assert_eq!(question[3..], ["--batch", "--raw", "--skip-column-names", "--execute=SHOW GRANTS"]);
    }

    #[test]
    fn all_rights_are_told_from_some() {
        assert!(grants_all(
            b"GRANT ALL PRIVILEGES ON *.* TO `mysql`@`localhost` IDENTIFIED VIA x\nGRANT PROXY\n"
        ));
        assert!(!grants_all(
            b"GRANT SELECT, RELOAD ON *.* TO `a`@`b`\nGRANT ALL PRIVILEGES ON `x`.* TO `a`@`b`\n"
        ));
    }

    #[test]
    fn what_the_server_makes_up_is_not_expected() {
        let names = listed(b"a b\ninformation_schema\nmysql\nperformance_schema\nsys\n#mysql50#lost+found\n");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a b", "mysql"]);
        let names = strays(b"a\n#mysql50#lost+found\n");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["#mysql50#lost+found"]);
    }

    #[test]
    fn the_databases_of_a_dump_are_named() {
        let dump =
            b"-- x\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ `it's ``b`` d` /*!40100 DEFAULT */;\nUSE `a`;\n\
            CREATE DATABASE `mysql`;\n";
        for size in [1, 7, 1000] {
            let (mut databases, mut names) = (Databases::default(), Vec::new());
            for piece in dump.chunks(size) {
                databases.read(piece, &mut |name| names.push(name));
            }
            assert_eq!(names, ["it's `b` d", "mysql"], "in pieces of {size}");
        }
    }
}
