//! `--prove`: the clone is booted at the end of its run, and stays complete whatever comes of it.

use std::fs;

use serde_json::Value;

use crate::prove::scene::{good, host, play, uuid};
use crate::support::disk::{BareDisk, BindMount, LoopDisk};
use crate::support::sandbox::{Finished, Sandbox};

fn clone(sandbox: &Sandbox, destination: &str) -> Finished {
    clone_with(sandbox, destination, &["--prove"])
}

fn clone_with(sandbox: &Sandbox, destination: &str, prove: &[&str]) -> Finished {
    sandbox.write("file", "content");
    let ends = ["-s", sandbox.source.to_str().unwrap(), "-d", destination];
    sandbox.run(ends.iter().chain(prove))
}

/// What the log says of a clone that boots, and of one that is not booted this time.
const BOOTS: &str = "The clone boots: Linux 6.1.0-test, ";
const NOT_DUE: &str = "The clone is not booted: it was proven ";

#[test]
fn a_clone_that_boots_is_a_success() {
    let disk = BareDisk::new("ext4", &["-E", "lazy_itable_init=0,lazy_journal_init=0"]);
    let sandbox = host(&good(&disk.tag("UUID")));
    let done = clone(&sandbox, &uuid(&disk));
    done.assert_code(0).assert_log(BOOTS).assert_log("graphical.target after ");
    let check = sandbox.run(["check"]);
    assert_eq!(check.code, 0, "{check}");
    assert!(check.out.contains("; proven to boot "), "{check}");
}

#[test]
fn once_a_week_is_enough_unless_it_did_not_boot() {
    let options = &["-E", "lazy_itable_init=0,lazy_journal_init=0"];
    let disk = BareDisk::new("ext4", options);
    let sandbox = host(&good(&disk.tag("UUID")));
    let weekly = || clone_with(&sandbox, &uuid(&disk), &["--prove", "weekly"]);
    weekly().assert_code(0).assert_log(BOOTS).assert_no_log(NOT_DUE);
    weekly().assert_code(0).assert_log(NOT_DUE).assert_no_log(BOOTS);
    clone(&sandbox, &uuid(&disk)).assert_code(0).assert_log(BOOTS);
    // What was proven a week ago is proven again.
    let state = sandbox.state_file("json");
    let known = fs::read_to_string(&state).unwrap();
    let mut aged: Value = serde_json::from_str(&known).unwrap();
    let at = aged["disks"][0]["proven"]["epoch"].as_i64().unwrap();
    for moment in ["/disks/0/proven", "/proven", "/proof/at"] {
        aged.pointer_mut(moment).unwrap()["epoch"] = (at - 7 * 24 * 60 * 60).into();
    }
    fs::write(&state, aged.to_string()).unwrap();
    weekly().assert_code(0).assert_log(BOOTS);
    weekly().assert_code(0).assert_log(NOT_DUE);
    // A clone that did not boot is booted again each time.
    play(&sandbox, &good("47-99"));
    clone(&sandbox, &uuid(&disk)).assert_code(79);
    weekly().assert_code(79);
    play(&sandbox, &good(&disk.tag("UUID")));
    weekly().assert_code(0).assert_log(BOOTS);
    weekly().assert_code(0).assert_log(NOT_DUE);
}

#[test]
fn a_disk_that_takes_the_place_of_another_is_not_proven() {
    let options = &["-E", "lazy_itable_init=0,lazy_journal_init=0"];
    let first = LoopDisk::new("ext4", 64, options, "");
    let sandbox = host(&good(&first.tag("UUID")));
    let path = first.path().to_path_buf();
    let weekly =
        |more: &[&str]| clone_with(&sandbox, path.to_str().unwrap(), &[&["--prove=weekly"], more].concat());
    weekly(&[]).assert_code(0).assert_log(BOOTS);
    weekly(&[]).assert_code(0).assert_log(NOT_DUE);
    let second = LoopDisk::new("ext4", 64, options, "");
    play(&sandbox, &good(&second.tag("UUID")));
    let over = BindMount::at(second.path(), &path);
    weekly(&["--adopt"]).assert_code(0).assert_log(BOOTS);
    weekly(&[]).assert_code(0).assert_log(NOT_DUE);
    drop(over);
    weekly(&[]).assert_code(0).assert_log(NOT_DUE);
}

#[test]
fn a_clone_that_does_not_boot_is_79_and_complete() {
    let disk = LoopDisk::new("ext4", 64, &["-E", "lazy_itable_init=0,lazy_journal_init=0"], "");
    let sandbox = host(&good("47-99"));
    let done = clone(&sandbox, disk.path().to_str().unwrap());
    done.assert_code(79).assert_log("Error: The clone on ");
    let marker = |name: &str| disk.path().join(format!(".me.jedda.counterpart.{name}"));
    assert!(marker("completed").exists() && !marker("error").exists());
    let record: Value = serde_json::from_slice(&fs::read(marker("stats.json")).unwrap()).unwrap();
    assert_eq!((&record["exit_code"], &record["outcome"]), (&Value::from(79), &Value::from("warning")));
    assert_eq!(record["proof"]["booted"], Value::from(false));
    let check = sandbox.run(["check"]);
    assert_eq!(check.code, 1, "{check}");
    assert!(check.out.contains("it did not boot when it was proven "), "{check}");
    // The next run is a clone as any other.
    play(&sandbox, "");
    let again = sandbox.run(["-s", sandbox.source.to_str().unwrap(), "-d", disk.path().to_str().unwrap()]);
    again.assert_code(0);
}

#[test]
fn a_clone_that_cannot_be_proven_is_a_success_with_a_warning() {
    let sandbox = host("");
    let done = clone(&sandbox, sandbox.destination.to_str().unwrap());
    done.assert_code(0).assert_log("arning: the clone was not proven: ");
    let record: Value = serde_json::from_slice(
        &fs::read(sandbox.destination.join(".me.jedda.counterpart.stats.json")).unwrap(),
    )
    .unwrap();
    assert_eq!((&record["outcome"], &record["proof"]), (&Value::from("warning"), &Value::Null));
}
