//! The findings of the audit.
#![allow(dead_code, reason = "each test crate uses a part")]

use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::dir::{Kind, Time, shown};

/// One of the two trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The tree that was cloned.
    Source,
    /// The clone.
    Clone,
}

/// One property that differs in the clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The path, relative to both roots; empty for the roots themselves.
    pub path: PathBuf,
    /// The property.
    pub what: What,
}

/// The property that differs, with its values in the source and in the clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The clone lacks the entry and everything below it.
    Missing,
    /// The clone has an entry, with everything below it, that the source lacks.
    Extra,
    /// The type.
    Kind { source: Kind, clone: Kind },
    /// The size of a file; the contents are then not compared.
    Size { source: u64, clone: u64 },
    /// The contents of a file of the same size, from this byte.
    Contents { offset: u64 },
    /// The bytes that a sparse file occupies.
    Sparseness { source: u64, clone: u64 },
    /// The permissions.
    Mode { source: u32, clone: u32 },
    /// The owner.
    Uid { source: u32, clone: u32 },
    /// The group.
    Gid { source: u32, clone: u32 },
    /// The modification time.
    Mtime { source: Time, clone: Time },
    /// The target of a symbolic link.
    Target { source: OsString, clone: OsString },
    /// The first name of the hard-linked file.
    HardLinks { source: PathBuf, clone: PathBuf },
    /// The value of an extended attribute, if present.
    Xattr { name: OsString, source: Option<Vec<u8>>, clone: Option<Vec<u8>> },
    /// The device of a device node.
    Device { source: u64, clone: u64 },
    /// One side could not be read.
    Unreadable { side: Side, error: String },
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", shown(&self.path), self.what)
    }
}

impl Display for What {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "missing in the clone"),
            Self::Extra => write!(f, "only in the clone"),
            Self::Kind { source, clone } => write!(f, "{source} became {clone}"),
            Self::Size { source, clone } => write!(f, "{source} bytes became {clone}"),
            Self::Contents { offset } => write!(f, "the contents differ from byte {offset}"),
            Self::Sparseness { source, clone } => write!(f, "{source} allocated bytes became {clone}"),
            Self::Mode { source, clone } => write!(f, "mode {source:04o} became {clone:04o}"),
            Self::Uid { source, clone } => write!(f, "owner {source} became {clone}"),
            Self::Gid { source, clone } => write!(f, "group {source} became {clone}"),
            Self::Mtime { source, clone } => write!(f, "mtime {source} became {clone}"),
            Self::Target { source, clone } => {
                let (source, clone) = (source.as_bytes().escape_ascii(), clone.as_bytes().escape_ascii());
                write!(f, "link to \"{source}\" became one to \"{clone}\"")
            }
            Self::HardLinks { source, clone } => {
                write!(f, "hard link of {} became one of {}", shown(source), shown(clone))
            }
            Self::Xattr { name, source, clone } => {
                let name = name.as_bytes().escape_ascii();
                write!(f, "attribute {name}: {} became {}", value(source.as_ref()), value(clone.as_ref()))
            }
            Self::Device { source, clone } => write!(f, "device {source:#x} became {clone:#x}"),
            Self::Unreadable { side: Side::Source, error } => write!(f, "the source is unreadable: {error}"),
            Self::Unreadable { side: Side::Clone, error } => write!(f, "the clone is unreadable: {error}"),
        }
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Dir => "directory",
            Self::Symlink => "symlink",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::CharDevice => "character device",
            Self::BlockDevice => "block device",
        })
    }
}

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.seconds, self.nanoseconds)
    }
}

fn value(value: Option<&Vec<u8>>) -> String {
    value.map_or_else(|| String::from("none"), |bytes| format!("\"{}\"", bytes.escape_ascii()))
}
