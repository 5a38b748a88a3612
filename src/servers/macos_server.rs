//! macOS Server: where its tools and databases are, what `serveradmin` is told, and what it answers.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::host::platform::MacOsVersion;
use crate::secret::Secret;

const LION: MacOsVersion = MacOsVersion { major: 10, minor: 7 };
const MOUNTAIN_LION: MacOsVersion = MacOsVersion { major: 10, minor: 8 };
const MAVERICKS: MacOsVersion = MacOsVersion { major: 10, minor: 9 };

/// The directory's archive where it is a bundle, and where it is one file.
pub const ARCHIVE: &str = "OpenDirectory.sparsebundle";
/// The directory's archive where the server makes one file of it.
pub const ARCHIVE_FILE: &str = "OpenDirectory.sparseimage";
/// The settings of all services.
pub const SETTINGS: &str = "ServerSettings.plist.bz2";
/// The last words of `pg_dumpall`.
pub const DUMP_END: &str = "-- PostgreSQL database cluster dump complete";

/// The server's own programs, and what shows that there is a server at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTools {
    /// Any of these exists on a server.
    pub signs: Vec<PathBuf>,
    /// Administers the services.
    pub serveradmin: PathBuf,
    /// Dumps every database of a `PostgreSQL` instance.
    pub pg_dumpall: PathBuf,
}

/// Where this version has them; `None` before 10.7, which has no such server.
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

/// What tells whether an instance runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// This service of `serveradmin` is RUNNING; the socket is where the dumper looks by itself.
    Service(&'static str),
    /// A socket in this directory below the system's root.
    Socket(&'static str),
    /// This service is RUNNING, and its socket is in a directory whose name begins with the prefix, else in the other.
    ServiceSocket {
        /// The service of `serveradmin`.
        service: &'static str,
        /// The directory that holds both, below the system's root.
        dir: &'static str,
        /// The beginning of the one name.
        prefix: &'static str,
        /// The other name.
        otherwise: &'static str,
    },
}

/// An instance of `PostgreSQL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// Its name for people.
    pub name: &'static str,
    /// The dump's name.
    pub file: &'static str,
    /// The user who may read everything in it.
    pub user: &'static str,
    /// What tells whether it runs.
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

/// The instances that this version may have, in the order in which they are dumped.
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

/// The port in the name of a socket of `PostgreSQL`, `.s.PGSQL.5432`.
#[must_use]
pub fn socket_port(name: &str) -> Option<u16> {
    name.strip_prefix(".s.PGSQL.")?.parse().ok()
}

/// Why a text cannot be handed to `serveradmin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unquotable {
    /// Its commands are text.
    #[error("is not UTF-8")]
    NotText,
    /// A command ends with its line.
    #[error("holds a line end or another control character")]
    Control,
    /// It documents no way to write these in a value.
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
    // One allocation: a buffer that grows would leave copies of the password behind.
    let mut commands = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        commands.extend_from_slice(part);
    }
    Ok(commands)
}

/// The value as it is, if it can stand between quotation markers.
fn quotable(value: &[u8]) -> Result<&[u8], Unquotable> {
    let text = std::str::from_utf8(value).map_err(|_| Unquotable::NotText)?;
    if text.chars().any(char::is_control) {
        return Err(Unquotable::Control);
    }
    if text.contains(['"', '\\']) { Err(Unquotable::Quote) } else { Ok(value) }
}

/// The value of a key in what `serveradmin` prints, `postgres:state = "RUNNING"`, without quotation markers.
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

/// What `serveradmin` says of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// It runs.
    Running,
    /// It does not: this is its state.
    Resting(String),
    /// This server does not have it.
    Gone,
    /// It cannot be told; what was said instead, or nothing.
    Unknown(Option<String>),
}

/// Whether an answer says that the server does not have the service.
#[must_use]
pub fn is_gone(printed: &[u8], service: &str) -> bool {
    // The server loads each service as a bundle.
    value(printed, &format!("{service}:error")).is_some_and(|error| error.contains("LOAD_BUNDLE"))
}

/// Reads the answer of `serveradmin status SERVICE`.
#[must_use]
pub fn read_status(printed: &[u8], service: &str) -> Service {
    match value(printed, &format!("{service}:state")) {
        Some(state) if state == "RUNNING" => Service::Running,
        Some(state) => Service::Resting(state),
        None if is_gone(printed, service) => Service::Gone,
        None => Service::Unknown(value(printed, &format!("{service}:error"))),
    }
}

/// What this server is in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directory {
    /// The master, which can be archived.
    Master,
    /// Something else: a replica, a standalone server.
    Other(String),
    /// There is no directory service.
    Gone,
    /// It cannot be told; what was said instead, or nothing.
    Unknown(Option<String>),
}

/// Reads the answer of `serveradmin fullstatus dirserv`.
#[must_use]
pub fn read_directory(printed: &[u8]) -> Directory {
    match value(printed, "dirserv:LDAPServerType") {
        Some(kind) if kind == "master" => Directory::Master,
        Some(kind) => Directory::Other(kind),
        None if is_gone(printed, "dirserv") => Directory::Gone,
        None => match value(printed, "dirserv:state") {
            // A directory that was never set up has a state and no role.
            Some(state) if state == "STOPPED" => Directory::Other(state),
            state => Directory::Unknown(value(printed, "dirserv:error").or(state)),
        },
    }
}

/// The line of an answer that says that a command was refused; its exit code alone does not tell.
#[must_use]
pub fn refusal<'a>(out: &'a str, err: &'a str) -> Option<&'a str> {
    out.lines()
        .find(|line| is_refusal(line))
        .or_else(|| err.lines().find(|line| complains(line)))
        .map(str::trim)
}

/// Values that say that there was no error.
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

/// Reads the names of the databases from a dump that passes by.
#[derive(Debug, Default)]
pub struct DatabaseNames {
    line: Vec<u8>,
    found: Vec<String>,
}

/// As much of a line as can hold a name of 63 characters, in bytes.
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

    /// The names so far, as the dump writes them, in order.
    #[must_use]
    pub fn found(&self) -> &[String] {
        &self.found
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn finish_line(&mut self) {
        // In a table's data a backslash is doubled, so no row looks like this.
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
