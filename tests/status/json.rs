//! The JSON of every command that lists, checked against its schema by an independent validator.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::check::scene::{age, check, cloned};
use crate::safety_net::scene::{Roomy, make_net, restore};
use crate::schedule::machine::{Machine, done};
use crate::status::scene::{assert_strict, shown, valid};

#[test]
fn status_is_strict() {
    let sandbox = cloned();
    let document = shown(&sandbox, &[]);
    assert_eq!(document["counterpart"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&document["host"], &document["notes"]), (&json!("testhost"), &json!([])));
    let changes = [
        ("/schema", json!(2)),
        ("/clones/0/state", json!("fine")),
        ("/clones/0/state", json!("failed")),
        ("/clones/0/last_success", Value::Null),
        ("/clones/0/last_success/size", json!("7")),
        ("/clones/0/last_success/at/rfc3339", json!("yesterday")),
        ("/clones/0/failure", json!({})),
        ("/clones/0/next_run", json!("soon")),
        ("/clones/0/schedules", json!([{}])),
        ("/clones/0/notes", json!([""])),
        ("/now", json!(0)),
    ];
    assert_strict("status.schema.json", &document, &changes);
}

#[test]
fn check_prints_the_same_answer_as_json() {
    let sandbox = cloned();
    let document = valid("check.schema.json", &check(&sandbox, &["--json"]));
    assert_eq!((&document["status"], &document["exit_code"]), (&json!("OK"), &json!(0)), "{document:#}");
    assert_eq!(
        (&document["warning_seconds"], &document["critical_seconds"]),
        (&json!(93_600), &json!(180_000))
    );
    let clone = &document["clones"][0];
    assert_eq!(clone["name"], sandbox.destination.to_str().unwrap());
    assert_eq!((&clone["files"], &clone["size"]), (&json!(2), &json!(7)), "{clone:#}");
    assert!(clone["sentence"].as_str().unwrap().starts_with("completed "), "{clone:#}");
    let changes = [
        ("/status", json!("GOOD")),
        ("/status", json!("WARNING")),
        ("/exit_code", json!(4)),
        ("/clones/0/age_seconds", json!(-1)),
        ("/clones/0/details", json!("none")),
        ("/clones/0/name", json!("")),
    ];
    assert_strict("check.schema.json", &document, &changes);

    age(&sandbox, 30 * 3600);
    let old = check(&sandbox, &["--json"]);
    assert_eq!(old.code, 1, "{old}");
    assert_eq!(valid("check.schema.json", &old)["clones"][0]["status"], "WARNING");
    let stranger = sandbox.run(["check", "-d", "/nowhere/at/all", "--json"]);
    assert_eq!(stranger.code, 3, "{stranger}");
    assert_eq!(valid("check.schema.json", &stranger)["clones"][0]["age_seconds"], Value::Null);
    fs::remove_dir_all(sandbox.host().join("state")).unwrap();
    let none = sandbox.run(["check", "--json"]);
    assert_eq!(none.code, 3, "{none}");
    let none = valid("check.schema.json", &none);
    assert!(none["reason"].as_str().unwrap().starts_with("this machine has no record"), "{none:#}");
    assert_eq!(none["clones"], json!([]));
}

#[test]
fn the_schedules_say_what_they_make() {
    let machine = Machine::linux();
    let none = valid("schedule.schema.json", &machine.schedule(&["list", "--json"]));
    assert_eq!(none["schedules"], json!([]));
    done(&machine.install(&["--name", "one"], &["--safety-net", "-g", "org.example"]));
    done(&machine.install(&["--name", "two"], &[]));
    let service = machine.job("counterpart-two.service");
    let edited = fs::read_to_string(&service).unwrap().replace("ExecStart=", "ExecStart=nice ");
    fs::write(&service, edited).unwrap();
    let document = valid("schedule.schema.json", &machine.schedule(&["list", "--json"]));
    let (source, destination) = (&machine.sandbox.source, &machine.sandbox.destination);
    assert_eq!(
        document["schedules"][0],
        json!({
            "name": "one", "loaded": true, "running": false,
            "next_run": document["schedules"][0]["next_run"],
            "last_result": "no run since the machine was started", "job": null,
            "clones": [{ "source": source, "destination": destination, "prefix": "org.example" }],
            "reason": null,
        })
    );
    assert_eq!(document["schedules"][0]["next_run"]["epoch"], 1_795_491_000);
    let two = &document["schedules"][1];
    assert!(two["clones"].is_null() && two["reason"].is_string(), "{two:#}");
    let changes = [
        ("/schedules/0/name", json!("a b")),
        ("/schedules/0/loaded", Value::Null),
        ("/schedules/0/clones", Value::Null),
        ("/schedules/1/reason", Value::Null),
        ("/schedules/0/next_run", json!({})),
    ];
    assert_strict("schedule.schema.json", &document, &changes);
}

#[test]
fn the_nets_and_what_they_hold() {
    let sandbox = Roomy::new();
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    let none = valid("restore.schema.json", &restore(&sandbox, ["--list", "--json"]));
    assert_eq!((&none["nets"], &none["paths"]), (&json!([]), &json!([])));
    let old = make_net(&sandbox, "2026-11-20_02-10-00");
    symlink("nowhere", old.join("link")).unwrap();
    make_net(&sandbox, "000007_2026-11-21_01-10-00Z");
    let document = valid("restore.schema.json", &restore(&sandbox, ["--list", "--json"]));
    assert_eq!(document["destination"], sandbox.destination.to_str().unwrap());
    let nets = document["nets"].as_array().unwrap();
    assert_eq!(nets.len(), 2, "{document:#}");
    assert_eq!((&nets[0]["number"], &nets[1]["number"]), (&Value::Null, &json!(7)));
    assert_eq!((&nets[0]["entries"], &nets[1]["entries"]), (&json!(2), &json!(1)), "{document:#}");
    assert_eq!(nets[1]["made"]["epoch"], 1_795_223_400);
    let changes = [("/nets/0/name", json!("")), ("/nets/1/number", json!("7")), ("/nets/1/made", json!(1))];
    assert_strict("restore.schema.json", &document, &changes);

    let asked = valid("restore.schema.json", &restore(&sandbox, ["--list", "--json", "file", "/link"]));
    let (file, link) = (&asked["paths"][0], &asked["paths"][1]);
    assert_eq!((&file["path"], &file["clone"]["kind"]), (&json!("/file"), &json!("file")), "{asked:#}");
    assert_eq!(file["nets"][0]["net"], "000007_2026-11-21_01-10-00Z", "the newest first: {asked:#}");
    assert_eq!(file["nets"][1]["size"], 19, "{asked:#}");
    assert_eq!((&link["clone"], &link["nets"][0]["kind"]), (&Value::Null, &json!("symlink")), "{asked:#}");
    assert_eq!(asked["nets"][0]["entries"], Value::Null);

    let nowhere = restore(&sandbox, ["--list", "--json", "/nowhere", "/file"]);
    assert_eq!(nowhere.code, 65, "{nowhere}");
    assert_eq!(nowhere.err, "counterpart: /nowhere is in no safety net.\n");
    assert_eq!(valid("restore.schema.json", &nowhere)["paths"][0]["nets"], json!([]));
    assert_eq!(restore(&sandbox, ["--json", "file"]).code, 2);
}
