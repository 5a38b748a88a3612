//! Directories of a walk that are still to be read, and how they are reached.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::fs::dir::{is_held, open_below, open_subdir};
use crate::rsync::filter::matcher::Place;
use crate::tree::sides::Sides;
use crate::tree::waiting::{Names, Waits};

/// Subdirectories of one directory that are still to be read.
pub struct Below {
    /// Their path.
    pub above: Arc<Above>,
    /// Their names.
    pub names: Names,
    /// How many levels below the root they are; 0 for the root itself.
    pub depth: usize,
    /// The directory above them is locked.
    pub is_locked: bool,
}

/// The path to a directory's subdirectories, shared by them: copies would fill the memory in a deep tree.
pub struct Above {
    /// An open directory above them.
    pub base: Arc<Sides<OwnedFd>>,
    /// The names that lead from there to their parent directory.
    way: Vec<CString>,
    /// The path of that directory relative to the root.
    path: PathBuf,
    /// The exclusion patterns that apply in it.
    pub place: Place,
}

/// Up to this many subdirectories are queued one by one for the other threads; any more are queued in groups.
const ALONE: usize = 256;

/// How many are queued in one group.
const TOGETHER: usize = 64;

impl Below {
    /// The root alone, which is open.
    pub fn root(open: Sides<OwnedFd>) -> io::Result<Self> {
        let waits = Waits { source: open.source.is_some(), destination: open.destination.is_some() };
        let mut names = Names::default();
        names.add(c".", waits)?;
        let above =
            Above { base: Arc::new(open), way: Vec::new(), path: PathBuf::new(), place: Place::default() };
        Ok(Self { above: Arc::new(above), names, depth: 0, is_locked: false })
    }

    /// Opens one of them, on the side of which `base` is the open directory above.
    pub fn open(&self, base: Option<&OwnedFd>, name: &CStr) -> io::Result<OwnedFd> {
        let base = base.ok_or(io::ErrorKind::NotFound)?;
        if self.above.way.is_empty() {
            return open_subdir(base, name);
        }
        open_subdir(open_below(base, &self.above.way)?, name)
    }

    /// The path of one of them relative to the root.
    pub fn path(&self, name: &CStr) -> PathBuf {
        if self.depth == 0 {
            return PathBuf::new();
        }
        self.above.path.join(OsStr::from_bytes(name.to_bytes()))
    }

    /// The path to the contents of the open directory `name` in this one.
    pub fn way(&self, name: &CStr, dirs: &Arc<Sides<OwnedFd>>, path: PathBuf, place: Place) -> Above {
        if is_held(self.depth, self.above.way.len()) {
            return Above { base: Arc::clone(dirs), way: Vec::new(), path, place };
        }
        let way = self.above.way.iter().map(|name| &**name).chain([name]).map(CStr::to_owned).collect();
        Above { base: Arc::clone(&self.above.base), way, path, place }
    }
}

/// Collects the subdirectories of one directory.
pub struct Queue<'a> {
    found: &'a mut Vec<Below>,
    /// Made for the first of them.
    above: Option<Arc<Above>>,
    way: &'a dyn Fn() -> Arc<Above>,
    depth: usize,
    is_locked: bool,
}

impl<'a> Queue<'a> {
    /// Collects into `found` what is in a directory at this depth; `way` makes the path to its contents.
    pub fn new(
        found: &'a mut Vec<Below>,
        way: &'a dyn Fn() -> Arc<Above>,
        depth: usize,
        is_locked: bool,
    ) -> Self {
        Self { found, above: None, way, depth, is_locked }
    }

    /// Adds a subdirectory; fails without memory.
    pub fn add(&mut self, name: &CStr, waits: Waits) -> io::Result<()> {
        let together = if self.found.len() < ALONE { 1 } else { TOGETHER };
        if let Some(last) = self.found.last_mut().filter(|last| last.names.count() < together) {
            return last.names.add(name, waits);
        }
        let above = Arc::clone(self.above.get_or_insert_with(self.way));
        let mut names = Names::default();
        names.add(name, waits)?;
        self.found.push(Below { above, names, depth: self.depth, is_locked: self.is_locked });
        Ok(())
    }
}
