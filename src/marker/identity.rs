//! The identity file of a destination, `.PREFIX.counterpart.id` at its root.
//!
//! Its first line is the id, 32 hexadecimal digits; older files have nothing else. Lines `Filesystem: UUID`, `Source:
//! HOST:PATH`, `Source Filesystem: UUID`, `Source Mount Point: PATH` and, for each filesystem below the source that is part
//! of the clone, `Source Part: UUID PATH` follow. Anyone who can write to the disk can
//! write anything there, so it is only compared.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::display;

/// The most that is read of the file, in bytes; ours have a few hundred, and a path has at most 4,096.
pub const LARGEST: u64 = 1 << 16;

/// The number of digits of an id.
const DIGITS: usize = 32;

/// The labels of the further lines.
const FILESYSTEM: &str = "Filesystem: ";
const SOURCE: &str = "Source: ";
const SOURCE_FILESYSTEM: &str = "Source Filesystem: ";
const SOURCE_MOUNT_POINT: &str = "Source Mount Point: ";
const SOURCE_PART: &str = "Source Part: ";

/// The most parts that are read.
const MOST_PARTS: usize = 64;

/// The file's contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// 32 random hexadecimal digits.
    pub id: String,
    /// The UUID of the filesystem it was written on, if that could be determined.
    pub filesystem: Option<String>,
    /// The source that is cloned to it.
    pub source: Option<Origin>,
    /// The UUID of the source's filesystem, if that could be determined.
    pub source_filesystem: Option<String>,
    /// Where that filesystem was mounted, escaped.
    pub source_mount_point: Option<String>,
    /// The filesystems below it that are part of the clone.
    pub source_parts: Vec<Part>,
}

/// A filesystem mounted below the source that is part of the clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where it is mounted, relative to the source, escaped.
    pub path: String,
    /// Its UUID, if that could be determined.
    pub uuid: Option<String>,
}

impl Part {
    fn read(text: &str) -> Option<Self> {
        let (uuid, path) = text.split_once(' ')?;
        let uuid = if uuid == "-" { None } else { Some(read_uuid(uuid)?) };
        (!path.is_empty()).then(|| Self { path: path.to_owned(), uuid })
    }
}

/// A source as recorded in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The machine's name, escaped.
    pub host: String,
    /// The source's path, escaped.
    pub path: String,
}

impl Origin {
    /// The source at this path on this machine.
    #[must_use]
    pub fn new(host: &str, path: &Path) -> Self {
        Self { host: host.to_owned(), path: display::path(path).to_string() }
    }

    /// A host name contains no slash, and a path begins with one.
    fn read(text: &str) -> Option<Self> {
        let (host, path) = text.split_once(":/")?;
        Some(Self { host: host.to_owned(), path: format!("/{path}") })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.path)
    }
}

impl Identity {
    /// An id with nothing else known.
    #[must_use]
    pub fn bare(id: String) -> Self {
        Self {
            id,
            filesystem: None,
            source: None,
            source_filesystem: None,
            source_mount_point: None,
            source_parts: Vec::new(),
        }
    }

    /// Parses the file; `None` if its first line is not an id. Unknown lines are ignored.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let id =
            lines.next().filter(|line| line.len() == DIGITS && line.iter().all(u8::is_ascii_hexdigit))?;
        let mut identity = Self::bare(String::from_utf8_lossy(id).to_ascii_lowercase());
        for line in lines {
            let line = display::line(line).to_string();
            if let Some(uuid) = line.strip_prefix(FILESYSTEM) {
                identity.filesystem = read_uuid(uuid);
            } else if let Some(source) = line.strip_prefix(SOURCE) {
                identity.source = Origin::read(source);
            } else if let Some(uuid) = line.strip_prefix(SOURCE_FILESYSTEM) {
                identity.source_filesystem = read_uuid(uuid);
            } else if let Some(path) = line.strip_prefix(SOURCE_MOUNT_POINT) {
                identity.source_mount_point = path.starts_with('/').then(|| path.to_owned());
            } else if let Some(part) = line.strip_prefix(SOURCE_PART).and_then(Part::read)
                && identity.source_parts.len() < MOST_PARTS
            {
                identity.source_parts.push(part);
            }
        }
        Some(identity)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.id)?;
        if let Some(uuid) = &self.filesystem {
            writeln!(formatter, "{FILESYSTEM}{uuid}")?;
        }
        if let Some(source) = &self.source {
            writeln!(formatter, "{SOURCE}{source}")?;
        }
        if let Some(uuid) = &self.source_filesystem {
            writeln!(formatter, "{SOURCE_FILESYSTEM}{uuid}")?;
        }
        if let Some(path) = &self.source_mount_point {
            writeln!(formatter, "{SOURCE_MOUNT_POINT}{path}")?;
        }
        for Part { path, uuid } in &self.source_parts {
            writeln!(formatter, "{SOURCE_PART}{} {path}", uuid.as_deref().unwrap_or("-"))?;
        }
        Ok(())
    }
}

/// A filesystem's UUID as printed by a tool or read from a file: letters, digits and `-`. `None` for anything else.
#[must_use]
pub fn read_uuid(text: &str) -> Option<String> {
    /// The usual form has 36 characters.
    const LONGEST: usize = 64;
    let uuid = text.trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    ((1..=LONGEST).contains(&uuid.len()) && uuid.bytes().all(is_plain)).then(|| uuid.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Identity, Origin, Part, read_uuid};

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn whole(path: &str) -> Identity {
        Identity {
            id: ID.to_owned(),
            filesystem: Some("5b2d-77".to_owned()),
            source: Some(Origin::new("a.example", Path::new(path))),
            source_filesystem: Some("1234-ABCD".to_owned()),
            source_mount_point: Some("/mnt: \\#012".to_owned()),
            source_parts: vec![
                Part { path: "boot".to_owned(), uuid: Some("12-ab".to_owned()) },
                Part { path: "a b/\\#012".to_owned(), uuid: None },
            ],
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for path in ["/", "/home", "/a:/b", "/two\nlines \u{202e}", "/ \\#012"] {
            let written = whole(path);
            assert_eq!(Identity::read(written.to_string().as_bytes()), Some(written), "{path:?}");
        }
        assert_eq!(
            whole("/x\ny").to_string(),
            format!(
                "{ID}\nFilesystem: 5b2d-77\nSource: a.example:/x\\#012y\nSource Filesystem: 1234-ABCD\n\
                 Source Mount Point: /mnt: \\#012\nSource Part: 12-ab boot\nSource Part: - a b/\\#012\n"
            )
        );
        let bare = Identity::bare(ID.to_owned());
        assert_eq!(bare.to_string(), format!("{ID}\n"));
        assert_eq!(Identity::read(bare.to_string().as_bytes()), Some(bare));
    }

    #[test]
    fn an_id_alone_and_lines_that_nobody_knows_are_no_harm() {
        let bare = Identity::bare(ID.to_owned());
        for rest in ["", "\n", "\nFilesystem: a b\nSource: nowhere\n\0\u{1b}[2J\nMore: 1\n", "\n\n\n"] {
            assert_eq!(Identity::read(format!("{ID}{rest}").as_bytes()), Some(bare.clone()), "{rest:?}");
        }
        let upper = format!("{}\nSource: b:/x\u{1b}\n", ID.to_uppercase());
        let read = Identity::read(upper.as_bytes()).unwrap();
        assert_eq!((read.id.as_str(), read.source.unwrap().path.as_str()), (ID, "/x\\#033"));
    }

    #[test]
    fn what_is_no_id_is_none() {
        let long = format!("{ID}0");
        for text in ["", "\n", "x\n", &ID[1..], long.as_str(), " 123456789abcdef0123456789abcdef", "\u{fc}"] {
            assert_eq!(Identity::read(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Identity::read(&b"\xff".repeat(100_000)), None);
        assert_eq!(Identity::read(&b"\n".repeat(100_000)), None);
    }

    #[test]
    fn uuids_of_every_kind_are_read() {
        for uuid in ["5b2d77f0-90a5-4b8f-b7e5-0123456789ab", "1234-ABCD", "01D5"] {
            assert_eq!(read_uuid(&format!("{uuid}\n")), Some(uuid.to_owned()));
        }
        for text in ["", " \n", "a b", "a/b", "\u{fc}", &"a".repeat(65)] {
            assert_eq!(read_uuid(text), None, "{text:?}");
        }
    }
}
