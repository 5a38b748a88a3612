//! Builds, snapshots and removes trees. Needs the audit beside it for walking them.
#![allow(dead_code, unused_imports, reason = "each test crate uses a part")]

#[path = "tree/hostile.rs"]
mod hostile;
#[path = "tree/snapshot.rs"]
mod snapshot;

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use super::audit::dir::{Dir, Kind, push_name, to_path, visit_from_leaves};
pub use hostile::{acl, capability, hostile_tree, hostile_tree_reserving};
pub use snapshot::{Snapshot, assert_unchanged, snapshot, snapshot_with_ctime};

/// The longest path that the system accepts in one call, without the terminating NUL.
pub const LONGEST_PATH: usize = 4095;

/// How many files `many_files` puts into one directory.
const FILES_PER_DIR: usize = 500;

/// Creates `count` small files of the same size with different contents, some hundreds per directory.
pub fn many_files(root: &Path, count: usize, bytes_each: usize) {
    let mut contents = noise(1, bytes_each);
    let mut dir = root.to_path_buf();
    for number in 0..count {
        if number % FILES_PER_DIR == 0 {
            dir = root.join(format!("{:04}", number / FILES_PER_DIR));
            must(fs::create_dir_all(&dir), &dir);
        }
        for (byte, marker) in contents.iter_mut().zip(number.to_le_bytes()) {
            *byte = marker;
        }
        let file = dir.join(format!("{number:08}"));
        must(fs::File::create(&file).and_then(|mut file| file.write_all(&contents)), &file);
    }
}

/// How many of the files made by [`many_files`] the directories of a root contain so far.
pub fn many_of(root: &Path) -> usize {
    let names = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    names(root).filter(|dir| dir.is_dir()).map(|dir| names(&dir).count()).sum()
}

/// Creates one file whose relative path is longer than any system call accepts, and returns that path.
pub fn over_long_path(root: &Path) -> PathBuf {
    let path = deep_file(root, "over-long", 5000);
    assert!(path.as_os_str().len() > LONGEST_PATH + 1);
    path
}

/// Creates one file in a chain of directories with long names, with a relative path of exactly `length` bytes.
pub fn deep_file(root: &Path, first: &str, length: usize) -> PathBuf {
    let mut path = Vec::new();
    let mut dir = must(Dir::open(root), root);
    let mut name = first.to_owned();
    loop {
        push_name(&mut path, OsStr::new(&name));
        must(fs::create_dir(dir.at(OsStr::new(&name))), &to_path(&path));
        dir = must(dir.enter(OsStr::new(&name)), &to_path(&path));
        let left = length - path.len() - 1;
        if left <= 255 {
            let leaf = "f".repeat(left);
            must(fs::write(dir.at(OsStr::new(&leaf)), "deep"), &to_path(&path));
            push_name(&mut path, OsStr::new(&leaf));
            return to_path(&path);
        }
        name = "d".repeat(200);
    }
}

/// Removes a tree and its root, however long its paths are; does not cross into other filesystems.
pub fn remove_tree(root: &Path) {
    let device = must(fs::symlink_metadata(root), root).dev();
    visit_from_leaves(root, false, |dir, name, path, entry| {
        assert_eq!(entry.inode.0, device, "\"{}\" is on another filesystem", path.escape_ascii());
        if path.is_empty() {
            must(fs::remove_dir(root), root);
        } else if entry.kind == Kind::Dir {
            must(fs::remove_dir(dir.at(name)), &to_path(path));
        } else {
            must(fs::remove_file(dir.at(name)), &to_path(path));
        }
    });
}

/// Sets the modification time of an entry, never through a symbolic link.
pub fn set_mtime(path: &Path, seconds: i64, nanoseconds: i64) {
    let mtime = TimeSpec::new(seconds, nanoseconds);
    let flags = UtimensatFlags::NoFollowSymlink;
    must(utimensat(AT_FDCWD, path, &TimeSpec::UTIME_OMIT, &mtime, flags), path);
}

/// Changes a file's contents but keeps its size and the seconds of its mtime: only the nanoseconds reveal the change.
pub fn edit_in_the_same_second(file: &Path) {
    let before = must(fs::metadata(file), file);
    let mut contents = must(fs::read(file), file);
    for byte in &mut contents {
        *byte ^= 1;
    }
    must(fs::write(file, contents), file);
    set_mtime(file, before.mtime(), (before.mtime_nsec() + 1_000) % 1_000_000_000);
}

/// Bytes that look random but are reproducible from the seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn must<T, E: std::fmt::Display>(result: Result<T, E>, path: &Path) -> T {
    result.unwrap_or_else(|error| panic!("\"{}\": {error}", path.as_os_str().as_bytes().escape_ascii()))
}
