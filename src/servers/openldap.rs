//! `OpenLDAP`: how slapd's configuration is specified, and how slapcat is called.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The name of the server program.
pub const SERVERS: [&str; 1] = ["slapd"];

/// The accounts it runs as in system and third-party packages.
pub const ACCOUNTS: [&str; 5] = ["openldap", "ldap", "_openldap", "_ldap", "slapd"];

/// The location of slapd's configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Configuration {
    /// A directory: the database cn=config.
    Dir(PathBuf),
    /// A text file, the older form.
    File(PathBuf),
}

/// slapd's single-letter options that take a value.
const WITH_VALUE: &[u8] = b"cdfFhnosTugrl";

impl Configuration {
    /// The configuration given to a running slapd, from `/proc/PID/cmdline`; `None` if it uses its default.
    #[must_use]
    pub fn of_command_line(line: &[u8], current_dir: &Path) -> Option<Self> {
        let (mut dir, mut file) = (None, None);
        let mut arguments = line.split(|byte| *byte == 0).skip(1);
        while let Some(argument) = arguments.next() {
            let [b'-', letter, rest @ ..] = argument else { continue };
            if !WITH_VALUE.contains(letter) {
                continue;
            }
            let value = if rest.is_empty() { arguments.next().unwrap_or_default() } else { rest };
            let path = current_dir.join(OsStr::from_bytes(value));
            match letter {
                b'F' => dir = Some(path),
                b'f' => file = Some(path),
                _ => {}
            }
        }
        // Given both, slapd converts the file into the directory and then uses the directory.
        dir.map(Self::Dir).or(file.map(Self::File))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Dir(path) | Self::File(path) => path,
        }
    }

    /// The same kind at another path.
    #[must_use]
    pub fn placed_at(&self, path: PathBuf) -> Self {
        match self {
            Self::Dir(_) => Self::Dir(path),
            Self::File(_) => Self::File(path),
        }
    }

    /// The arguments for slapcat to print one database, with the configuration at `path`.
    #[must_use]
    pub fn arguments(&self, path: &Path, database: u32) -> Vec<OsString> {
        let option = match self {
            Self::Dir(_) => "-F",
            Self::File(_) => "-f",
        };
        [option.into(), path.into(), "-n".into(), database.to_string().into()].into()
    }
}

/// Whether a process of the server program is one of its tools, which are the same program under other names.
#[must_use]
pub fn is_tool(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name.starts_with(b"slap") && name != b"slapd"
}

/// A database number that never exists: slapcat answers with the valid range.
pub const NO_DATABASE: u32 = 1_000_000;

/// The number of the last database, from `Must be in the range 0 to 2 (the number of configured databases)`.
#[must_use]
pub fn last_database(printed: &str) -> Option<u32> {
    let (_, rest) = printed.split_once("Must be in the range 0 to ")?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// Whether slapcat says that this database has no content of its own, such as a monitor or a proxy.
#[must_use]
pub fn holds_nothing(words: &str) -> bool {
    words.contains("support necessary operations") || words.contains("do not allow slapcat")
}

/// The line before each database in the file, an LDIF comment.
#[must_use]
pub fn separator(database: u32) -> String {
    format!("# Counterpart: database {database}\n")
}

/// Whether a line of standard error is harmless.
#[must_use]
pub fn is_harmless(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line).to_lowercase();
    text.trim().is_empty() || text.contains("warning") || text.contains("config file testing succeeded")
}

#[cfg(test)]
mod tests {
    use super::{Configuration, is_tool, last_database};
    use std::path::Path;

    #[test]
    fn the_configuration_is_read_as_slapd_reads_it() {
        let of = |line: &str| {
            let line = line.replace(' ', "\0");
            Configuration::of_command_line(line.as_bytes(), Path::new("/srv"))
        };
        let dir = |path: &str| Some(Configuration::Dir(path.into()));
        let file = |path: &str| Some(Configuration::File(path.into()));
        assert_eq!(
            of("slapd -h ldapi:/// -g openldap -u openldap -F /etc/ldap/slapd.d"),
            dir("/etc/ldap/slapd.d")
        );
        assert_eq!(of("slapd -4 -f slapd.conf -d -f"), file("/srv/slapd.conf"));
        assert_eq!(of("slapd -f/a -F b"), dir("/srv/b"));
        assert_eq!(of("slapd -n -F"), None, "the name of the service is -F");
        assert_eq!(of("slapd"), None);
    }

    #[test]
    fn a_tool_is_no_server() {
        for (line, expected) in [
            (b"/usr/sbin/slapd\0-F\0slapcat".as_slice(), false),
            (b"slapcat\0-n\x000", true),
            (b"/usr/sbin/slapadd", true),
            (b"", false),
        ] {
            assert_eq!(is_tool(line), expected, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn slapcat_tells_how_many_databases_there_are() {
        let printed = "Database number selected via -n is out of range\nMust be in the range 0 to 2 (the number of \
                       configured databases)\n";
        assert_eq!(last_database(printed), Some(2));
        assert_eq!(last_database("slapcat: bad configuration file!\n"), None);
    }
}
