//! A destination at which disks come and go.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::Value;

use crate::support::disk::LoopDisk;
use crate::support::sandbox::{Finished, Sandbox};
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

/// A Linux host that has the real `blkid`, and something to clone.
pub fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.tool("blkid", "exec blkid \"$@\"");
    sandbox.write("file", "content");
    sandbox
}

/// A disk that can be plugged in at any place.
pub fn disk(kind: &str) -> LoopDisk {
    LoopDisk::new(kind, if kind == "xfs" { 300 } else { 128 }, &[], "")
}

/// A disk that is mounted at a place, until this is dropped.
#[derive(Debug)]
pub struct Plugged(PathBuf);

impl Plugged {
    /// Mounts a disk, whose kind is found out, at a place.
    pub fn at(point: &Path, disk: &LoopDisk) -> Self {
        Self::run(point, &[disk.device().as_os_str()])
    }

    /// Mounts an image of a disk.
    pub fn image(point: &Path, image: &Path) -> Self {
        Self::run(point, &["-o".as_ref(), "loop".as_ref(), image.as_os_str()])
    }

    /// Mounts a disk with options.
    pub fn with(point: &Path, disk: &LoopDisk, options: &str) -> Self {
        Self::run(point, &["-o".as_ref(), options.as_ref(), disk.device().as_os_str()])
    }

    /// Puts directories together as one.
    pub fn overlay(point: &Path, options: &str) -> Self {
        let flags = MsFlags::empty();
        mount(Some("overlay"), point, Some("overlay"), flags, Some(options)).unwrap();
        Self(point.to_owned())
    }

    fn run(point: &Path, arguments: &[&OsStr]) -> Self {
        run("mount", &[arguments, &[point.as_os_str()]].concat());
        Self(point.to_owned())
    }
}

impl Drop for Plugged {
    fn drop(&mut self) {
        if let Err(error) = umount2(&self.0, MntFlags::MNT_DETACH) {
            eprintln!("{} stays mounted: {error}", self.0.display());
        }
    }
}

/// Runs a tool that must succeed.
pub fn run(tool: &str, arguments: &[&OsStr]) {
    let output =
        Command::new("/usr/bin/timeout").args(["-k", "5", "600", tool]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{tool}: {output:?}");
}

/// The UUID of the filesystem on a disk, by the tool that everybody uses.
pub fn uuid(disk: &LoopDisk) -> String {
    let printed =
        Command::new("blkid").args(["-p", "-o", "value", "-s", "UUID"]).arg(disk.device()).output().unwrap();
    String::from_utf8(printed.stdout).unwrap().trim().to_owned()
}

/// The lines of the id that is at the destination now.
pub fn id_lines(sandbox: &Sandbox) -> Vec<String> {
    sandbox.read_marker("id").lines().map(str::to_owned).collect()
}

/// Its lines about the destination: all but those about the source's own filesystem, which is that of the tests' machine.
pub fn lines_of_destination(sandbox: &Sandbox) -> Vec<String> {
    let mut lines = id_lines(sandbox);
    lines
        .retain(|line| !line.starts_with("Source Filesystem: ") && !line.starts_with("Source Mount Point: "));
    lines
}

/// The id that is at the destination now.
pub fn id(sandbox: &Sandbox) -> String {
    id_lines(sandbox).remove(0)
}

/// What this machine remembers of the destination.
pub fn state(sandbox: &Sandbox) -> Value {
    serde_json::from_slice(&fs::read(state_file(sandbox)).unwrap()).unwrap()
}

/// Where it remembers that.
pub fn state_file(sandbox: &Sandbox) -> PathBuf {
    let dir = sandbox.host().join("state");
    let mut files: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// The ids of the disks that are known, the last one at the end.
pub fn known(sandbox: &Sandbox) -> Vec<String> {
    let state = state(sandbox);
    let disks = state["disks"].as_array().unwrap();
    disks.iter().map(|disk| disk["id"].as_str().unwrap().to_owned()).collect()
}

/// The run ends with `code` and says all of this; nothing at the destination changes, and no disk is learned or lost.
#[track_caller]
pub fn refused_with(sandbox: &Sandbox, code: i32, more: &[&str], says: &[&str]) -> Finished {
    let disks = |sandbox: &Sandbox| {
        if sandbox.host().join("state").exists() { state(sandbox)["disks"].clone() } else { Value::Null }
    };
    let (before, known) = (snapshot_with_ctime(&sandbox.destination), disks(sandbox));
    let finished = sandbox.clone(more);
    finished.assert_code(code);
    for words in says {
        assert!(finished.err.contains(words), "{words:?} is not in {finished}");
    }
    assert_eq!(finished.err.lines().count(), 1, "{finished}");
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
    assert_eq!(disks(sandbox), known);
    // A run that fails before the destination is looked at leaves no reason there either.
    let mut arguments = sandbox.arguments(more);
    arguments[1] = sandbox.path().join("missing").into();
    let earlier = sandbox.run(arguments);
    assert_eq!(earlier.code, 65, "{earlier}");
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
    finished
}

/// The same with 88.
#[track_caller]
pub fn refused(sandbox: &Sandbox, says: &[&str]) -> Finished {
    let start = format!("counterpart: The destination {} has changed: ", sandbox.destination.display());
    refused_with(sandbox, 88, &[], &[&[start.as_str()], says].concat())
}
