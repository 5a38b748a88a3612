//! The paths that a quick pass hands to rsync.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::tree::pair::Here;

/// The most that one thread collects, in bytes; a longer list would not pay anyway.
const MOST: usize = 8 << 20;

/// Why a path is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Why {
    /// It is new, or differs.
    Changed = b'c',
    /// It is a file of the same size and time that has changed on one side since the last clone.
    Doubtful = b'?',
    /// Only the destination has it; what is below it is not listed.
    Deleted = b'd',
}

/// The paths, relative to the roots.
#[derive(Debug, Default)]
pub struct List {
    /// For each: why it is listed, the path, and a zero byte.
    bytes: Vec<u8>,
    count: u64,
    is_full: bool,
    needs_rules: bool,
}

impl List {
    /// Adds an entry.
    pub fn add(&mut self, why: Why, here: &Here<'_>, name: &CStr) {
        self.count += 1;
        let path = here.path.as_os_str().as_bytes();
        let more = path.len() + name.to_bytes().len() + 3;
        if self.is_full || self.bytes.len() + more > MOST || self.bytes.try_reserve(more).is_err() {
            self.is_full = true;
            return;
        }
        self.bytes.push(why as u8);
        if !path.is_empty() {
            self.bytes.extend_from_slice(path);
            self.bytes.push(b'/');
        }
        self.bytes.extend_from_slice(name.to_bytes_with_nul());
    }

    /// Notes that something that the source leaves out is to be deleted: rsync deletes what it is given only if the
    /// source does not have it.
    pub fn require_rules(&mut self) {
        self.needs_rules = true;
    }

    /// Whether rsync has to know the exclusions.
    #[must_use]
    pub fn needs_rules(&self) -> bool {
        self.needs_rules
    }

    /// Adds what another thread has listed.
    pub fn append(&mut self, mut other: Self) {
        self.count += other.count;
        self.is_full |= other.is_full;
        self.needs_rules |= other.needs_rules;
        if self.bytes.is_empty() {
            self.bytes = other.bytes;
        } else if self.bytes.try_reserve(other.bytes.len()).is_ok() {
            self.bytes.append(&mut other.bytes);
        } else {
            self.is_full = true;
        }
    }

    /// How many paths there are, including those for which there was no room.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many there are besides these.
    #[must_use]
    pub fn count_besides(&self, own: &[PathBuf]) -> u64 {
        let is_own = |path: &[u8]| own.iter().any(|own| own.as_os_str().as_bytes() == path);
        let listed = self.entries().filter(|(_, path)| is_own(path)).count();
        self.count.saturating_sub(u64::try_from(listed).unwrap_or(u64::MAX))
    }

    /// Whether every path is in it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.is_full
    }

    fn entries(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.bytes
            .split(|byte| *byte == 0)
            .filter_map(|entry| entry.split_first().map(|(why, path)| (*why, path)))
    }

    /// The paths that are listed for this reason.
    pub fn paths(&self, wanted: Why) -> impl Iterator<Item = &Path> {
        let paths = self.entries().filter(move |(why, _)| *why == wanted as u8);
        paths.map(|(_, path)| Path::new(OsStr::from_bytes(path)))
    }

    /// Whether a path at the root itself is listed.
    #[must_use]
    pub fn touches_root(&self) -> bool {
        self.entries().any(|(_, path)| !path.contains(&b'/'))
    }
}

/// The paths of both lists as `--files-from` takes them with `--from0`: sorted, each once. A slash at the start keeps those
/// that begin with `#` or `;` from being read as comments.
#[must_use]
pub fn for_rsync(lists: [&List; 2]) -> Vec<u8> {
    let mut paths: Vec<&[u8]> = lists.iter().flat_map(|list| list.entries()).map(|(_, path)| path).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut bytes = Vec::with_capacity(lists.iter().map(|list| list.bytes.len()).sum());
    for path in paths {
        bytes.push(b'/');
        bytes.extend_from_slice(path);
        bytes.push(0);
    }
    bytes
}
