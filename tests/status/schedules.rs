//! The next run of each clone, from systemd and launchd.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::jobs::scene::Scene;
use crate::schedule::machine::{Machine, done};
use crate::status::scene::{only, shown, status, valid};
use crate::support::sandbox::{Finished, Sandbox};
use crate::systems::terminal::on_terminal;

/// The next run of the fake systemd: Tue 2026-11-24 03:30:00 UTC.
const NEXT: i64 = 1_795_491_000;

/// A machine whose clone was made, and is scheduled.
fn scheduled(options: &[&str]) -> Machine {
    let machine = Machine::linux();
    machine.sandbox.clone(&[]).assert_code(0);
    done(&machine.install(options, &[]));
    machine
}

#[test]
fn the_next_run_is_shown_in_local_time() {
    let machine = scheduled(&[]);
    for (zone, shown) in [("UTC", "2026-11-24 03:30"), ("Australia/Sydney", "2026-11-24 14:30")] {
        let mut command = machine.sandbox.command(["status"]);
        let finished = Finished::from(command.env("TZ", zone).output().unwrap());
        assert_eq!(finished.code, 0, "{finished}");
        let row = finished.out.lines().nth(1).unwrap();
        assert!(row.contains(&format!("  {shown}  ")), "{zone}: {finished}");
        assert!(row.chars().count() <= 80, "{finished}");
    }
    let known = only(&machine.sandbox);
    assert_eq!(known["next_run"]["epoch"], NEXT, "{known:#}");
    assert_eq!(
        (&known["schedules"][0]["name"], &known["schedules"][0]["loaded"], &known["schedules"][0]["job"]),
        (&json!("clone"), &json!(true), &Value::Null)
    );
}

#[test]
fn a_run_on_a_terminal_ends_with_the_next_one() {
    let machine = scheduled(&[]);
    let run = on_terminal(&machine.sandbox, 200, &[], None);
    let lines = run.lines();
    assert_eq!(run.code, 0, "{lines:#?}");
    let last = lines.last().unwrap();
    let next = last.strip_prefix("  Next run    2026-11-2").and_then(|next| next.strip_suffix(" (clone)"));
    assert!(next.is_some_and(|next| next.ends_with(":00")), "{lines:#?}");
}

#[test]
fn the_earliest_of_several_counts_and_another_clones_does_not() {
    let machine = scheduled(&["--name", "late"]);
    done(&machine.install(&["--name", "early"], &[]));
    let other = machine.sandbox.path().join("other");
    fs::create_dir(&other).unwrap();
    let (source, there) = (machine.sandbox.source.to_str().unwrap(), other.to_str().unwrap());
    machine.sandbox.run(["-s", source, "-d", there]).assert_code(0);
    done(&machine.schedule(&["install", "--name", "first", "--", "-s", source, "-d", there, "-g", "org.x"]));
    let earlier =
        "LoadState=loaded\nActiveState=active\nNextElapseUSecRealtime=Mon 2026-11-23 03:30:00 UTC\n";
    fs::write(machine.sandbox.path().join("state-counterpart-early.timer"), earlier).unwrap();
    let all = shown(&machine.sandbox, &[]);
    for clone in all["clones"].as_array().unwrap() {
        let names: Vec<&Value> =
            clone["schedules"].as_array().unwrap().iter().map(|schedule| &schedule["name"]).collect();
        if clone["destination"] == there {
            // The schedule's clone has another prefix.
            assert_eq!((names.len(), &clone["next_run"]), (0, &Value::Null), "{all:#}");
        } else {
            assert_eq!(names, ["early", "late"], "{all:#}");
            assert_eq!(clone["next_run"]["epoch"], NEXT - 86_400, "{all:#}");
        }
    }
}

#[test]
fn a_clone_is_known_by_every_spelling() {
    let machine = Machine::linux();
    let link = machine.sandbox.path().join("link");
    symlink(machine.sandbox.path(), &link).unwrap();
    let spelled = link.join("destination");
    let (source, spelled) = (machine.sandbox.source.to_str().unwrap(), spelled.to_str().unwrap());
    machine.sandbox.run(["-s", source, "-d", spelled]).assert_code(0);
    done(&machine.schedule(&["install", "--", "-s", source, "-d", spelled]));
    let known = only(&machine.sandbox);
    assert_eq!(known["destination"], machine.sandbox.destination.to_str().unwrap());
    assert_eq!(known["next_run"]["epoch"], NEXT, "{known:#}");
}

/// A machine with a job of two destinations, which is scheduled.
fn with_job() -> Scene {
    let text = "\
source = \"SOURCE\"
[destinations.a]
destination = \"DESTINATION\"
[destinations.b]
destination = \"HERE/b\"
";
    let scene = Scene::with("nightly", text);
    scene.destination("b");
    fs::create_dir(scene.sandbox.host().join("jobs")).unwrap();
    let script = include_str!("../schedule/systemctl.sh");
    scene.sandbox.tool("systemctl", &format!("DIRECTORY='{}'\n{script}", scene.sandbox.path().display()));
    let finished = scene.sandbox.run(["schedule", "install", "--job", "nightly"]);
    assert_eq!(finished.code, 0, "{finished}");
    assert_eq!(scene.run(&["nightly"]).code, 0);
    scene
}

#[test]
fn the_clones_of_a_job_have_its_next_run() {
    let scene = with_job();
    let all = shown(&scene.sandbox, &[]);
    assert_eq!(all["clones"].as_array().unwrap().len(), 2, "{all:#}");
    for clone in all["clones"].as_array().unwrap() {
        assert_eq!(clone["next_run"]["epoch"], NEXT, "{all:#}");
        assert_eq!(clone["schedules"][0]["job"], "nightly", "{all:#}");
    }
    // A job whose file is wrong is no reason to show nothing.
    fs::write(scene.file("nightly"), "sauce = 1\n").unwrap();
    let finished = status(&scene.sandbox, &[]);
    let text = finished.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("Which clone the schedule nightly makes is not known: "), "{finished}");
    assert_eq!(finished.out.lines().filter(|line| line.starts_with("ok ")).count(), 2, "{finished}");
    assert_eq!(shown(&scene.sandbox, &[])["notes"].as_array().unwrap().len(), 1);
}

#[test]
fn a_scheduler_that_does_not_answer_hides_nothing_else() {
    let machine = scheduled(&[]);
    let active = machine.sandbox.path().join("active");
    let timers = fs::read(&active).unwrap();
    fs::write(&active, "").unwrap();
    let finished = status(&machine.sandbox, &[]);
    assert!(finished.out.contains("The schedule clone is not loaded by the system.\n"), "{finished}");
    assert_eq!(only(&machine.sandbox)["next_run"], Value::Null);
    fs::write(&active, timers).unwrap();
    machine.refuse("show");
    let finished = status(&machine.sandbox, &[]);
    assert!(finished.out.contains("\nok "), "{finished}");
    assert!(finished.out.contains("The next runs are not known: "), "{finished}");
    assert_eq!(only(&machine.sandbox)["schedules"][0]["loaded"], Value::Null);
    // Without systemd and without a schedule, nothing is asked.
    let sandbox = Sandbox::new();
    sandbox.write("file", "");
    sandbox.clone(&[]).assert_code(0);
    assert!(!status(&sandbox, &[]).out.contains("not known"));
}

#[test]
fn launchd_has_a_next_run_too() {
    let machine = Machine::mac("14.5");
    machine.sandbox.clone(&[]).assert_code(0);
    done(&machine.install(&[], &[]));
    let known = only(&machine.sandbox);
    let next = known["next_run"]["rfc3339"].as_str().unwrap();
    assert_eq!(&next[10..19], "T03:30:00", "{known:#}");
    let listed = valid("schedule.schema.json", &machine.schedule(&["list", "--json"]));
    assert_eq!(listed["schedules"][0]["next_run"]["rfc3339"], next, "{listed:#}");
    assert_eq!(
        listed["schedules"][0]["clones"][0]["destination"],
        machine.sandbox.destination.to_str().unwrap()
    );
}
