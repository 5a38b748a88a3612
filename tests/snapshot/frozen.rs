//! What is cloned is the source as it was at one moment.

use std::fs;
use std::path::Path;

use crate::snapshot::scene::{Machine, PLACE, REQUIRED, btrfs};
use crate::support::audit::{Options, assert_same};
use crate::support::sandbox::names_of;
use crate::support::scene::{RSYNC, beside, on_transfer};
use crate::support::tree::many_files;

/// Changes the source before each transfer.
fn change_on_transfer(machine: &Machine) {
    let sandbox = &machine.sandbox;
    let source = sandbox.source.display();
    let body = format!(
        "echo now >'{source}/etc/changing'; rm '{source}/home/user/file'; echo now >'{source}/home/user/new'"
    );
    on_transfer(sandbox, &format!("{}; exec {RSYNC} \"$@\"", beside(sandbox, &body)));
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn what_changes_during_the_run_is_cloned_as_it_was() {
    let machine = Machine::new();
    let sandbox = &machine.sandbox;
    change_on_transfer(&machine);
    let run = sandbox.clone(&["--snapshot=require", "--filesystems=all"]);
    run.assert_code(0).assert_err("").assert_no_warning();
    let source = sandbox.source.display();
    run.assert_log(&format!(
        "The clone is made from snapshots of {source} (btrfs), {source}/home (btrfs).\n"
    ));
    assert_eq!(read(&sandbox.source.join("etc/changing")), "now\n");
    assert_eq!(read(&sandbox.destination.join("etc/changing")), "then");
    assert_eq!(names_of(&sandbox.destination.join("home/user")), ["file"]);
    machine.assert_nothing_left();
    let frozen = [source.to_string(), format!("{source}/home")];
    assert_eq!(sandbox.record().unwrap()["snapshots"], serde_json::json!(frozen));
    let status = sandbox.run(["status"]);
    let words: Vec<&str> = status.out.split_whitespace().collect();
    let sentence = format!("Made from snapshots of {source}, {source}/home.");
    assert!(words.join(" ").contains(&sentence), "{status}");
    // The living source, for comparison.
    sandbox.write("etc/changing", "then");
    sandbox.write("home/user/file", "then");
    let run = sandbox.clone(&["--snapshot=never", "--filesystems=all"]);
    run.assert_code(0).assert_no_log("snapshot");
    assert_eq!(read(&sandbox.destination.join("etc/changing")), "now\n");
    assert_eq!(sandbox.record().unwrap()["snapshots"], serde_json::json!([]));
}

#[test]
fn a_data_directory_is_frozen_only_on_request() {
    let machine = Machine::new();
    let run = machine.sandbox.clone(&[]);
    run.assert_code(0).assert_err("").assert_no_log("snapshot");
    let run = machine.sandbox.clone(&["--snapshot", "auto"]);
    run.assert_code(0).assert_err("").assert_no_log("snapshot");
}

#[test]
fn a_directory_below_the_top_of_its_subvolume_is_cloned_from_there() {
    let mut machine = Machine::new();
    let above = machine.sandbox.source.clone();
    machine.sandbox.write("srv/data/deep/file", "content");
    machine.sandbox.source = above.join("srv/data");
    let run = machine.sandbox.clone(&REQUIRED);
    run.assert_code(0).assert_err("").assert_log("The clone is made from a snapshot of ");
    assert_same(&machine.sandbox.source, &machine.sandbox.destination, &Options::default());
    machine.assert_nothing_left();
}

#[test]
fn quick_passes_work_with_snapshots_and_without() {
    let machine = Machine::new();
    let sandbox = &machine.sandbox;
    many_files(&sandbox.source.join("many"), 1200, 20);
    let all = ["--snapshot=require", "--filesystems=all"];
    for _ in 0..3 {
        sandbox.clone(&all).assert_code(0).assert_err("");
    }
    sandbox.clone(&all).assert_code(0).assert_log(": Quick pass: 0 of ").assert_no_log("Closing pass");
    sandbox.write("etc/changing", "more");
    sandbox.clone(&all).assert_code(0).assert_log(": Quick pass: 1 of ");
    assert_eq!(read(&sandbox.destination.join("etc/changing")), "more");
    // The living source has the same inodes and times.
    sandbox.clone(&["--filesystems=all"]).assert_code(0).assert_log(": Quick pass: 0 of ");
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    machine.assert_nothing_left();
}

#[test]
fn what_changes_again_after_the_snapshot_is_not_taken_for_cloned() {
    let machine = Machine::new();
    let sandbox = &machine.sandbox;
    many_files(&sandbox.source.join("many"), 1200, 20);
    for _ in 0..3 {
        sandbox.clone(&REQUIRED).assert_code(0);
    }
    // Just before the snapshot and just after it, with the same size and time.
    let file = sandbox.source.join("etc/changing");
    let shown = file.display();
    let source = sandbox.source.display();
    let pre = sandbox.script("pre", &format!("printf 1111 >'{shown}'; touch -d @1000 '{shown}'"));
    let body = format!("printf 2222 >'{shown}'; touch -d @1000 '{shown}'; touch '{source}/again'");
    on_transfer(sandbox, &format!("{}; exec {RSYNC} \"$@\"", beside(sandbox, &body)));
    sandbox.clone(&["--snapshot=require", "-p", pre.to_str().unwrap()]).assert_code(0);
    assert_eq!(read(&sandbox.destination.join("etc/changing")), "1111");
    on_transfer(sandbox, &format!("exec {RSYNC} \"$@\""));
    sandbox.clone(&REQUIRED).assert_code(0).assert_log(": Quick pass: ");
    assert_eq!(read(&sandbox.destination.join("etc/changing")), "2222");
}

#[test]
fn a_nested_subvolume_keeps_its_copy_and_is_named() {
    let machine = Machine::new();
    let sandbox = &machine.sandbox;
    sandbox.write("var/early", "");
    sandbox.clone(&REQUIRED).assert_code(0);
    fs::remove_dir_all(sandbox.source.join("var")).unwrap();
    btrfs(&["create"], &sandbox.source.join("var"));
    sandbox.write("var/late", "");
    for more in
        [&REQUIRED[..], &["--snapshot=require", "--full"], &["--snapshot=require", "--filesystems=all"]]
    {
        let run = sandbox.clone(more);
        run.assert_code(0);
        let shown = sandbox.source.join("var");
        run.assert_log(&format!(
            "{} is another filesystem (a subvolume) and is not cloned.",
            shown.display()
        ));
        assert_eq!(names_of(&sandbox.destination.join("var")), ["early"], "{more:?}");
    }
}

#[test]
fn the_top_of_a_filesystem_is_cloned_without_its_snapshots() {
    let mut machine = Machine::new();
    let top = machine.top().to_owned();
    machine.sandbox.source = top;
    machine.sandbox.write("file", "content");
    // Another clone of it is at work.
    let place = machine.top().join(PLACE);
    fs::DirBuilder::new().create(&place).unwrap();
    fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    btrfs(&["snapshot", "-r", machine.top().join("@").to_str().unwrap()], &place.join("of-another"));
    let run = machine.sandbox.clone(&REQUIRED);
    run.assert_code(0).assert_err("").assert_no_log(PLACE);
    assert!(!machine.sandbox.destination.join(PLACE).exists());
    assert_eq!(machine.snapshots(), ["of-another"]);
    assert_eq!(fs::read_to_string(machine.sandbox.destination.join("file")).unwrap(), "content");
    assert_eq!(machine.known(), serde_json::json!([]));
}
