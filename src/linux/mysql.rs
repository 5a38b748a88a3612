//! What is known of `MariaDB` and `MySQL`: their sockets' names, their programs' arguments, and what a dump looks like.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use super::line_starts::LineStarts;

/// The last words of a dump that is whole.
pub const ENDING: &str = "-- Dump completed";

/// The dumpers, best first.
pub const DUMPERS: [&str; 2] = ["mariadb-dump", "mysqldump"];

/// The clients, best first.
pub const CLIENTS: [&str; 2] = ["mariadb", "mysql"];

/// The database of the accounts: who does not see it does not see everything.
pub const ACCOUNTS: &str = "mysql";

/// What the server makes up when it is asked; no dump has them.
const VIRTUAL: [&str; 4] = ["information_schema", "performance_schema", "ndbinfo", "sys"];

/// Whether a socket's name is one of this kind of server. `mysqlx.sock` speaks another language.
#[must_use]
pub fn is_socket(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".sock"));
    let rest = |name| ["mysqld", "mysql", "mariadb"].iter().find_map(|start| str::strip_prefix(name, start));
    name.and_then(rest).is_some_and(|rest| !rest.starts_with('x'))
}

fn socket_option(socket: &Path) -> OsString {
    let mut option = OsString::from("--socket=");
    option.push(socket);
    option
}

/// What the dumper is given.
#[must_use]
pub fn dump_arguments(socket: &Path) -> Vec<OsString> {
    let options = ["--all-databases", "--single-transaction", "--routines", "--events"];
    [socket_option(socket)].into_iter().chain(options.map(OsString::from)).collect()
}

/// What the client is given to list the databases.
#[must_use]
pub fn list_arguments(socket: &Path) -> Vec<OsString> {
    let options = ["--batch", "--raw", "--skip-column-names", "--execute=SHOW DATABASES"];
    [socket_option(socket)].into_iter().chain(options.map(OsString::from)).collect()
}

/// The databases that a dump must have, from the client's list.
#[must_use]
pub fn listed(printed: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(printed);
    let is_real = |name: &&str| !name.is_empty() && !VIRTUAL.contains(name) && !name.starts_with("#mysql50#");
    text.lines().filter(is_real).map(str::to_owned).collect()
}

/// Finds the databases in a dump as it passes by.
#[derive(Debug, Default)]
pub struct Databases(LineStarts);

impl Databases {
    /// Takes the next piece of the dump and hands each database's name to `found`.
    pub fn read(&mut self, bytes: &[u8], found: &mut dyn FnMut(String)) {
        self.0.read(bytes, &mut |line| {
            if let Some(name) = database(line) {
                found(name);
            }
        });
    }
}

/// Reads ``CREATE DATABASE /*!32312 IF NOT EXISTS*/ `name` /*!40100 … */;``, a backtick in the name doubled.
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
    use super::{Databases, dump_arguments, is_socket, listed};
    use std::path::Path;

    #[test]
    fn a_socket_is_known_by_its_name() {
        for name in ["/run/mysqld/mysqld.sock", "/a/mysql.sock", "/mariadb.sock", "/mysqld2.sock"] {
            assert!(is_socket(Path::new(name)), "{name}");
        }
        for name in ["/run/mysqld/mysqlx.sock", "/mysql.socket", "/x.sock", "/"] {
            assert!(!is_socket(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn the_dumper_is_given_everything() {
        let expected =
            ["--socket=/run/a b", "--all-databases", "--single-transaction", "--routines", "--events"];
        assert_eq!(dump_arguments(Path::new("/run/a b")), expected);
    }

    #[test]
    fn what_the_server_makes_up_is_not_expected() {
        let names = listed(b"a b\ninformation_schema\nmysql\nperformance_schema\nsys\n#mysql50#lost+found\n");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a b", "mysql"]);
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
