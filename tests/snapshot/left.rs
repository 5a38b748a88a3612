//! No snapshot outlives its run, and what a killed run has left goes with the next.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::snapshot::scene::{Machine, PLACE, REQUIRED, btrfs};
use crate::support::sandbox::wait_until;
use crate::support::scene::{
    Running, SLOWLY, assert_no_rsync, beside, on_transfer, quarter_megabytes, slow_down,
};

#[test]
fn a_killed_run_leaves_what_the_next_one_deletes() {
    let machine = Machine::new();
    let sandbox = &machine.sandbox;
    quarter_megabytes(sandbox, 8);
    for moment in 0..10_u64 {
        slow_down(sandbox, SLOWLY);
        let run = Running::start(sandbox, &REQUIRED);
        assert!(wait_until(|| !machine.snapshots().is_empty()), "no snapshot appears");
        // Anywhere between there and the middle of the transfer.
        std::thread::sleep(std::time::Duration::from_millis(moment * 40));
        run.signal(Signal::SIGKILL);
        drop(run);
        assert_no_rsync(sandbox);
        assert_eq!(machine.snapshots().len(), 1);
        let name = machine.snapshots().remove(0);
        assert_eq!(machine.known()[0]["name"], name);
        // Not even a run that takes none leaves it.
        slow_down(sandbox, 1_000_000);
        let more: &[&str] = if moment % 2 == 0 { &REQUIRED } else { &["--snapshot=never"] };
        let next = sandbox.clone(more);
        next.assert_code(0).assert_log(&format!("Deleted the snapshot {name} of a run that was killed.\n"));
        machine.assert_nothing_left();
        fs::remove_file(sandbox.destination.join("003")).unwrap();
    }
    sandbox.clone(&REQUIRED).assert_code(0);
    let home = sandbox.destination.join("home");
    assert!(home.read_dir().unwrap().next().is_none());
}

#[test]
fn an_interrupted_run_leaves_none() {
    let machine = Machine::new();
    let sandbox = &machine.sandbox;
    quarter_megabytes(sandbox, 8);
    slow_down(sandbox, SLOWLY);
    let run = Running::start(sandbox, &REQUIRED);
    assert!(wait_until(|| !machine.snapshots().is_empty()), "no snapshot appears");
    run.signal(Signal::SIGTERM);
    run.finish().assert_code(20);
    machine.assert_nothing_left();
}

#[test]
fn a_failed_run_leaves_none_and_removes_nothing_else() {
    let machine = Machine::new();
    let sandbox = &machine.sandbox;
    let place = machine.top().join(PLACE);
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
    btrfs(
        &["snapshot", machine.top().join("@").to_str().unwrap()],
        &place.join("counterpart-0123456789abcdef"),
    );
    let seen = sandbox.path().join("seen");
    let list = format!("ls '{}' >'{}'", place.display(), seen.display());
    on_transfer(sandbox, &format!("{}; exit 12", beside(sandbox, &list)));
    let run = sandbox.clone(&REQUIRED);
    run.assert_code(12).assert_log("The clone is made from a snapshot of ");
    assert_eq!(fs::read_to_string(&seen).unwrap().lines().count(), 2, "{run}");
    assert_eq!(machine.snapshots(), ["counterpart-0123456789abcdef"]);
    on_transfer(sandbox, "");
    // Nor does the post-clone script see it.
    let post = sandbox.script("post", &list);
    sandbox.clone(&["--snapshot=require", "-o", post.to_str().unwrap()]).assert_code(0);
    assert_eq!(fs::read_to_string(&seen).unwrap(), "counterpart-0123456789abcdef\n");
    assert_eq!(machine.snapshots(), ["counterpart-0123456789abcdef"]);
}

#[test]
fn a_state_that_names_what_is_no_snapshot_deletes_nothing() {
    let machine = Machine::new();
    let sandbox = &machine.sandbox;
    sandbox.clone(&REQUIRED).assert_code(0);
    let place = machine.top().join(PLACE);
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
    fs::create_dir(place.join("dir")).unwrap();
    fs::write(place.join("dir/file"), "kept").unwrap();
    let path = sandbox.state_file("json");
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let uuid = machine.uuid();
    state["snapshots"] = json!([
        {"filesystem": uuid, "name": "dir"},
        {"filesystem": uuid, "name": "../@home"},
        {"filesystem": uuid, "name": "gone"},
        {"filesystem": "another", "name": "dir"},
    ]);
    fs::write(&path, state.to_string()).unwrap();
    let run = sandbox.clone(&REQUIRED);
    run.assert_code(0).assert_log("The snapshot dir could not be deleted: what is there is no snapshot.");
    run.assert_log("The snapshot ../@home could not be deleted: ");
    assert!(place.join("dir/file").exists() && machine.top().join("@home/user/file").exists());
    assert_eq!(machine.known().as_array().unwrap().len(), 3, "{}", machine.known());
    fs::remove_dir_all(place).unwrap();
}
