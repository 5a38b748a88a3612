//! `--inplace` in quick and closing passes.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use crate::quick::{add_files, assert_quick, cloned, settle, watched_rsync};
use crate::support::audit::{Options, assert_same};
use crate::support::sandbox::Sandbox;
use crate::support::tree::noise;

fn inode(sandbox: &Sandbox) -> u64 {
    fs::metadata(sandbox.destination.join("0001/big")).unwrap().ino()
}

#[test]
fn a_quick_pass_hands_over_what_is_left() {
    let sandbox = cloned();
    let big = sandbox.source.join("0001/big");
    fs::write(&big, noise(1, 3 << 20)).unwrap();
    settle(&sandbox);
    let before = inode(&sandbox);
    fs::OpenOptions::new().write(true).open(&big).unwrap().write_all_at(b"changed", 1 << 20).unwrap();
    let run = assert_quick(&sandbox, &["--inplace"]);
    run.assert_log(": Quick pass: 1 of ").assert_log("Writing in place: 1 files.\n");
    run.assert_log("regular files transferred: 1");
    assert_eq!(inode(&sandbox), before);
    fs::OpenOptions::new().write(true).open(&big).unwrap().write_all_at(b"again", 1 << 20).unwrap();
    fs::write(sandbox.source.join("0001/00000100"), "changed as well").unwrap();
    assert_quick(&sandbox, &["--inplace"]).assert_log("Writing in place: 1 files.\n");
    assert_eq!(inode(&sandbox), before);
}

#[test]
fn what_changes_all_the_time_is_never_replaced() {
    let sandbox = Sandbox::new();
    watched_rsync(&sandbox, "[ $n -gt 3 ] || echo $n | dd of=0001/big conv=notrunc bs=1 seek=$n status=none");
    add_files(&sandbox.source);
    fs::write(sandbox.source.join("0001/big"), noise(1, 3 << 20)).unwrap();
    sandbox.clone(&["--inplace"]).assert_code(0).assert_err("");
    let before = inode(&sandbox);
    fs::write(sandbox.path().join("count"), "").unwrap();
    fs::write(sandbox.source.join("0001/big"), noise(2, 3 << 20)).unwrap();
    let run = sandbox.clone(&["--inplace", "--full"]);
    run.assert_code(0).assert_err("").assert_log(": Full pass: ").assert_log(": Closing pass 1: ");
    assert_eq!(inode(&sandbox), before, "{run}");
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
}
