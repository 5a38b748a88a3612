//! `--prove`: the clone is booted at the end of its run, and stays complete whatever comes of it.

use std::fs;

use serde_json::Value;

use crate::prove::scene::{good, host, play, uuid};
use crate::support::disk::{BareDisk, LoopDisk};
use crate::support::sandbox::{Finished, Sandbox};

fn clone(sandbox: &Sandbox, destination: &str) -> Finished {
    sandbox.write("file", "content");
    sandbox.run(["-s", sandbox.source.to_str().unwrap(), "-d", destination, "--prove"])
}

#[test]
fn a_clone_that_boots_is_a_success() {
    let disk = BareDisk::new("ext4", &["-E", "lazy_itable_init=0,lazy_journal_init=0"]);
    let sandbox = host(&good(&disk.tag("UUID")));
    let done = clone(&sandbox, &uuid(&disk));
    done.assert_code(0).assert_log("The clone boots: Linux 6.1.0-test, graphical.target after ");
    let check = sandbox.run(["check"]);
    assert_eq!(check.code, 0, "{check}");
    assert!(check.out.contains("; proven to boot "), "{check}");
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
