//! macOS Server: where its tools and databases are, and the input and output of `serveradmin`.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::host::platform::MacOsVersion;
use crate::secret::Secret;

const LION: MacOsVersion = MacOsVersion { major: 10, minor: 7 };
const MOUNTAIN_LION: MacOsVersion = MacOsVersion { major: 10, minor: 8 };
const MAVERICKS: MacOsVersion = MacOsVersion { major: 10, minor: 9 };

/// The name of the directory's archive where it is a bundle.
pub const ARCHIVE: &str = "OpenDirectory.sparsebundle";
/// The name of the directory's archive where the server writes it as one file.
pub const ARCHIVE_FILE: &str = "OpenDirectory.sparseimage";
/// The settings of all services.
pub const SETTINGS: &str = "ServerSettings.plist.bz2";
/// The last line of `pg_dumpall`'s output.
pub const DUMP_END: &str = "-- PostgreSQL database cluster dump complete";

/// The server's own programs, and how to recognize a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTools {
    /// A server has at least one of these.
    pub signs: Vec<PathBuf>,
    /// Administers the services.
    pub serveradmin: PathBuf,
    /// Dumps every database of a `PostgreSQL` instance.
    pub pg_dumpall: PathBuf,
}

/// Their paths in this version; `None` before 10.7, which has no such server.
#[must_use]
pub fn tools(version: MacOsVersion, server_root: &Path, system_root: &Path) -> Option<ServerTools> {
    if version < LION {
        return None;
    }
    let root = if version < MOUNTAIN_LION { system_root } else { server_root };
    let serveradmin = root.join("usr/sbin/serveradmin");
    let signs = if version < MOUNTAIN_LION {
        vec![serveradmin.clone(), system_root.join("System/Library/CoreServices/ServerVersion.plist")]
    } else {
        vec![server_root.to_owned()]
    };
    Some(ServerTools { signs, serveradmin, pg_dumpall: root.join("usr/bin/pg_dumpall") })
}

/// How to tell whether an instance is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// This `serveradmin` service is RUNNING; the socket is the dump program's default.
    Service(&'static str),
    /// A socket in this directory below the system's root.
    Socket(&'static str),
    /// This service is RUNNING; its socket is in a directory whose name starts with the prefix, or else in the other.
    ServiceSocket {
        /// The service of `serveradmin`.
        service: &'static str,
        /// The parent of both directories, below the system's root.
        dir: &'static str,
        /// The prefix of the first name.
        prefix: &'static str,
        /// The second name.
        otherwise: &'static str,
    },
}

/// An instance of `PostgreSQL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// Its display name.
    pub name: &'static str,
    /// The file name of its dump.
    pub file: &'static str,
    /// The user with access to everything in it.
    pub user: &'static str,
    /// How to tell whether it is running.
    pub sign: Sign,
}

const STANDARD: Instance =
    Instance { name: "PostgreSQL", file: "Postgres.bz2", user: "_postgres", sign: Sign::Service("postgres") };

const SERVER_SERVICES: Instance = Instance {
    name: "PostgreSQL for Server Services",
    file: "PostgresServerServices.bz2",
    user: "_postgres",
    sign: Sign::Socket("Library/Server/PostgreSQL For Server Services/Socket"),
};

const OF_SERVICES: [Instance; 3] = [
    Instance {
        name: "PostgreSQL of Device Management",
        file: "PostgresDeviceManagement.bz2",
        user: "_devicemgr",
        sign: Sign::Socket("Library/Server/ProfileManager/Config/var/PostgreSQL"),
    },
    Instance {
        name: "PostgreSQL of Collaboration",
        file: "PostgresCollab.bz2",
        user: "collab",
        sign: Sign::Socket("Library/Server/Wiki/PostgresSocket"),
    },
    Instance {
        name: "PostgreSQL of Calendars and Contacts",
        file: "PostgresCalendarsContacts.bz2",
        user: "caldav",
        sign: Sign::ServiceSocket {
            service: "calendar",
            dir: "var/run/caldavd",
            prefix: "ccs_postgres_",
            otherwise: "PostgresSocket",
        },
    },
];

/// The instances that this version may have, in the order of their dumps.
#[must_use]
pub fn instances(version: MacOsVersion) -> Vec<Instance> {
    let mut instances = vec![STANDARD];
    if version >= MAVERICKS {
        instances.extend(OF_SERVICES);
    } else if version >= MOUNTAIN_LION {
        instances.push(SERVER_SERVICES);
    }
    instances
}

/// The port in a `PostgreSQL` socket name, `.s.PGSQL.5432`.
#[must_use]
pub fn socket_port(name: &str) -> Option<u16> {
    name.strip_prefix(".s.PGSQL.")?.parse().ok()
}

/// Why text cannot be passed to `serveradmin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unquotable {
    /// Its commands are text.
    #[error("is not UTF-8")]
    NotText,
    /// A line end ends the command.
    #[error("holds a line end or another control character")]
    Control,
    /// There is no documented way to escape these in a value.
    #[error("holds a quotation mark (\") or a backslash")]
    Quote,
}

/// The commands on serveradmin's standard input that archive the directory at `path`, encrypted with `password`.
///
/// The error says which of the two cannot be written, and why.
pub fn archive_commands(
    path: &Path,
    password: &Secret,
) -> Result<Zeroizing<Vec<u8>>, (&'static str, Unquotable)> {
    let path_value = quotable(path.as_os_str().as_encoded_bytes()).map_err(|why| ("archive's path", why))?;
    let password = quotable(password.expose()).map_err(|why| ("password", why))?;
    let parts: [&[u8]; 5] = [
        b"dirserv:backupArchiveParams:archivePassword = \"",
        password,
        b"\"\ndirserv:backupArchiveParams:archivePath = \"",
        path_value,
        b"\"\ndirserv:command = backupArchive\n\n",
    ];
    // One allocation: a growing buffer would leave copies of the password behind.
    let mut commands = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        commands.extend_from_slice(part);
    }
    Ok(commands)
}

/// The value unchanged, if it can be put between quotes.
fn quotable(value: &[u8]) -> Result<&[u8], Unquotable> {
    let text = std::str::from_utf8(value).map_err(|_| Unquotable::NotText)?;
    if text.chars().any(char::is_control) {
        return Err(Unquotable::Control);
    }
    if text.contains(['"', '\\']) { Err(Unquotable::Quote) } else { Ok(value) }
}

/// The value of a key in `serveradmin`'s output, `postgres:state = "RUNNING"`, without quotes.
#[must_use]
pub fn value(printed: &[u8], key: &str) -> Option<String> {
    String::from_utf8_lossy(printed)
        .lines()
        .filter_map(|line| line.split_once('='))
        .find(|(found, _)| found.trim() == key)
        .map(|(_, value)| unquote(value).to_owned())
}

fn unquote(value: &str) -> &str {
    let value = value.trim();
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// The state of a service according to `serveradmin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// It is running.
    Running,
    /// It is not running; this is its state.
    Resting(String),
    /// This server does not have it.
    Gone,
    /// Unknown; the output instead, if any.
    Unknown(Option<String>),
}

/// Whether the output says that the server does not have the service.
#[must_use]
pub fn is_gone(printed: &[u8], service: &str) -> bool {
    // The server loads each service as a bundle.
    value(printed, &format!("{service}:error")).is_some_and(|error| error.contains("LOAD_BUNDLE"))
}

/// Parses the output of `serveradmin status SERVICE`.
#[must_use]
pub fn read_status(printed: &[u8], service: &str) -> Service {
    match value(printed, &format!("{service}:state")) {
        Some(state) if state == "RUNNING" => Service::Running,
        Some(state) => Service::Resting(state),
        None if is_gone(printed, service) => Service::Gone,
        None => Service::Unknown(value(printed, &format!("{service}:error"))),
    }
}

/// This server's role in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directory {
    /// The master, which can be archived.
    Master,
    /// Any other role: a replica, a standalone server.
    Other(String),
    /// There is no directory service.
    Gone,
    /// Unknown; the output instead, if any.
    Unknown(Option<String>),
}

/// Parses the output of `serveradmin fullstatus dirserv`.
#[must_use]
pub fn read_directory(printed: &[u8]) -> Directory {
    match value(printed, "dirserv:LDAPServerType") {
        Some(kind) if kind == "master" => Directory::Master,
        Some(kind) => Directory::Other(kind),
        None if is_gone(printed, "dirserv") => Directory::Gone,
        None => match value(printed, "dirserv:state") {
            // A directory that was never set up has a state but no role.
            Some(state) if state == "STOPPED" => Directory::Other(state),
            state => Directory::Unknown(value(printed, "dirserv:error").or(state)),
        },
    }
}

/// The line of the output that reports a refused command; the exit code alone does not show it.
#[must_use]
pub fn refusal<'a>(out: &'a str, err: &'a str) -> Option<&'a str> {
    out.lines()
        .find(|line| is_refusal(line))
        .or_else(|| err.lines().find(|line| complains(line)))
        .map(str::trim)
}

/// Values that mean no error.
const NO_ERROR: [&str; 5] = ["", "0", "no", "noErr", "NO_ERROR"];

fn is_refusal(line: &str) -> bool {
    match line.split_once('=') {
        Some((key, value)) => {
            let last = key.trim().rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
            let value = unquote(value);
            (last.contains("error") && !NO_ERROR.contains(&value)) || value.ends_with("_ERR")
        }
        None => complains(line),
    }
}

fn complains(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    ["error", "fail", "refuse", "denied", "not permitted", "cannot", "can't", "unable", "invalid", "unknown"]
        .iter()
        .any(|word| line.contains(word))
}

/// Extracts the database names from a dump as it streams by.
#[derive(Debug, Default)]
pub struct DatabaseNames {
    line: Vec<u8>,
    found: Vec<String>,
}

/// Enough of a line for a name of 63 characters, in bytes.
const LINE: usize = 512;

impl DatabaseNames {
    /// Takes the next part of the dump.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..at]);
            self.finish_line();
            bytes = &bytes[at + 1..];
        }
        self.keep(bytes);
    }

    /// The names so far, as written in the dump, in order.
    #[must_use]
    pub fn found(&self) -> &[String] {
        &self.found
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn finish_line(&mut self) {
        // In table data backslashes are doubled, so no row looks like this.
        if let Some(name) = self.line.strip_prefix(b"\\connect ") {
            let name = String::from_utf8_lossy(name).trim().to_owned();
            if !self.found.contains(&name) {
                self.found.push(name);
            }
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> MacOsVersion {
        text.parse().unwrap()
    }

    #[test]
    fn the_tools_are_where_the_version_has_them() {
        let of = |text: &str| tools(version(text), Path::new("/S"), Path::new("/"));
        assert_eq!(of("10.6.8"), None);
        assert_eq!(of("10.7").unwrap().serveradmin, Path::new("/usr/sbin/serveradmin"));
        assert_eq!(of("10.7.5").unwrap().pg_dumpall, Path::new("/usr/bin/pg_dumpall"));
        for text in ["10.8", "10.9.5", "10.11", "10.13", "11.0", "15.1"] {
            assert_eq!(of(text).unwrap().serveradmin, Path::new("/S/usr/sbin/serveradmin"), "{text}");
            assert_eq!(of(text).unwrap().pg_dumpall, Path::new("/S/usr/bin/pg_dumpall"), "{text}");
        }
    }

    #[test]
    fn each_version_has_its_instances() {
        let of = |text: &str| {
            instances(version(text)).iter().map(|instance| instance.file).collect::<Vec<_>>().join(" ")
        };
        let services =
            "Postgres.bz2 PostgresDeviceManagement.bz2 PostgresCollab.bz2 PostgresCalendarsContacts.bz2";
        assert_eq!(of("10.7.5"), "Postgres.bz2");
        assert_eq!(of("10.8.5"), "Postgres.bz2 PostgresServerServices.bz2");
        for text in ["10.9", "10.11", "10.13", "11", "15"] {
            assert_eq!(of(text), services, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_quoted_is_refused() {
        let of = |password: &[u8]| {
            archive_commands(Path::new("/b/x y.sparsebundle"), &Secret::new(password.to_vec()))
                .map(|commands| String::from_utf8(commands.to_vec()).unwrap())
        };
        assert_eq!(
            of("a = 'ü' yes ".as_bytes()).unwrap(),
            "dirserv:backupArchiveParams:archivePassword = \"a = 'ü' yes \"\n\
             dirserv:backupArchiveParams:archivePath = \"/b/x y.sparsebundle\"\n\
             dirserv:command = backupArchive\n\n"
        );
        assert_eq!(of(b"a\nb"), Err(("password", Unquotable::Control)));
        assert_eq!(of(b"a\0b"), Err(("password", Unquotable::Control)));
        assert_eq!(of(b"a\"b"), Err(("password", Unquotable::Quote)));
        assert_eq!(of(b"a\\"), Err(("password", Unquotable::Quote)));
        assert_eq!(of(b"\xff"), Err(("password", Unquotable::NotText)));
    }

    #[test]
    fn answers_are_read() {
        let status = |text: &str| read_status(text.as_bytes(), "postgres");
        assert_eq!(status("postgres:state = \"RUNNING\"\n"), Service::Running);
        assert_eq!(status("postgres:state = \"STOPPED\"\n"), Service::Resting("STOPPED".into()));
        assert_eq!(status("postgres:error = \"CANNOT_LOAD_BUNDLE_ERR\"\n"), Service::Gone);
        assert_eq!(status("calendar:state = \"RUNNING\"\n"), Service::Unknown(None));
        let directory = |text: &str| read_directory(text.as_bytes());
        assert_eq!(
            directory("dirserv:state = \"RUNNING\"\ndirserv:LDAPServerType = \"master\"\n"),
            Directory::Master
        );
        assert_eq!(directory("dirserv:LDAPServerType = \"replica\"\n"), Directory::Other("replica".into()));
        assert_eq!(directory("dirserv:state = \"STOPPED\"\n"), Directory::Other("STOPPED".into()));
        assert_eq!(directory(""), Directory::Unknown(None));
    }

    #[test]
    fn a_refusal_is_found_whatever_the_exit_code() {
        assert_eq!(refusal("dirserv:state = \"RUNNING\"\n", ""), None);
        assert_eq!(refusal("dirserv:error = 0\ndirserv:readStatus = 0\n", ""), None);
        assert_eq!(
            refusal("dirserv:error = \"ARCHIVE_FAILED\"\n", ""),
            Some("dirserv:error = \"ARCHIVE_FAILED\"")
        );
        assert_eq!(
            refusal("x:y = 1\ndirserv:status = \"BAD_PATH_ERR\"", ""),
            Some("dirserv:status = \"BAD_PATH_ERR\"")
        );
        assert_eq!(refusal("", "hdiutil: create failed\n"), Some("hdiutil: create failed"));
    }

    #[test]
    fn databases_are_named_however_the_dump_arrives() {
        let dump = b"--\n\\connect postgres\n\\connect \"a b\"\nx\n\\\\connect row\n\\connect postgres\n";
        for size in [1, 3, 100] {
            let mut names = DatabaseNames::default();
            dump.chunks(size).for_each(|chunk| names.push(chunk));
            assert_eq!(names.found(), ["postgres", "\"a b\""]);
        }
    }
}
