//! A clock that is wrong or set back, through libfaketime; the filesystems keep the right time.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::evidence::Evidence;
use crate::support::sandbox::{Finished, Sandbox};
use crate::support::scene::{RSYNC, on_transfer, text, thousands};
use crate::support::tree::{edit_in_the_same_second, set_mtime};

/// A second after 2100 began.
const FUTURE: i64 = 4_102_444_801;

fn library() -> PathBuf {
    let found = fs::read_dir("/usr/lib").unwrap().filter_map(|entry| {
        let library = entry.unwrap().path().join("faketime/libfaketimeMT.so.1");
        library.exists().then_some(library)
    });
    found.into_iter().next().expect("this test needs libfaketime")
}

/// Clones with the time that a file tells at every moment: `-1d` is a day ago.
fn clone_at(sandbox: &Sandbox, time: &str) -> Finished {
    set_clock(sandbox.path(), time);
    let mut command = sandbox.command(sandbox.arguments([] as [&str; 0]));
    command.env("LD_PRELOAD", library());
    command.env("FAKETIME_TIMESTAMP_FILE", sandbox.path().join("clock")).env("FAKETIME_NO_CACHE", "1");
    command.env("NO_FAKE_STAT", "1").env("FAKE_UTIME", "0").env("DONT_FAKE_MONOTONIC", "1");
    Finished::from(command.output().unwrap())
}

fn set_clock(dir: &Path, time: &str) {
    fs::write(dir.join("clock"), format!("{time}\n")).unwrap();
}

/// A complete clone and a source with changes of every kind since then.
fn changed() -> Sandbox {
    let sandbox = Sandbox::new();
    thousands(&sandbox, 20);
    sandbox.clone(&[]).assert_code(0);
    edit_in_the_same_second(&sandbox.source.join("0000/00000007"));
    fs::write(sandbox.source.join("0000/00000008"), "shorter").unwrap();
    fs::remove_file(sandbox.source.join("0000/00000009")).unwrap();
    sandbox.write("new", "new");
    sandbox
}

/// The seconds that a line of the statistics tells.
fn told(sandbox: &Sandbox, label: &str) -> i64 {
    let text = sandbox.read_marker("stats");
    let line = text.lines().find_map(|line| line.strip_prefix(label)).expect("the line is missing");
    line.trim().parse().unwrap()
}

pub fn a_clock_a_year_back_makes_no_difference(evidence: &mut Evidence) {
    let sandbox = changed();
    let before = told(&sandbox, "Clone Started:");
    evidence.watch(&sandbox);
    let run = clone_at(&sandbox, "-365d");
    evidence.verify(&sandbox, &run);
    assert!(told(&sandbox, "Clone Started:") < before - 300 * 86_400, "the clock was not wrong");
    evidence.repair(&sandbox);
}

pub fn a_clock_that_begins_in_1970_makes_no_difference(evidence: &mut Evidence) {
    let sandbox = changed();
    evidence.watch(&sandbox);
    let run = clone_at(&sandbox, "1970-01-01 00:00:10");
    evidence.verify(&sandbox, &run);
    assert!(told(&sandbox, "Clone Started:") < 10 * 86_400, "the clock was not wrong");
    evidence.repair(&sandbox);
}

pub fn a_clock_that_is_set_back_in_between_makes_no_difference(evidence: &mut Evidence) {
    let sandbox = changed();
    on_transfer(&sandbox, &format!("echo -2h >'{}/clock'; exec {RSYNC} \"$@\"", text(sandbox.path())));
    evidence.watch(&sandbox);
    let run = clone_at(&sandbox, "+0");
    evidence.verify(&sandbox, &run);
    assert!(
        told(&sandbox, "Clone Completed:") < told(&sandbox, "Clone Started:"),
        "the clock was not set back"
    );
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}

pub fn marks_and_files_of_the_future_make_no_difference(evidence: &mut Evidence) {
    let sandbox = changed();
    for marker in ["completed", "stats", "id"] {
        set_mtime(&sandbox.marker(marker), FUTURE, 1);
    }
    set_mtime(&sandbox.source.join("0000/00000010"), FUTURE, 123_456_789);
    set_mtime(&sandbox.destination.join("0000/00000008"), FUTURE, 5);
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    let completed = fs::metadata(sandbox.marker("completed")).unwrap().modified().unwrap();
    assert!(completed <= std::time::SystemTime::now(), "the completion is in the future");
    evidence.repair(&sandbox);
}
