//! The fidelity audit: compares every property that a clone must preserve with the source. It shares neither code nor
//! concepts with rsync, and never follows a link or builds a long path.
#![allow(dead_code, unused_imports, reason = "each test crate uses a part")]

#[path = "audit/difference.rs"]
mod difference;
#[path = "audit/dir.rs"]
pub mod dir;

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

pub use difference::{Difference, Side, What};
use dir::{Dir, Entry, Inode, Kind, push_name, to_path};

/// How many bytes of a file are compared at a time.
const CHUNK: usize = 1024 * 1024;

/// How many differences `assert_same` shows.
const SHOWN: usize = 20;

/// What the audit ignores.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property that can be left out on its own")]
pub struct Options {
    /// Entries at either root whose names begin with one of these, the product's own markers, are ignored.
    pub ignored_at_root: Vec<Vec<u8>>,
    /// `lost+found` at either root is ignored.
    pub ignore_lost_and_found: bool,
    /// These relative paths and everything below them are ignored.
    pub skip: Vec<PathBuf>,
    /// A directory of the source that is a mount point must be an empty directory in the clone.
    pub one_file_system: bool,
    /// Times are compared to the nanosecond, otherwise to the second.
    pub nanoseconds: bool,
    /// Extended attributes, access control lists and capabilities are compared.
    pub xattrs: bool,
    /// Owners and groups are compared.
    pub owners: bool,
    /// How many bytes more than the source's, plus a twentieth, a sparse file may occupy in the clone. XFS preallocates
    /// and needs some 64 KiB for each extent.
    pub sparse_slack: u64,
    /// The time of the root directory itself is compared.
    pub root_mtime: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ignored_at_root: vec![b".me.jedda.counterpart.".to_vec()],
            ignore_lost_and_found: true,
            skip: Vec::new(),
            one_file_system: false,
            nanoseconds: true,
            xattrs: true,
            owners: true,
            sparse_slack: 64 * 1024,
            root_mtime: true,
        }
    }
}

/// Compares two trees and returns every difference, in walk order.
pub fn audit(source: &Path, clone: &Path, options: &Options) -> Vec<Difference> {
    let mut audit = Audit::new(options);
    match (Dir::open(source), Dir::open(clone)) {
        (Ok(source), Ok(clone)) => audit.walk(Pair { source, clone }),
        (source, clone) => audit.unreadable(source.err(), clone.err()),
    }
    audit.differences
}

/// Panics with the first differences, if there are any.
pub fn assert_same(source: &Path, clone: &Path, options: &Options) {
    let differences = audit(source, clone, options);
    let shown: Vec<_> = differences.iter().take(SHOWN).map(Difference::to_string).collect();
    assert!(
        differences.is_empty(),
        "{} is no exact clone of {}: {} difference(s), the first of them:\n{}",
        clone.display(),
        source.display(),
        differences.len(),
        shown.join("\n")
    );
}

/// The same directory of both trees.
struct Pair {
    source: Dir,
    clone: Dir,
}

/// A directory between the root and the current one.
struct Level {
    names: std::vec::IntoIter<OsString>,
    path_length: usize,
    inodes: (Inode, Inode),
}

struct Audit<'a> {
    options: &'a Options,
    differences: Vec<Difference>,
    path: Vec<u8>,
    root_device: u64,
    /// For each hard-linked inode, the first name that was seen, by tree.
    source_first: HashMap<Inode, Vec<u8>>,
    clone_first: HashMap<Inode, Vec<u8>>,
    /// Pairs of inodes that were already compared under another name.
    compared: HashSet<(Inode, Inode)>,
    buffers: (Vec<u8>, Vec<u8>),
}

impl<'a> Audit<'a> {
    fn new(options: &'a Options) -> Self {
        Self {
            options,
            differences: Vec::new(),
            path: Vec::new(),
            root_device: 0,
            source_first: HashMap::new(),
            clone_first: HashMap::new(),
            compared: HashSet::new(),
            buffers: (vec![0; CHUNK], vec![0; CHUNK]),
        }
    }

    fn walk(&mut self, roots: Pair) {
        let dot = OsStr::new(".");
        let both =
            (roots.source.entry(dot, self.options.xattrs), roots.clone.entry(dot, self.options.xattrs));
        if let Some((source, clone)) = self.readable(both) {
            self.root_device = source.inode.0;
            self.compare_properties(&source, &clone);
        }
        let mut levels = vec![self.open_level(&roots)];
        let mut here = roots;
        while let Some(level) = levels.last_mut() {
            self.path.truncate(level.path_length);
            if let Some(name) = level.names.next() {
                push_name(&mut self.path, &name);
                if let Some(below) = self.compare(&here, &name) {
                    levels.push(self.open_level(&below));
                    here = below;
                }
            } else {
                levels.pop();
                if let Some(above) = levels.last() {
                    let (source, clone) = above.inodes;
                    here = Pair { source: here.source.leave(source), clone: here.clone.leave(clone) };
                }
            }
        }
    }

    /// Reports the names that only one of the trees has and returns those they share.
    fn open_level(&mut self, here: &Pair) -> Level {
        let (mut shared, mut missing, mut extra) = (Vec::new(), Vec::new(), Vec::new());
        if let Some((source, clone)) = self.readable((here.source.names(), here.clone.names())) {
            let of_source: HashSet<_> = source.iter().cloned().collect();
            let of_clone: HashSet<_> = clone.iter().cloned().collect();
            extra.extend(clone.into_iter().filter(|name| !of_source.contains(name)));
            for name in source {
                if of_clone.contains(&name) { &mut shared } else { &mut missing }.push(name);
            }
        }
        self.report_names(missing, &What::Missing);
        self.report_names(extra, &What::Extra);
        shared.retain(|name| !self.is_ignored(name));
        Level {
            names: shared.into_iter(),
            path_length: self.path.len(),
            inodes: (here.source.inode(), here.clone.inode()),
        }
    }

    fn report_names(&mut self, names: Vec<OsString>, what: &What) {
        let length = self.path.len();
        for name in names.into_iter().filter(|name| !self.is_ignored(name)).collect::<Vec<_>>() {
            push_name(&mut self.path, &name);
            self.report(what.clone());
            self.path.truncate(length);
        }
    }

    fn is_ignored(&self, name: &OsStr) -> bool {
        if self.path.is_empty() {
            let is_marker = |prefix: &Vec<u8>| name.as_bytes().starts_with(prefix);
            if self.options.ignored_at_root.iter().any(is_marker)
                || self.options.ignore_lost_and_found && name == "lost+found"
            {
                return true;
            }
        }
        // Nothing below a skipped directory is ever visited, so only the paths themselves are checked.
        !self.options.skip.is_empty() && {
            let mut path = self.path.clone();
            push_name(&mut path, name);
            self.options.skip.iter().any(|skipped| *skipped == to_path(&path))
        }
    }

    /// Compares one entry; returns the pair of directories to descend into.
    fn compare(&mut self, here: &Pair, name: &OsStr) -> Option<Pair> {
        let xattrs = self.options.xattrs;
        let (source, clone) =
            self.readable((here.source.entry(name, xattrs), here.clone.entry(name, xattrs)))?;
        if source.kind != clone.kind {
            self.report(What::Kind { source: source.kind, clone: clone.kind });
            return None;
        }
        if source.kind != Kind::Dir && (source.links > 1 || clone.links > 1) {
            self.compare_hard_links(source.inode, clone.inode);
            if !self.compared.insert((source.inode, clone.inode)) {
                return None;
            }
        }
        self.compare_properties(&source, &clone);
        if source.kind == Kind::File {
            self.compare_contents(here, name, &source, &clone);
        }
        if source.kind != Kind::Dir {
            return None;
        }
        let is_mount_point = self.options.one_file_system && source.inode.0 != self.root_device;
        if is_mount_point {
            let names = here.clone.enter(name).and_then(|dir| dir.names());
            if let Some((names, ())) = self.readable((names, Ok(()))) {
                self.report_names(names, &What::Extra);
            }
            return None;
        }
        self.readable((here.source.enter(name), here.clone.enter(name)))
            .map(|(source, clone)| Pair { source, clone })
    }

    /// Two trees have the same groups of hard links if each name has the same first name in its group.
    fn compare_hard_links(&mut self, source: Inode, clone: Inode) {
        let of_source = self.source_first.entry(source).or_insert_with(|| self.path.clone());
        let of_clone = self.clone_first.entry(clone).or_insert_with(|| self.path.clone());
        if of_source != of_clone {
            let what = What::HardLinks { source: to_path(of_source), clone: to_path(of_clone) };
            self.report(what);
        }
    }

    fn compare_properties(&mut self, source: &Entry, clone: &Entry) {
        if source.mode != clone.mode {
            self.report(What::Mode { source: source.mode, clone: clone.mode });
        }
        if self.options.owners && source.uid != clone.uid {
            self.report(What::Uid { source: source.uid, clone: clone.uid });
        }
        if self.options.owners && source.gid != clone.gid {
            self.report(What::Gid { source: source.gid, clone: clone.gid });
        }
        let same_time = source.mtime.seconds == clone.mtime.seconds
            && (!self.options.nanoseconds || source.mtime.nanoseconds == clone.mtime.nanoseconds);
        if !same_time && (self.options.root_mtime || !self.path.is_empty()) {
            self.report(What::Mtime { source: source.mtime, clone: clone.mtime });
        }
        if let (Some(of_source), Some(of_clone)) = (&source.target, &clone.target)
            && of_source != of_clone
        {
            self.report(What::Target { source: of_source.clone(), clone: of_clone.clone() });
        }
        if matches!(source.kind, Kind::CharDevice | Kind::BlockDevice) && source.device != clone.device {
            self.report(What::Device { source: source.device, clone: clone.device });
        }
        let names =
            source.xattrs.keys().chain(clone.xattrs.keys().filter(|name| !source.xattrs.contains_key(*name)));
        for name in names {
            let (of_source, of_clone) = (source.xattrs.get(name).cloned(), clone.xattrs.get(name).cloned());
            if of_source != of_clone {
                self.report(What::Xattr { name: name.clone(), source: of_source, clone: of_clone });
            }
        }
    }

    fn compare_contents(&mut self, here: &Pair, name: &OsStr, source: &Entry, clone: &Entry) {
        let allowed = |source: u64| source + source / 20 + self.options.sparse_slack;
        let has_more = source.allocated < source.size && clone.allocated > allowed(source.allocated);
        // XFS may hold blocks in reserve, for a while and as many as a file has: what counts is where data is.
        if has_more
            && let (Ok(of_source), Ok(of_clone)) = (here.source.data(name), here.clone.data(name))
            && of_clone > allowed(of_source)
        {
            self.report(What::Sparseness { source: of_source, clone: of_clone });
        }
        if source.size != clone.size {
            self.report(What::Size { source: source.size, clone: clone.size });
            return;
        }
        let Some((mut of_source, mut of_clone)) =
            self.readable((here.source.read(name), here.clone.read(name)))
        else {
            return;
        };
        let mut offset = 0;
        loop {
            let (one, other) = &mut self.buffers;
            let both = (fill(&mut of_source, one), fill(&mut of_clone, other));
            let Some((of_source, of_clone)) = self.readable(both) else {
                return;
            };
            let (one, other) = (&self.buffers.0[..of_source], &self.buffers.1[..of_clone]);
            if one != other {
                let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
                self.report(What::Contents { offset: offset + same as u64 });
                return;
            }
            if of_source < CHUNK {
                return;
            }
            offset += of_source as u64;
        }
    }

    fn report(&mut self, what: What) {
        self.differences.push(Difference { path: to_path(&self.path), what });
    }

    fn readable<S, C>(&mut self, both: (io::Result<S>, io::Result<C>)) -> Option<(S, C)> {
        match both {
            (Ok(source), Ok(clone)) => Some((source, clone)),
            (source, clone) => {
                self.unreadable(source.err(), clone.err());
                None
            }
        }
    }

    fn unreadable(&mut self, source: Option<io::Error>, clone: Option<io::Error>) {
        for (side, error) in [(Side::Source, source), (Side::Clone, clone)] {
            if let Some(error) = error {
                self.report(What::Unreadable { side, error: error.to_string() });
            }
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
