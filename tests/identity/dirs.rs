//! Directories where disks are mounted: without a disk they are refused, even on the first run.

use std::fs;

use crate::identity::scene::{Plugged, disk, refused_with, sandbox};
use crate::support::mounted::Mounted;
use crate::support::sandbox::{Sandbox, names_of};

/// A destination below the fake host's directory, which exists.
fn at(name: &str) -> Sandbox {
    let mut sandbox = sandbox();
    sandbox.destination = sandbox.host().join(name);
    fs::create_dir_all(&sandbox.destination).unwrap();
    sandbox
}

#[test]
fn a_directory_where_a_disk_should_be_is_refused() {
    for name in ["mnt", "mnt/clone", "mnt/clone/sub", "media/clone", "media/me/clone", "run/media/me/clone"] {
        let sandbox = at(name);
        let told = format!(
            "counterpart: No disk is mounted at the destination {}: it is a directory of the filesystem of ",
            sandbox.destination.display()
        );
        let says = [told.as_str(), "Mount the disk, or use --allow-folder if a plain directory is intended."];
        refused_with(&sandbox, 88, &[], &says);
        refused_with(&sandbox, 88, &["--adopt"], &says);
        assert!(!sandbox.host().join("state").exists(), "a refused directory is not remembered");
        let warned = "Warning: a real run would end with 88. No disk is mounted at ";
        sandbox.clone(&["-t"]).assert_code(70).assert_log(warned);
        assert!(names_of(&sandbox.destination).is_empty());
        sandbox.clone(&["--allow-folder"]).assert_code(0).assert_err("");
        // It was allowed for that run only.
        refused_with(&sandbox, 88, &[], &says);
    }
}

#[test]
fn a_mounted_disk_and_a_directory_of_it_are_right() {
    let sandbox = at("mnt/clone");
    let disk = disk("ext4");
    let plugged = Plugged::at(&sandbox.destination, &disk);
    sandbox.clone(&[]).assert_code(0).assert_err("");
    drop(plugged);
    let mut below = at("mnt/disk");
    let _plugged = Plugged::at(&below.destination, &disk);
    below.destination = below.destination.join("directory/clone");
    fs::create_dir_all(&below.destination).unwrap();
    below.clone(&[]).assert_code(0).assert_err("");
}

#[test]
fn a_disk_at_the_directory_itself_is_right() {
    let sandbox = at("mnt");
    let mounted = Mounted::tmpfs(&sandbox.destination);
    sandbox.clone(&[]).assert_code(0).assert_err("");
    drop(mounted);
    let mut below = at("mnt");
    let _mounted = Mounted::tmpfs(&below.destination);
    below.destination = below.destination.join("clone");
    fs::create_dir(&below.destination).unwrap();
    below.clone(&[]).assert_code(0).assert_err("");
}

#[test]
fn a_bind_mount_is_a_mount() {
    let sandbox = at("mnt/clone");
    let below = sandbox.path().join("below");
    fs::create_dir(&below).unwrap();
    let _mounted = Mounted::bind(&below, &sandbox.destination);
    sandbox.clone(&[]).assert_code(0).assert_err("");
}

#[test]
fn a_link_to_such_a_directory_does_not_deceive() {
    let mut sandbox = at("mnt/clone");
    let link = sandbox.path().join("link");
    std::os::unix::fs::symlink(sandbox.host().join("mnt"), &link).unwrap();
    sandbox.destination = link.join("clone");
    refused_with(&sandbox, 88, &[], &["No disk is mounted at "]);
}

#[test]
fn names_that_only_begin_alike_are_other_directories() {
    for name in ["mnt2/clone", "run/clone", "srv/mnt/clone"] {
        at(name).clone(&[]).assert_code(0).assert_err("");
    }
}

#[test]
fn a_missing_disk_that_is_known_is_named() {
    let sandbox = at("mnt/clone");
    let disk = disk("ext4");
    let plugged = Plugged::at(&sandbox.destination, &disk);
    sandbox.clone(&[]).assert_code(0).assert_err("");
    drop(plugged);
    for more in [&[][..], &["--allow-folder"]] {
        refused_with(
            &sandbox,
            88,
            more,
            &["at the last clone, and now the directory lies on the filesystem of "],
        );
    }
    refused_with(&sandbox, 88, &["--adopt"], &["No disk is mounted at "]);
    sandbox.clone(&["--adopt", "--allow-folder"]).assert_code(0).assert_err("");
}
