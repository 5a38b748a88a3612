//! A full listing of a tree, to show that nothing in it changed.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fmt::Debug;
use std::hash::Hasher as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::super::audit::dir::{Dir, Entry, Kind, shown, to_path, visit_from_leaves};
use super::must;

/// How many changes `assert_unchanged` shows.
const SHOWN: usize = 20;

const CHUNK: usize = 128 * 1024;

/// Every property of every entry of a tree at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    entries: BTreeMap<PathBuf, Vec<Property>>,
}

/// The name of a property and its value as text.
type Property = (&'static str, String);

/// Lists a tree.
pub fn snapshot(root: &Path) -> Snapshot {
    take(root, false)
}

/// Lists a tree including what not even root can set: inode numbers and status change times.
pub fn snapshot_with_ctime(root: &Path) -> Snapshot {
    take(root, true)
}

/// Panics with the first changes between two snapshots, if there are any.
pub fn assert_unchanged(before: &Snapshot, after: &Snapshot) {
    let changes = before.changes(after);
    let shown = &changes[..changes.len().min(SHOWN)];
    assert!(changes.is_empty(), "{} change(s), the first of them:\n{}", changes.len(), shown.join("\n"));
}

impl Snapshot {
    /// The differences in a later snapshot, one line per property.
    pub fn changes(&self, later: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (path, before) in &self.entries {
            let Some(after) = later.entries.get(path) else {
                changes.push(format!("{}: is gone", shown(path)));
                continue;
            };
            for ((name, before), (_, after)) in
                before.iter().zip(after).filter(|(before, after)| before != after)
            {
                changes.push(format!("{}: {name} {before} became {after}", shown(path)));
            }
        }
        let appeared = later.entries.keys().filter(|path| !self.entries.contains_key(*path));
        changes.extend(appeared.map(|path| format!("{}: is new", shown(path))));
        changes
    }

    /// The snapshot without an entry and everything below it.
    pub fn without(mut self, path: &Path) -> Self {
        self.entries.retain(|entry, _| !entry.starts_with(path));
        self
    }

    /// Whether there was an entry at a relative path.
    pub fn has(&self, path: &Path) -> bool {
        self.entries.contains_key(path)
    }

    /// A hash of the contents of the file at a relative path; `None` for anything that is not a file.
    pub fn contents(&self, path: &Path) -> Option<&str> {
        let (_, contents) = self.entries.get(path)?.iter().find(|(name, _)| *name == "contents")?;
        Some(contents.as_str()).filter(|contents| !contents.is_empty())
    }

    /// The relative paths in the snapshot, including the root's empty one.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.entries.keys().map(PathBuf::as_path)
    }
}

fn take(root: &Path, with_ctime: bool) -> Snapshot {
    let mut entries = BTreeMap::new();
    let mut first_names = HashMap::new();
    visit_from_leaves(root, true, |dir, name, path, entry| {
        let path = to_path(path);
        let mut properties = properties(dir, name, &path, entry);
        if entry.kind != Kind::Dir {
            let first: &PathBuf = first_names.entry(entry.inode).or_insert_with(|| path.clone());
            properties.push(("hard links", entry.links.to_string()));
            properties.push(("hard link of", shown(first)));
        }
        if with_ctime {
            properties.push(("inode", debug(&entry.inode)));
            properties.push(("ctime", entry.ctime.to_string()));
        }
        entries.insert(path, properties);
    });
    Snapshot { entries }
}

fn properties(dir: &Dir, name: &OsStr, path: &Path, entry: &Entry) -> Vec<Property> {
    let is_file = entry.kind == Kind::File;
    let mut properties = vec![
        ("kind", entry.kind.to_string()),
        ("mode", format!("{:04o}", entry.mode)),
        ("owner", format!("{}:{}", entry.uid, entry.gid)),
        ("mtime", entry.mtime.to_string()),
        ("device", format!("{:#x}", entry.device)),
        ("target", debug(&entry.target)),
        ("size", if is_file { entry.size.to_string() } else { String::new() }),
        ("contents", if is_file { format!("{:016x}", hash(dir, name, path)) } else { String::new() }),
    ];
    let xattrs: BTreeMap<_, _> =
        entry.xattrs.iter().map(|(name, value)| (name, value.escape_ascii().to_string())).collect();
    properties.push(("attributes", debug(&xattrs)));
    properties
}

fn debug(value: &impl Debug) -> String {
    format!("{value:?}")
}

/// A hash of a file's contents that treats holes as the zeros they read as, and handles both quickly.
fn hash(dir: &Dir, name: &OsStr, path: &Path) -> u64 {
    let zeros = vec![0; CHUNK];
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut file = must(dir.read(name), path);
    let mut hasher = DefaultHasher::new();
    let mut offset = 0u64;
    loop {
        chunk.clear();
        let count = must(std::io::Read::by_ref(&mut file).take(CHUNK as u64).read_to_end(&mut chunk), path);
        if count == 0 {
            hasher.write_u64(offset);
            return hasher.finish();
        }
        if chunk != zeros[..count] {
            hasher.write_u64(offset);
            hasher.write(&chunk);
        }
        offset += count as u64;
    }
}
