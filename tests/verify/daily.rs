//! `--verify-daily`: a run reads a part of the clone again, and a damaged one is no success.

use std::fs;

use serde_json::Value;

use crate::support::sandbox::{Finished, Sandbox};
use crate::verify::scene::{cloned, flip, next_second, silently, verify};

const FILES: usize = 40;

/// What the log says of a second turn on one day.
const TODAY: &str = "No part of the clone is read again: one was already read today.\n";

fn scene() -> Sandbox {
    let sandbox = Sandbox::new();
    for number in 0..FILES {
        sandbox.write(format!("dir/{number}"), "content");
    }
    cloned(&sandbox, &[]);
    next_second();
    sandbox
}

/// Lets a day pass: what was read was read a day earlier.
fn a_day_later(sandbox: &Sandbox) {
    let path = sandbox.state_file("json");
    let mut state: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let age = |value: &mut Value| *value = (value.as_i64().unwrap() - 24 * 60 * 60).into();
    let reading = &mut state["disks"][0]["reading"];
    let parts = reading["parts"].as_array_mut().unwrap();
    parts.iter_mut().filter(|part| part.as_i64() != Some(0)).for_each(age);
    for moment in ["at", "oldest", "damage_found"] {
        if reading["known"][moment].is_object() {
            age(&mut reading["known"][moment]["epoch"]);
        }
    }
    fs::write(path, state.to_string()).unwrap();
}

/// How many files a run says that it has read, as this part of two.
fn read(run: &Finished, part: usize) -> usize {
    let start = format!("Read again, part {part} of 2: ");
    run.assert_log(&start);
    let line = run.out.split(&start).nth(1).unwrap();
    line.split(' ').next().unwrap().parse().unwrap()
}

fn check(sandbox: &Sandbox) -> Finished {
    sandbox.run(["check", "-d", sandbox.destination.to_str().unwrap()])
}

#[test]
fn each_day_another_part_is_read_and_none_twice() {
    let sandbox = scene();
    let half = || sandbox.clone(&["--verify-daily", "50%"]);
    let first = half();
    first.assert_code(0).assert_err("");
    let first = read(&first, 1);
    assert_eq!(sandbox.record().unwrap()["verification"]["oldest"], Value::Null);
    half().assert_code(0).assert_log(TODAY);
    // A run that reads nothing knows what was read.
    assert_eq!(sandbox.record().unwrap()["verification"]["files"], first);
    a_day_later(&sandbox);
    let second = half();
    second.assert_code(0);
    assert_eq!(first + read(&second, 2), FILES, "{second}");
    let checked = check(&sandbox);
    assert!(
        checked.code == 0 && checked.out.contains("; every part of it was read again within 1 d"),
        "{checked}"
    );
    let status = sandbox.run(["status"]);
    assert!(status.out.contains("Every part of it was read again since "), "{status}");
    a_day_later(&sandbox);
    read(&half(), 1);
    // A whole verification is a turn of all parts.
    assert_eq!(verify(&sandbox, &[]).code, 0);
    half().assert_code(0).assert_log("Read again, part 1 of 2: ");
    let checked = check(&sandbox);
    assert!(checked.out.contains("; every part of it was read again within "), "{checked}");
}

#[test]
fn damage_is_75_and_critical_until_it_is_repaired() {
    let sandbox = scene();
    let damaged = sandbox.destination.join("dir/7");
    silently(&damaged, |path| flip(path, 2..3));
    let ran = sandbox.path().join("ran");
    let post = sandbox.script("post", &format!("touch '{}'", ran.display()));
    let metrics = sandbox.path().join("counterpart.prom");
    let more =
        ["--verify-daily=100%", "-o", post.to_str().unwrap(), "--metrics-file", metrics.to_str().unwrap()];
    let run = sandbox.clone(&more);
    let sentence = format!(
        "The copy is complete, but 1 entry of the clone in {}, which Counterpart read again, is damaged: the log names it. \
         Run counterpart verify --repair.",
        sandbox.destination.display()
    );
    run.assert_code(75).assert_err(&format!("counterpart: {sentence}\n"));
    run.assert_log(&format!(": Error: {sentence}\n"));
    run.assert_log("Warning: damaged: dir/7: 1 byte differs, at offset 2.\n");
    run.assert_log("Read again, part 1 of 1: 40 files (280 B) in ");
    assert!(!ran.exists(), "{run}");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    let record = sandbox.record().unwrap();
    assert_eq!((&record["exit_code"], &record["outcome"]), (&Value::from(75), &Value::from("warning")));
    assert_eq!(record["verification"]["damaged"], 1);
    let text = fs::read_to_string(&metrics).unwrap();
    assert!(text.contains("\ncounterpart_verification_damaged{") && !text.contains("dir/7"), "{text}");
    assert!(!fs::read_to_string(sandbox.state_file("json")).unwrap().contains("dir/7"));
    let checked = check(&sandbox);
    assert_eq!(checked.code, 2, "{checked}");
    assert!(checked.out.contains("; damage was found "), "{checked}");
    // Other turns without damage do not make it good.
    sandbox.clone(&["--verify-daily=100%"]).assert_code(0).assert_log(TODAY);
    assert_eq!(check(&sandbox).code, 2);
    let status = sandbox.run(["status"]);
    assert!(status.out.contains("Damage was found on ") && status.out.contains("\nwarning "), "{status}");
    next_second();
    assert_eq!(verify(&sandbox, &["--repair"]).code, 83);
    let checked = check(&sandbox);
    assert!(checked.code == 0 && !checked.out.contains("damage"), "{checked}");
}

#[test]
fn a_share_that_makes_too_many_turns_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    for share in ["0.499%", "0%", "101%", "3"] {
        let run = sandbox.clone(&["--verify-daily", share]);
        assert_eq!(run.code, 2, "{run}");
        assert!(run.err.contains("write a share between 0.5% and 100%, such as 3%"), "{run}");
        assert!(!sandbox.marker("id").exists());
    }
}
