//! Names that are hard-linked in the clone but separate in the source, which rsync would make one file. Needs root.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod limits;
mod parted;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::audit::{Options, assert_same};
use crate::support::other_rsyncs::is_before;
use crate::support::sandbox::Sandbox;
use crate::support::tree;

/// What the log says when links are separated.
const PARTED: &str =
    " files of the clone are hard links of each other but separate files at the source: unlinking them.";

/// Whatever is not older than this moment has the time that it was given.
const MOMENT: i64 = 1_600_000_000;

/// What versions that know no nanoseconds keep.
fn options(version: &str) -> Options {
    Options { nanoseconds: !is_before(version, "3.1.3"), ..Options::default() }
}

/// Makes a file of a certain time.
fn file(path: &Path, content: &str, time: i64) {
    fs::write(path, content).unwrap();
    tree::set_mtime(path, time, 0);
}

fn link(dir: &Path, from: &str, to: &str) {
    fs::hard_link(dir.join(from), dir.join(to)).unwrap();
}

/// Makes a name a file of its own that differs in nothing but its mode: `cp -a name other; mv other name; chmod`.
fn part(path: &Path, mode: u32) {
    let other = path.with_file_name("other");
    assert!(Command::new("cp").arg("-a").args([path, &other]).status().unwrap().success());
    fs::rename(other, path).unwrap();
    if !path.is_symlink() {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn inode(path: PathBuf) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

/// How many regular files rsync has transferred.
fn transferred(sandbox: &Sandbox) -> u64 {
    sandbox.record().unwrap()["statistics"]["transferred"].as_u64().unwrap()
}

/// The clone is exact, and a further run finds that there is nothing to do.
fn assert_exact(sandbox: &Sandbox, options: &Options) {
    assert_same(&sandbox.source, &sandbox.destination, options);
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("").assert_no_log(PARTED);
    assert_eq!(transferred(sandbox), 0, "{run}");
    assert_same(&sandbox.source, &sandbox.destination, options);
}
