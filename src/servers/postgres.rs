//! `PostgreSQL`: its sockets and files, where its programs are, their arguments, and the format of a dump.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// The names of the server program.
pub const SERVERS: [&str; 3] = ["postgres", "postmaster", "edb-postgres"];

/// The accounts it runs as in system and third-party packages.
pub const ACCOUNTS: [&str; 7] =
    ["postgres", "_postgres", "_postgresql", "postgresql", "pgsql", "gitlab-psql", "enterprisedb"];

/// The last line of a complete dump.
pub const ENDING: &str = "PostgreSQL database cluster dump complete";

/// The port of a cluster, which is part of its socket's name: `.s.PGSQL.PORT`.
#[must_use]
pub fn port(socket: &OsStr) -> Option<u16> {
    socket.to_str()?.strip_prefix(".s.PGSQL.")?.parse().ok()
}

/// The arguments of `pg_dumpall`: the directory of the socket, the port, and never to prompt for a password.
#[must_use]
pub fn arguments(directory: &Path, port: u16) -> Vec<OsString> {
    ["-h".into(), directory.into(), "-p".into(), port.to_string().into(), "-w".into()].into()
}

/// A major version: 9.6, or 15 followed by 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u16,
    minor: u16,
}

impl Version {
    /// Parses a `PG_VERSION` file, a directory name, or a program's version: `15`, `15.4`, `9.6`, `17beta1`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut numbers = text
            .trim()
            .split('.')
            .map(|part| &part[..part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len())]);
        let major = numbers.next()?.parse().ok()?;
        // From 10 on the second number is not part of the major version.
        let minor = if major >= 10 { 0 } else { numbers.next()?.parse().ok()? };
        Some(Self { major, minor })
    }

    /// Parses the output of `pg_dumpall --version`: `pg_dumpall (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
    #[must_use]
    pub fn of_program(printed: &str) -> Option<Self> {
        printed.split_ascii_whitespace().nth(2).and_then(Self::read)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.minor {
            0 if self.major >= 10 => write!(formatter, "{}", self.major),
            minor => write!(formatter, "{}.{minor}", self.major),
        }
    }
}

/// Where to find a `pg_dumpall` for a server of this version, best first: the same version, later ones, any other.
///
/// `debian` are the names in `USR/lib/postgresql`, `packaged` those of the form `pgsql-VERSION` in `USR`.
#[must_use]
pub fn dumpers(usr: &Path, server: Version, debian: &[OsString], packaged: &[OsString]) -> Vec<PathBuf> {
    let version = |name: &OsStr| name.to_str().and_then(Version::read).filter(|version| *version >= server);
    let of_debian = debian
        .iter()
        .filter_map(|name| Some((version(name)?, 0, usr.join("lib/postgresql").join(name).join("bin"))));
    let of_others = packaged.iter().filter_map(|name| {
        let number = OsString::from_vec(name.as_bytes().strip_prefix(b"pgsql-")?.to_vec());
        Some((version(&number)?, 1, usr.join(name).join("bin")))
    });
    let mut dirs: Vec<(Version, u8, PathBuf)> = of_debian.chain(of_others).collect();
    dirs.sort();
    let own = dirs.into_iter().map(|(_, _, dir)| dir);
    own.chain([usr.join("bin")]).map(|dir| dir.join("pg_dumpall")).collect()
}

/// Extracts the database names from a dump as it streams by: each starts with `\connect`, which data cannot.
#[derive(Debug, Default)]
pub struct Databases(crate::servers::line_starts::LineStarts);

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

/// Parses `\connect name`, `\connect "na me"` or `\connect -reuse-previous=on "dbname='na me'"`.
fn database(line: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(line.strip_prefix(b"\\connect ")?).trim().to_owned();
    let name = line.strip_prefix("-reuse-previous=on ").unwrap_or(&line);
    let name = unquoted(name, '"').unwrap_or_else(|| name.to_owned());
    let Some(value) = name.strip_prefix("dbname=").filter(|_| line.starts_with("-reuse")) else {
        return Some(name);
    };
    Some(unquoted(value, '\'').unwrap_or_else(|| value.to_owned()))
}

/// The text between two quotes, where the quote itself is doubled or escaped with a backslash.
fn unquoted(text: &str, quote: char) -> Option<String> {
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let doubled = format!("{quote}{quote}");
    let single = quote.to_string();
    Some(if quote == '\'' {
        inner.replace("\\'", "'").replace("\\\\", "\\")
    } else {
        inner.replace(&doubled, &single)
    })
}

/// Whether a line of standard error is a hint about restoring, not a problem with the dump.
#[must_use]
pub fn is_harmless(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let markers = [": warning: ", ": detail: ", ": hint: ", "WARNING: ", "DETAIL: ", "HINT: ", "NOTICE: "];
    let older =
        ["pg_dump: You might not be able to restore", "pg_dump: Consider using a full dump", "pg_dump:   "];
    let is_warning = markers.iter().any(|marker| text.contains(marker))
        || older.iter().any(|start| text.starts_with(start));
    let is_loss =
        ["not dumped", "ERROR: ", ": error: ", "FATAL: "].iter().any(|marker| text.contains(marker));
    text.trim().is_empty() || (is_warning && !is_loss)
}

#[cfg(test)]
mod tests {
    use super::{Databases, Version, arguments, dumpers, is_harmless, port};
    use std::ffi::{OsStr, OsString};
    use std::path::{Path, PathBuf};

    #[test]
    fn a_socket_is_known_by_its_name() {
        assert_eq!(port(OsStr::new(".s.PGSQL.5433")), Some(5433));
        assert_eq!(arguments(Path::new("/run/a b"), 5433), ["-h", "/run/a b", "-p", "5433", "-w"]);
        for other in [".s.PGSQL.5433.lock", ".s.PGSQL.x", ".s.PGSQL.70000", "mysqld.sock", ""] {
            assert_eq!(port(OsStr::new(other)), None, "{other}");
        }
    }

    #[test]
    fn versions_are_read_and_compared() {
        let of = |text| Version::read(text).unwrap();
        assert!(of("9.6\n") < of("10"));
        assert_eq!(of("15.4"), of("15\n"));
        assert_eq!(of("17beta1").to_string(), "17");
        assert_eq!(of("9.6").to_string(), "9.6");
        let printed = "pg_dumpall (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n";
        assert_eq!(Version::of_program(printed), Some(of("15")));
        for bad in ["", "x", "9", "-1"] {
            assert_eq!(Version::read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_dumper_of_the_servers_version_or_later_is_looked_for() {
        let names = |names: &[&str]| names.iter().map(OsString::from).collect::<Vec<_>>();
        let found = dumpers(
            Path::new("/usr"),
            Version::read("13").unwrap(),
            &names(&["9.6", "15", "13", "junk"]),
            &names(&["pgsql-14", "pgsql-12", "bin"]),
        );
        let expected = [
            "/usr/lib/postgresql/13/bin/pg_dumpall",
            "/usr/pgsql-14/bin/pg_dumpall",
            "/usr/lib/postgresql/15/bin/pg_dumpall",
            "/usr/bin/pg_dumpall",
        ];
        assert_eq!(found, expected.map(PathBuf::from));
    }

    #[test]
    fn the_databases_of_a_dump_are_named() {
        let dump =
            b"--\n\\connect template1\nCOPY t FROM stdin;\n\\\\connect no\n\\.\n\\connect \"we\"\"ird\"\n\
            \\connect -reuse-previous=on \"dbname='it\\\\'s a \"\"db\"\"'\"\n";
        // The literal above needs two backslashes; pg_dump writes `\'`.
        let dump = String::from_utf8_lossy(dump).replace("\\\\'", "\\'");
        for size in [1, 7, 1000] {
            let (mut databases, mut names) = (Databases::default(), Vec::new());
            for piece in dump.as_bytes().chunks(size) {
                databases.read(piece, &mut |name| names.push(name));
            }
            assert_eq!(names, ["template1", "we\"ird", "it's a \"db\""], "in pieces of {size}");
        }
    }

    #[test]
    fn warnings_about_a_restore_are_no_complaint() {
        assert!(is_harmless(b"pg_dump: warning: there are circular foreign-key constraints on this table:"));
        assert!(is_harmless(b"pg_dump: detail: t"));
        assert!(is_harmless(b"WARNING:  database \"a\" has a collation version mismatch"));
        assert!(!is_harmless(
            b"pg_dump: warning: subscriptions not dumped because current user is not a superuser"
        ));
        assert!(!is_harmless(b"pg_dumpall: error: pg_dump failed on database \"a\", exiting"));
        assert!(!is_harmless(b"something new"));
    }
}
