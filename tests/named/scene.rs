//! A machine with disks that are not mounted.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::disk::BareDisk;
use crate::support::sandbox::{Finished, Sandbox};

/// A Linux host that has the real `blkid`, and something to clone.
pub fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.tool("blkid", "exec blkid \"$@\"");
    sandbox.write("file", "content");
    sandbox.write("dir/other", "more");
    sandbox
}

/// A label that no other test has.
pub fn label() -> String {
    let random = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    format!("cp{}", &random[..8])
}

/// The arguments of a clone to this destination.
pub fn arguments(sandbox: &Sandbox, destination: &str, more: &[&str]) -> Vec<String> {
    let source = sandbox.source.to_str().unwrap();
    let ends = ["-s", source, "-d", destination];
    ends.iter().chain(more).map(|word| (*word).to_owned()).collect()
}

/// Clones to it.
pub fn clone(sandbox: &Sandbox, destination: &str, more: &[&str]) -> Finished {
    sandbox.run(arguments(sandbox, destination, more))
}

/// `UUID=…` of a disk.
pub fn uuid(disk: &BareDisk) -> String {
    format!("UUID={}", disk.tag("UUID"))
}

/// Asserts that the device is mounted in no namespace of ours, and free.
#[track_caller]
pub fn assert_free(disk: &BareDisk) {
    assert_eq!(mounts(Path::new("/proc/self/mounts"), disk), [] as [String; 0]);
    assert!(disk.is_free(), "{} is in use", disk.device().display());
}

/// The lines of a table of mounts about a disk.
pub fn mounts(table: &Path, disk: &BareDisk) -> Vec<String> {
    let start = format!("{} ", disk.device().display());
    let table = fs::read_to_string(table).unwrap();
    table.lines().filter(|line| line.starts_with(&start)).map(str::to_owned).collect()
}

/// The state files, and what is in them.
pub fn states(sandbox: &Sandbox) -> Vec<(String, Value)> {
    let Ok(entries) = fs::read_dir(sandbox.host().join("state")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension() == Some(OsStr::new("json")));
    files.sort();
    let read = |file: &PathBuf| serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    files.iter().map(|file| (file.file_name().unwrap().to_str().unwrap().to_owned(), read(file))).collect()
}

/// The one state there is.
#[track_caller]
pub fn state(sandbox: &Sandbox) -> Value {
    let mut states = states(sandbox);
    assert_eq!(states.len(), 1, "{states:?}");
    states.remove(0).1
}

/// A digest of everything on a disk.
pub fn digest(disk: &BareDisk) -> String {
    let output = Command::new("sha256sum").arg(disk.image()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Asserts that no line of the log or of the refusal shows where we mount.
#[track_caller]
pub fn assert_no_private_path(sandbox: &Sandbox, finished: &Finished) {
    let private = sandbox.host().join("lock/disk");
    let private = private.to_str().unwrap();
    assert!(!finished.out.contains(private) && !finished.err.contains(private), "{finished}");
}
