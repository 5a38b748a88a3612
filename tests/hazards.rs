//! Hazards that would cost data: directories reached by another path.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::support::sandbox::{Sandbox, names_of};

/// A directory mounted a second time, until it is dropped.
struct BindMount(PathBuf);

impl BindMount {
    fn new(dir: &Path, at: PathBuf) -> Self {
        fs::create_dir_all(&at).unwrap();
        mount(Some(dir), &at, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
        Self(at)
    }
}

impl Drop for BindMount {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).unwrap();
    }
}

#[test]
fn a_source_mounted_from_inside_the_destination_is_not_deleted() {
    let mut sandbox = Sandbox::new();
    sandbox.write_destination("kept/file", "content");
    let other_way = BindMount::new(&sandbox.destination.join("kept"), sandbox.path().join("other"));
    sandbox.source.clone_from(&other_way.0);
    sandbox.clone(&["--adopt"]).assert_code(87).assert_log("lies inside the destination");
    assert_eq!(names_of(&sandbox.destination), ["kept"]);
    assert_eq!(fs::read_to_string(sandbox.destination.join("kept/file")).unwrap(), "content");
}

#[test]
fn a_destination_mounted_from_inside_the_source_is_left_out() {
    let mut sandbox = Sandbox::new();
    sandbox.write("directory/file", "content");
    fs::create_dir(sandbox.source.join("directory/clone")).unwrap();
    let other_way = BindMount::new(&sandbox.source.join("directory"), sandbox.path().join("other"));
    sandbox.destination = other_way.0.join("clone");
    for _ in 0..2 {
        sandbox.clone(&[]).assert_code(0).assert_log("lies inside the source");
        assert_eq!(sandbox.names(), ["directory"]);
        assert_eq!(names_of(&sandbox.destination.join("directory")), ["file"]);
    }
}

#[test]
fn the_same_directory_by_another_mount_is_refused() {
    let mut sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let other_way = BindMount::new(&sandbox.source, sandbox.path().join("other"));
    sandbox.destination.clone_from(&other_way.0);
    sandbox.clone(&["--adopt"]).assert_code(87).assert_log("are the same directory");
    assert_eq!(names_of(&sandbox.source), ["file"]);
}
