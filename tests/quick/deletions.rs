//! How much a clone may delete, and when it deletes.

use std::fs;

use crate::quick::{FILES, cloned};
use crate::support::disk::LoopDisk;
use crate::support::sandbox::{Sandbox, names_of};
use crate::support::tree::{many_files, noise};

/// Moves most of a clone's source to where it is excluded, so that the source has not shrunk.
fn excluding(sandbox: &Sandbox, patterns: &str) -> String {
    let file = sandbox.path().join("excludes");
    fs::write(&file, patterns).unwrap();
    file.to_str().unwrap().to_owned()
}

fn sentence(sandbox: &Sandbox, deleted: &str, of: usize, first: &str) -> String {
    format!(
        "counterpart: This clone would delete {deleted} of {of}, first of all {first}, at the destination {}. Is everything \
         mounted at the source, and are the exclusions right? If so, run once with --allow-shrink; --max-delete sets the \
         limit.\n",
        sandbox.destination.display()
    )
}

/// A clone whose source has since been replaced by other files, as many as before.
fn replaced() -> Sandbox {
    let sandbox = cloned();
    for number in 0..FILES / 100 {
        let dir = sandbox.source.join(format!("{number:04}"));
        fs::rename(&dir, dir.with_file_name(format!("other {number:04}"))).unwrap();
    }
    sandbox
}

#[test]
fn a_clone_that_would_delete_most_of_the_last_is_refused() {
    let sandbox = replaced();
    let before = names_of(&sandbox.destination);
    let run = sandbox.clone(&[]);
    let first = "0000, 0001, 0002, 0003, 0004";
    run.assert_code(76)
        .assert_err(&sentence(&sandbox, "1212 entries", 1213, first))
        .assert_no_log("Cloning.");
    assert_eq!(names_of(&sandbox.destination), before);
    sandbox
        .clone(&["-t"])
        .assert_code(70)
        .assert_log(": Warning: a real run would be refused with code 76. This clone would ");
    sandbox.clone(&["--allow-shrink"]).assert_code(0).assert_err("");
    assert!(!sandbox.destination.join("0000").exists());
}

#[test]
fn the_limit_is_set_by_number_and_by_share() {
    let sandbox = cloned();
    fs::remove_dir_all(sandbox.source.join("0001")).unwrap();
    sandbox.write("0002/new", "x");
    let differences = "Entries that differ: only at the source 1, in their contents 0, in attributes alone 1, only at the \
                       destination 101.\n";
    let told = sandbox.clone(&["--max-delete", "0"]);
    told.assert_log(differences).assert_log("Only at the destination: 0001\n");
    let refused = sentence(&sandbox, "101 entries", 1213, "0001");
    for limit in ["100", "0", "8%", "0%"] {
        sandbox.clone(&["--max-delete", limit]).assert_code(76).assert_err(&refused);
    }
    let old = sandbox.clone(&["--max-delete", "101"]);
    old.assert_code(0).assert_err("");
    fs::remove_dir_all(sandbox.source.join("0002")).unwrap();
    sandbox.clone(&["--max-delete", "10%"]).assert_code(0).assert_err("");
    for wrong in ["", "x", "-1", "101%", "%", "1.5%"] {
        assert_eq!(sandbox.clone(&[&format!("--max-delete={wrong}")]).code, 2, "{wrong}");
    }
}

#[test]
fn fewer_than_a_hundred_may_always_go() {
    let sandbox = Sandbox::new();
    many_files(&sandbox.source, 90, 10);
    sandbox.clone(&[]).assert_code(0);
    let patterns = excluding(&sandbox, "0000*0[0-7]?\n");
    sandbox.clone(&["-e", &patterns]).assert_code(0).assert_err("");
}

#[test]
fn most_of_the_bytes_are_refused_too() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.source.join("film"), vec![1; 101_000_000]).unwrap();
    fs::write(sandbox.source.join("other"), vec![1; 4096]).unwrap();
    sandbox.clone(&[]).assert_code(0);
    // The source has not shrunk: there is as much in another file.
    fs::rename(sandbox.source.join("film"), sandbox.source.join("renamed")).unwrap();
    let run = sandbox.clone(&[]);
    run.assert_code(76);
    assert!(
        run.err.contains("would delete files of 101003264 bytes of ")
            || run.err.contains("would delete files of 101000000 bytes of "),
        "{run}"
    );
    sandbox.clone(&["--max-delete", "5"]).assert_code(0).assert_err("");
}

#[test]
fn deletions_come_first_where_room_is_short() {
    let disk = LoopDisk::new("ext4", 107, &[], "");
    let mut sandbox = Sandbox::new();
    sandbox.destination = disk.path().into();
    fs::create_dir_all(sandbox.source.join("vm")).unwrap();
    fs::create_dir_all(sandbox.source.join("a")).unwrap();
    fs::write(sandbox.source.join("vm/image"), noise(1, 70 << 20)).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_no_log("Room is short");
    fs::rename(sandbox.source.join("vm/image"), sandbox.source.join("a/image")).unwrap();
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("").assert_log("Room is short, so deletions come first.\n");
    assert_eq!(names_of(&sandbox.destination.join("a")), ["image"]);
    assert!(names_of(&sandbox.destination.join("vm")).is_empty());
}
