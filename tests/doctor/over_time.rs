//! What is known of a clone over time, and what will be looked at next.

use std::fs;

use serde_json::{Value, json};

use crate::doctor::patient::{ask, assert_foretold, healthy};
use crate::support::sandbox::Sandbox;

const READING: &str = "reading again";

const PROOF: &str = "proof";

/// Changes what the machine knows of its clone.
fn change(sandbox: &Sandbox, act: impl FnOnce(&mut Value)) {
    let path = sandbox.state_file("json");
    let mut state = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    act(&mut state);
    fs::write(path, state.to_string()).unwrap();
}

fn moment() -> Value {
    json!({"rfc3339": "2026-11-23T01:48:46+01:00", "epoch": 1_795_394_926})
}

/// The one line on a topic that is fine, without the moment in it.
#[track_caller]
fn fine(sandbox: &Sandbox, topic: &str, more: &[&str]) -> String {
    let told = ask(sandbox, more);
    let lines = told.of_topic(topic);
    assert_eq!(lines.len(), 1, "{told:?}");
    lines[0].split(" 20").next().unwrap().to_owned()
}

#[test]
fn what_is_not_asked_for_is_not_told() {
    let sandbox = healthy();
    let told = ask(&sandbox, &[]);
    assert!(told.of_topic(READING).is_empty() && told.of_topic(PROOF).is_empty(), "{told:?}");
    assert!(told.of_topic("snapshot").is_empty(), "{told:?}");
}

#[test]
fn the_reading_is_told_with_what_was_read() {
    let sandbox = healthy();
    let half = ["--verify-daily=50%"];
    let start = "OK    reading again: all of the clone will be read in";
    assert_eq!(
        fine(&sandbox, READING, &half),
        format!("{start} 2 days; nothing of it has been read so far.")
    );
    sandbox.clone(&half).assert_code(0);
    assert_eq!(
        fine(&sandbox, READING, &half),
        format!("{start} 2 days; not every file has been read so far.")
    );
    assert_eq!(sandbox.run(["verify", "-d", sandbox.destination.to_str().unwrap()]).code, 0);
    let all = ["--verify-daily=100%"];
    assert_eq!(fine(&sandbox, READING, &all), format!("{start} 1 day; every file has been read since"));
    change(&sandbox, |state| state["disks"][0]["reading"]["known"]["damage_found"] = moment());
    let told = ask(&sandbox, &all);
    let lines = told.of_topic(READING);
    assert!(
        lines[0].starts_with("WARN  reading again: damage was found in the clone on 2026-11-2"),
        "{told:?}"
    );
    assert_eq!(
        lines[1],
        "      To do: Run counterpart verify --repair, and find out whether the disk is failing."
    );
}

#[test]
fn the_hashes_are_told_with_what_was_kept() {
    let sandbox = healthy();
    let both = ["--hashes=both"];
    let told = |more: &[&str]| ask(&sandbox, more).of_topic("hashes").join("\n");
    assert_eq!(told(&[]), "");
    assert_eq!(told(&both), "OK    hashes: the next run will read every file of the clone once for them.");
    sandbox.clone(&["--hashes=here"]).assert_code(0);
    let start = "OK    hashes: the last run kept those of ";
    let here = told(&both);
    assert!(here.starts_with(start) && here.ends_with(" files and links on this machine."), "{here}");
    sandbox.clone(&both).assert_code(0);
    let there = told(&both);
    assert!(there.ends_with(" files and links on this machine and on the clone."), "{there}");
}

#[test]
fn the_proof_is_told_with_what_was_proven() {
    let sandbox = healthy();
    let weekly = ["--prove=weekly"];
    let will = "OK    proof: the clone on this disk will be booted after the next run.";
    assert_eq!(fine(&sandbox, PROOF, &weekly), will);
    sandbox.clone(&[]).assert_code(0);
    assert_eq!(fine(&sandbox, PROOF, &weekly), will);
    change(&sandbox, |state| {
        state["proof"] = json!({"at": moment(), "booted": false, "reason": null, "compared": false,
            "firmware": "BIOS", "kernel": null, "seconds": 1.0});
    });
    let told = ask(&sandbox, &weekly);
    let lines = told.of_topic(PROOF);
    assert!(lines[0].starts_with("WARN  proof: the clone did not boot on 2026-11-2"), "{told:?}");
    assert!(lines[0].ends_with("; it will be booted again."), "{told:?}");
    change(&sandbox, |state| state["disks"][0]["proven"] = moment());
    assert_eq!(fine(&sandbox, PROOF, &weekly), "OK    proof: the clone on this disk was proven to boot on");
}

#[test]
fn a_snapshot_that_cannot_be_taken_is_told() {
    let sandbox = healthy();
    assert_foretold(&sandbox, &["--snapshot=require"], 77);
}
