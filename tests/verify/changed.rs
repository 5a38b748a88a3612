//! What has changed at the source since the clone is no damage; what has not is, even beside it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::sandbox::Sandbox;
use crate::verify::scene::{assert_damages, cloned, flip, found, silently};

fn scene() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["directory/file", "directory/other", "old/file", "moved/file"] {
        sandbox.write(name, &format!("the content of {name}"));
    }
    cloned(&sandbox, &[]);
    sandbox
}

#[test]
fn what_was_changed_created_moved_and_deleted_since_is_counted() {
    let sandbox = scene();
    sandbox.write("directory/file", "changed");
    sandbox.write("directory/new", "new");
    sandbox.write("new directory/new", "new");
    fs::remove_file(sandbox.source.join("old/file")).unwrap();
    fs::rename(sandbox.source.join("moved"), sandbox.source.join("moved again")).unwrap();
    fs::set_permissions(sandbox.source.join("directory/other"), fs::Permissions::from_mode(0o600)).unwrap();
    let document = assert_damages(&sandbox, &[]);
    // The file, a new one, the new directory, what is gone, both names of what was moved, the mode; the times of the
    // directories directory, old and the top.
    assert_eq!(document["changed_since"], 10, "{document:#}");
    cloned(&sandbox, &[]);
    let document = assert_damages(&sandbox, &[]);
    assert_eq!(document["changed_since"], 0, "{document:#}");
}

#[test]
fn contents_that_were_changed_behind_their_size_and_time_are_no_damage() {
    let sandbox = scene();
    flip(&sandbox.source.join("directory/file"), 0..3);
    let document = assert_damages(&sandbox, &[]);
    assert_eq!(document["changed_since"], 1, "{document:#}");
}

#[test]
fn damage_beside_what_has_changed_is_damage() {
    let sandbox = scene();
    sandbox.write("directory/file", "changed");
    flip(&sandbox.destination.join("directory/other"), 0..1);
    let document = assert_damages(&sandbox, &[("directory/other", &["contents"])]);
    assert_eq!(document["changed_since"], 1, "{document:#}");
}

#[test]
fn what_is_missing_from_a_directory_that_has_not_changed_is_damage_whatever_became_of_it() {
    let sandbox = scene();
    // Written since, but it was there before.
    sandbox.write("directory/file", "changed");
    silently(&sandbox.destination.join("directory/file"), |path| fs::remove_file(path).unwrap());
    assert_damages(&sandbox, &[("directory/file", &["missing"])]);
}

#[test]
fn a_copy_that_only_looks_newer_is_damage() {
    let sandbox = scene();
    fs::write(sandbox.destination.join("directory/file"), "written by somebody").unwrap();
    let document = found(&sandbox, &[]);
    assert_eq!(document["damages"][0]["path"], "directory/file", "{document:#}");
    assert_eq!(document["changed_since"], 0, "{document:#}");
}
