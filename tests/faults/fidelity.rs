//! The clone is exact on every filesystem, and a second run finds nothing to do.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::audit::{Options, assert_same};
use crate::support::disk::{LoopDisk, Tmpfs};
use crate::support::evidence::Evidence;
use crate::support::sandbox::Sandbox;
use crate::support::scene::tool;
use crate::support::tree::{edit_in_the_same_second, hostile_tree, over_long_path, remove_tree, set_mtime};

pub fn ext4_holds_an_exact_clone(evidence: &mut Evidence) {
    exact_on(evidence, LoopDisk::new("ext4", 320, &[], "").path(), true);
}

pub fn xfs_holds_an_exact_clone(evidence: &mut Evidence) {
    exact_on(evidence, LoopDisk::new("xfs", 320, &[], "").path(), true);
}

pub fn btrfs_holds_an_exact_clone(evidence: &mut Evidence) {
    exact_on(evidence, LoopDisk::new("btrfs", 320, &[], "").path(), true);
}

pub fn tmpfs_holds_an_exact_clone(evidence: &mut Evidence) {
    exact_on(evidence, Tmpfs::new("size=320m").path(), true);
}

pub fn a_disk_of_whole_seconds_holds_all_but_the_nanoseconds(evidence: &mut Evidence) {
    exact_on(evidence, LoopDisk::new("ext4", 320, &["-I", "128"], "").path(), false);
}

fn exact_on(evidence: &mut Evidence, disk: &Path, nanoseconds: bool) {
    let mut sandbox = Sandbox::new();
    sandbox.destination = disk.into();
    hostile_tree(&sandbox.source);
    if !nanoseconds {
        // Such a disk ends in 2038 as well.
        set_mtime(&sandbox.source.join("contents/after 2038"), 2_000_000_000, 5);
        set_mtime(&sandbox.source.join("contents"), 2_000_000_000, 5);
    }
    evidence.options = Options { nanoseconds, sparse_slack: 256 * 1024, ..Options::default() };
    let options = evidence.options.clone();
    let same = || {
        assert_same(&sandbox.source, &sandbox.destination, &options);
        assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    };
    evidence.watch(&sandbox);
    let first = sandbox.clone(&[]);
    first.assert_code(0).assert_err("");
    evidence.verify(&sandbox, &first);
    same();

    evidence.watch(&sandbox);
    let second = sandbox.clone(&[]);
    evidence.verify(&sandbox, &second);
    second.assert_code(0).assert_err("");
    second.assert_log(": Number of regular files transferred: 0\n");
    second.assert_log(": Number of created files: 0\n").assert_log(": Number of deleted files: 0\n");
    same();

    remove_tree(&sandbox.source.join("names"));
    remove_tree(&sandbox.source.join("levels"));
    fs::remove_file(sandbox.source.join("hard links/one/first group")).unwrap();
    if nanoseconds {
        edit_in_the_same_second(&sandbox.source.join("contents/large"));
    }
    fs::write(sandbox.source.join("new"), "new").unwrap();
    // Most of it is gone.
    sandbox.clone(&["--allow-shrink"]).assert_code(0).assert_err("");
    evidence.repair(&sandbox);
    assert!(!sandbox.destination.join("names").exists() && !sandbox.destination.join("levels").exists());
}

pub fn a_path_that_is_too_long_for_the_system_is_named(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write_destination("file", "old");
    let path = over_long_path(&sandbox.source);
    evidence.watch(&sandbox);
    let run = sandbox.clone(&["--adopt"]);
    evidence.verify(&sandbox, &run);
    run.assert_code(23);
    run.assert_err(
        "counterpart: rsync ended with code 23: some files or attributes were not transferred. \
         The failing paths are in the log.\n",
    );
    // rsync stops at the directory with which the path becomes too long.
    let named = run.messages().iter().position(|message| *message == "Failing paths:");
    let named = run.messages()[named.expect("no path is named") + 1].trim_start();
    assert!(named.len() > 4096 - 255, "{named}");
    let path = path.to_string_lossy();
    assert!(named.contains(&path[..3500]), "{named} is not {path}");
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    assert_eq!(fs::read_to_string(sandbox.destination.join("file")).unwrap(), "content");
    remove_tree(&sandbox.source.join("over-long"));
    evidence.repair(&sandbox);
}

pub fn names_of_every_byte_are_cloned_and_shown_harmlessly(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    for byte in (1..=255_u8).filter(|byte| *byte != b'/') {
        let dir = sandbox.source.join(OsStr::from_bytes(&[b'd', byte, byte, b'd']));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(OsStr::from_bytes(&[byte, b'f', byte])), [byte]).unwrap();
        symlink(OsStr::from_bytes(&[byte]), dir.join("link")).unwrap();
    }
    // Nobody can delete these, so the log has to name each of them.
    let stubborn = |sandbox: &Sandbox| sandbox.destination.join("stubborn");
    fs::create_dir(sandbox.source.join("stubborn")).unwrap();
    sandbox.clone(&[]).assert_code(0);
    for byte in (1..=255_u8).filter(|byte| *byte != b'/') {
        fs::write(stubborn(&sandbox).join(OsStr::from_bytes(&[b'x', byte])), "").unwrap();
    }
    tool("chattr", &[OsStr::new("+i"), stubborn(&sandbox).as_os_str()]);
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    tool("chattr", &[OsStr::new("-i"), stubborn(&sandbox).as_os_str()]);
    evidence.verify(&sandbox, &run);
    let is_harmless = |character: char| ['\n', '\t'].contains(&character) || !character.is_control();
    let harmful = run.out.chars().chain(run.err.chars()).find(|character| !is_harmless(*character));
    assert_eq!(harmful, None, "{run:?}");
    run.assert_log("  and ");
    evidence.repair(&sandbox);
}
