//! What a source needs from the filesystem that is to hold its clone.

use std::ffi::CStr;

use nix::sys::stat::{FileStat, SFlag};

use crate::fs::dir::Dir;
use crate::phases::endpoints::Endpoints;
use crate::tree::pair::{kind, names_of};
use crate::volume::kind::Kind;

/// The extremes over all entries of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The earliest modification time, in seconds since 1970.
    pub earliest: i64,
    /// The latest.
    pub latest: i64,
    /// The size of the largest file, holes included.
    pub size: u64,
    /// The length of the longest name, in bytes.
    pub name: u64,
    /// The length of the longest symbolic link target, in bytes.
    pub target: u64,
    /// The highest hard link count.
    pub links: u64,
    /// The size of the largest set of extended attributes, in bytes; 0 if not determined.
    pub attributes: u64,
}

impl Default for Needs {
    fn default() -> Self {
        Self { earliest: i64::MAX, latest: i64::MIN, size: 0, name: 0, target: 0, links: 0, attributes: 0 }
    }
}

impl Needs {
    /// Adds an entry.
    pub fn see(&mut self, name: &CStr, stat: &FileStat) {
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let kind = kind(stat);
        let is = |wanted: SFlag, value: u64| if kind == wanted { value } else { 0 };
        self.add(&Self {
            earliest: stat.st_mtime,
            latest: stat.st_mtime,
            size: is(SFlag::S_IFREG, size),
            name: name.to_bytes().len() as u64,
            target: is(SFlag::S_IFLNK, size),
            links: if kind == SFlag::S_IFDIR { 0 } else { names_of(stat) },
            attributes: 0,
        });
    }

    /// Adds another tree.
    pub fn add(&mut self, other: &Self) {
        self.earliest = self.earliest.min(other.earliest);
        self.latest = self.latest.max(other.latest);
        self.size = self.size.max(other.size);
        self.name = self.name.max(other.name);
        self.target = self.target.max(other.target);
        self.links = self.links.max(other.links);
        self.attributes = self.attributes.max(other.attributes);
    }
}

/// Whether the survey has to determine the size of each file's attributes: only if the destination has little room for
/// them, and the source more.
#[must_use]
pub fn wants_attributes(ends: &Endpoints) -> bool {
    let is_short = |dir: &Dir| Kind::of(dir).is_ok_and(Kind::is_short_of_attributes);
    let mut sources = ends.source.filesystems.iter().map(|it| &it.dir).chain([&ends.source.dir]);
    is_short(&ends.destination.dir) && !sources.all(is_short)
}
