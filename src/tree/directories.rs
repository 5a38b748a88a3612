//! Visits the directories of a tree on a few threads, by file descriptors: no link is followed and no path is too long.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fs::dir::{Dir, is_held, is_too_long, open_below, open_subdir};
use crate::process::interrupts::Interrupts;
use crate::tree::parallel;

/// The directory being visited.
#[derive(Debug)]
pub struct Here<'a> {
    /// Open for reading.
    pub directory: &'a OwnedFd,
    /// Its path relative to the root, empty for the root itself.
    pub path: &'a Path,
}

struct Waiting {
    base: Arc<OwnedFd>,
    /// The names that lead from there to it.
    way: Vec<CString>,
    path: PathBuf,
    depth: usize,
}

/// Visits `root` and each directory that a visit adds to its list, by its name in the visited directory; returns what
/// each thread has gathered.
///
/// Skips directories that are gone or cannot be opened. Starts no further visits once a signal asks us to stop. Fails
/// if the root cannot be opened.
pub fn visit<K: Default + Send>(
    root: &Dir,
    interrupts: &Interrupts,
    each: impl Fn(&Here<'_>, &mut Vec<CString>, &mut K) + Sync,
) -> io::Result<Vec<K>> {
    let base = Arc::new(open_subdir(root, c".")?);
    let top = Waiting { base, way: vec![c".".to_owned()], path: PathBuf::new(), depth: 0 };
    Ok(parallel::share(top, interrupts, |waiting: Waiting, found, kept: &mut K| {
        let Ok(directory) = open_below(&*waiting.base, &waiting.way).map(Arc::new) else { return };
        let mut names = Vec::new();
        each(&Here { directory: &directory, path: &waiting.path }, &mut names, kept);
        let names = names.into_iter().filter(|name| !is_too_long(&waiting.path, name));
        found.extend(names.map(|name| waiting.below(&directory, name)));
    }))
}

impl Waiting {
    fn below(&self, here: &Arc<OwnedFd>, name: CString) -> Self {
        let path = self.path.join(OsStr::from_bytes(name.to_bytes()));
        let (base, mut way) = if is_held(self.depth, self.way.len()) {
            (here, Vec::new())
        } else {
            (&self.base, self.way.clone())
        };
        way.push(name);
        Self { base: Arc::clone(base), way, path, depth: self.depth + 1 }
    }
}
