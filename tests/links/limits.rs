//! Links that are left alone, and what prevents separating one.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::links::{MOMENT, PARTED, assert_exact, file, inode, link, options, part, transferred};
use crate::support::disk::LoopDisk;
use crate::support::sandbox::{STEM, Sandbox};
use crate::support::tree;

#[test]
fn what_is_linked_rightly_is_not_touched() {
    let sandbox = Sandbox::new();
    tree::hostile_tree(&sandbox.source);
    sandbox.clone(&[]).assert_code(0);
    let before = tree::snapshot_with_ctime(&sandbox.destination.join("hard links"));
    for _ in 0..2 {
        let run = sandbox.clone(&[]);
        run.assert_code(0).assert_no_log(PARTED);
        assert_eq!(transferred(&sandbox), 0, "{run}");
        tree::assert_unchanged(&before, &tree::snapshot_with_ctime(&sandbox.destination.join("hard links")));
    }
}

#[test]
fn links_that_are_new_at_the_source_are_rsyncs_work() {
    let sandbox = Sandbox::new();
    for name in ["one", "two"] {
        file(&sandbox.source.join(name), "content", MOMENT);
    }
    sandbox.clone(&[]).assert_code(0);
    fs::remove_file(sandbox.source.join("two")).unwrap();
    link(&sandbox.source, "one", "two");
    sandbox.clone(&[]).assert_code(0).assert_no_log(PARTED);
    assert_eq!(transferred(&sandbox), 0);
    assert_exact(&sandbox, &options("3.5.0"));
}

/// What rsync replaces by itself needs no second copy.
#[test]
fn a_name_that_is_something_else_at_the_source_parts_nothing() {
    let sandbox = Sandbox::new();
    let names = ["link", "directory", "gone", "longer", "later", "directory of link"];
    file(&sandbox.source.join("stays"), "content", MOMENT);
    for name in names {
        link(&sandbox.source, "stays", name);
    }
    sandbox.clone(&[]).assert_code(0);
    let stays = inode(sandbox.destination.join("stays"));
    for name in names {
        fs::remove_file(sandbox.source.join(name)).unwrap();
    }
    symlink("stays", sandbox.source.join("link")).unwrap();
    fs::create_dir(sandbox.source.join("directory")).unwrap();
    file(&sandbox.source.join("longer"), "more content", MOMENT);
    file(&sandbox.source.join("later"), "CONTENT", MOMENT + 1);
    symlink("directory", sandbox.source.join("directory of link")).unwrap();
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("").assert_no_log(PARTED);
    assert_eq!(transferred(&sandbox), 2, "{run}");
    assert_eq!(inode(sandbox.destination.join("stays")), stays);
    assert_exact(&sandbox, &options("3.5.0"));
}

/// A directory of the clone that is a link at the source does not lead the comparison elsewhere.
#[test]
fn no_link_of_the_source_is_followed() {
    let sandbox = Sandbox::new();
    let aside = sandbox.path().join("aside");
    for dir in [&sandbox.source.join("directory"), &aside] {
        fs::create_dir(dir).unwrap();
    }
    file(&sandbox.source.join("file"), "content", MOMENT);
    link(&sandbox.source, "file", "directory/file");
    sandbox.clone(&[]).assert_code(0);
    fs::remove_dir_all(sandbox.source.join("directory")).unwrap();
    file(&aside.join("file"), "content", MOMENT);
    symlink(&aside, sandbox.source.join("directory")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_no_log(PARTED);
    assert_eq!(transferred(&sandbox), 0);
    assert_exact(&sandbox, &options("3.5.0"));
}

#[test]
fn our_markers_and_what_is_left_out_are_not_compared() {
    let sandbox = Sandbox::new();
    let planted = format!("{STEM}planted");
    for name in ["file", planted.as_str(), "left out"] {
        file(&sandbox.source.join(name), "content", MOMENT);
    }
    let excludes = sandbox.path().join("excludes");
    fs::write(&excludes, "/left out\n").unwrap();
    let excludes = ["-e", excludes.to_str().unwrap()];
    sandbox.clone(&excludes).assert_code(0);
    link(&sandbox.destination, "file", &planted);
    link(&sandbox.destination, "file", "left out");
    let before = inode(sandbox.destination.join("file"));
    sandbox.clone(&excludes).assert_code(0).assert_err("").assert_no_log(PARTED);
    assert_eq!(transferred(&sandbox), 0);
    assert_eq!(inode(sandbox.destination.join("file")), before);
    assert_eq!(inode(sandbox.destination.join(planted)), before);
    assert_eq!(sandbox.names(), ["file"]);
}

#[test]
fn a_test_run_parts_nothing() {
    let sandbox = Sandbox::new();
    file(&sandbox.source.join("public"), "content", MOMENT);
    link(&sandbox.source, "public", "secret");
    sandbox.clone(&[]).assert_code(0);
    part(&sandbox.source.join("secret"), 0o600);
    let before = tree::snapshot_with_ctime(&sandbox.destination);
    sandbox.clone(&["-t"]).assert_code(70).assert_no_log(PARTED);
    tree::assert_unchanged(&before, &tree::snapshot_with_ctime(&sandbox.destination));
}

/// rsync fails at such a path, but not the walk before it.
#[test]
fn an_over_long_path_does_not_keep_others_from_being_parted() {
    let sandbox = Sandbox::new();
    file(&sandbox.source.join("public"), "content", MOMENT);
    link(&sandbox.source, "public", "secret");
    sandbox.clone(&[]).assert_code(0);
    part(&sandbox.source.join("secret"), 0o600);
    for root in [&sandbox.source, &sandbox.destination] {
        tree::over_long_path(root);
    }
    sandbox.clone(&[]).assert_code(23).assert_log(PARTED);
    assert_ne!(inode(sandbox.destination.join("public")), inode(sandbox.destination.join("secret")));
    for root in [&sandbox.source, &sandbox.destination] {
        tree::remove_tree(root);
    }
}

#[test]
fn what_cannot_be_parted_is_a_warning() {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let mut sandbox = Sandbox::new();
    sandbox.destination = disk.path().into();
    file(&sandbox.source.join("public"), "content", MOMENT);
    link(&sandbox.source, "public", "\u{1b}[31m");
    sandbox.clone(&[]).assert_code(0);
    part(&sandbox.source.join("\u{1b}[31m"), 0o644);
    let immutable = |change: &str| {
        let file = sandbox.destination.join("public");
        assert!(Command::new("chattr").arg(change).arg(file).status().unwrap().success());
    };
    immutable("+i");
    let run = sandbox.clone(&[]);
    immutable("-i");
    run.assert_code(0).assert_log(
        "1 files of the clone that are separate at the source could not be unlinked and remain one file, with the permissions of one of them. The first is ",
    );
    run.assert_log(": Operation not permitted.\n").assert_no_log("\u{1b}[31m");
    assert_eq!(sandbox.record().unwrap()["outcome"], "warning", "{run}");
    sandbox.clone(&[]).assert_code(0).assert_log(PARTED);
    assert_exact(&sandbox, &options("3.5.0"));
}
