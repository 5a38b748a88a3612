//! launchd's jobs: parsed by Python's plistlib, loaded by a fake launchctl that refuses what the real one refuses.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::schedule::machine::{Machine, done, refused};
use crate::support::sandbox::FAKE_HOST;
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

const JOB: &str = "me.jedda.counterpart.clone.plist";
const LABEL: &str = "me.jedda.counterpart.clone";

/// A job as Python reads it.
fn parsed(machine: &Machine, name: &str) -> Value {
    let script = "import json, plistlib, sys\nprint(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let output =
        Command::new("/usr/bin/python3").args(["-c", script]).arg(machine.job(name)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_job_is_complete_and_loaded() {
    let machine = Machine::mac("14.5");
    let odd = machine.sandbox.path().join("A & <B> \"c\" 'd' ü");
    fs::create_dir(&odd).unwrap();
    let source = machine.sandbox.source.to_str().unwrap();
    let finished = machine.schedule(&["install", "--", "-s", source, "-d", odd.to_str().unwrap()]);
    let told = done(&finished);
    assert!(told.starts_with("The clone clone is scheduled: every day at 03:30.\nNext run:    "), "{told}");
    assert!(told.contains(&format!("sudo launchctl print system/{LABEL}\n")), "{told}");
    let job = machine.job(JOB);
    assert_eq!(
        machine.ledger(),
        [format!("enable system/{LABEL}"), format!("bootstrap system {}", job.display())]
    );
    assert_eq!(machine.jobs(), [JOB]);
    let found = fs::metadata(&job).unwrap();
    assert_eq!((found.mode() & 0o7777, found.uid(), found.gid()), (0o644, 0, 0));
    assert_eq!(
        parsed(&machine, JOB),
        json!({
            "Label": LABEL,
            "ProgramArguments": [FAKE_HOST, "--source", source, "--destination", odd],
            "EnvironmentVariables": {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
            "StartCalendarInterval": [{"Hour": 3, "Minute": 30}],
            "ProcessType": "Background",
            "LowPriorityIO": true,
            "Nice": 10,
            "ExitTimeOut": 120,
            "StandardOutPath": "/dev/null",
            "StandardErrorPath": "/var/log/counterpart.clone.err",
        })
    );
}

#[test]
fn times_are_those_that_were_asked_for() {
    let machine = Machine::mac("10.15.7");
    for (options, intervals) in [
        (vec!["--daily", "23:05"], json!([{"Hour": 23, "Minute": 5}])),
        (vec!["--weekly", "Sun", "4:00"], json!([{"Weekday": 0, "Hour": 4, "Minute": 0}])),
        (vec!["--weekly", "saturday", "4:00"], json!([{"Weekday": 6, "Hour": 4, "Minute": 0}])),
        (vec!["--every", "1h"], (0..24).map(|hour| json!({"Hour": hour, "Minute": 0})).collect()),
        (vec!["--every", "12h"], json!([{"Hour": 0, "Minute": 0}, {"Hour": 12, "Minute": 0}])),
        (vec!["--every", "30m"], json!([{"Minute": 0}, {"Minute": 30}])),
    ] {
        done(&machine.install(&[&["--replace"], &options[..]].concat(), &[]));
        assert_eq!(parsed(&machine, JOB)["StartCalendarInterval"], intervals);
    }
}

#[test]
fn both_generations_of_launchctl_are_spoken() {
    for version in ["10.9.5", "10.10", "26.1"] {
        let machine = Machine::mac(version);
        let job = machine.job(JOB);
        let job = job.display();
        let is_old = version == "10.9.5";
        let same = |ledger: Vec<String>, old: &[String], new: &[String]| {
            assert_eq!(ledger, if is_old { old } else { new }, "{version}");
        };
        let load = [format!("load -w {job}")];
        let bootstrap = [format!("enable system/{LABEL}"), format!("bootstrap system {job}")];
        // One that was switched off once is loaded all the same.
        machine.set("disabled", json!([LABEL]));
        done(&machine.install(&[], &[]));
        same(machine.ledger(), &load, &bootstrap);
        done(&machine.schedule(&["run", "clone"]));
        same(machine.ledger(), &[format!("start {LABEL}")], &[format!("kickstart system/{LABEL}")]);

        let unload = [format!("unload -w {job}")];
        let bootout = [format!("bootout system/{LABEL}")];
        done(&machine.install(&["--replace", "--daily", "5:00"], &[]));
        same(machine.ledger(), &[&unload[..], &load].concat(), &[&bootout[..], &bootstrap].concat());
        done(&machine.schedule(&["remove", "clone"]));
        same(machine.ledger(), &unload, &bootout);
        assert_eq!(machine.jobs(), [] as [&str; 0]);
        assert_eq!(done(&machine.schedule(&["list"])), "No clone is scheduled.\n");
    }
}

#[test]
fn list_tells_the_next_run_and_the_last_result() {
    for version in ["10.9.5", "13.0"] {
        let machine = Machine::mac(version);
        done(&machine.install(&["--name", "nightly"], &[]));
        done(&machine.install(&["--name", "hourly", "--every", "1h"], &[]));
        machine
            .set("last", json!({"me.jedda.counterpart.nightly": "66", "me.jedda.counterpart.hourly": "0"}));
        let listed = machine.schedule(&["list"]);
        let lines: Vec<&str> = done(&listed).lines().collect();
        assert!(lines[0].starts_with("NAME     NEXT RUN              LAST RESULT"), "{listed}");
        let next =
            |line: &str| chrono::NaiveDateTime::parse_from_str(&line[9..29], "%a %Y-%m-%d %H:%M").unwrap();
        let now = chrono::Local::now().naive_local();
        assert!(lines[1].starts_with("hourly   "), "{listed}");
        assert!(lines[2].starts_with("nightly  ") && lines[2].ends_with("  failed with code 66"), "{listed}");
        let success = if version == "13.0" {
            "  success"
        } else {
            "  success, or no run since the machine was started"
        };
        assert!(lines[1].ends_with(success), "{listed}");
        assert!(
            next(lines[1]) - now <= chrono::TimeDelta::hours(1) && lines[1][26..29] == *":00",
            "{listed}"
        );
        assert!(
            next(lines[2]) - now <= chrono::TimeDelta::hours(25) && lines[2][24..29] == *"03:30",
            "{listed}"
        );
    }
}

#[test]
fn a_job_that_was_not_loaded_or_never_ran_is_told_as_such() {
    let machine = Machine::mac("14.5");
    done(&machine.install(&[], &[]));
    assert!(
        done(&machine.schedule(&["show"])).contains("Last result: no run since the machine was started\n")
    );
    machine.set("loaded", json!({}));
    let shown = machine.schedule(&["show"]);
    assert!(done(&shown).starts_with(
        "Schedule:    clone\nNext run:    none, the system has not loaded it\nLast result: unknown\n"
    ));
    refused(&machine.schedule(&["run", "clone"]), 1, "ended with code 113: Could not find service");
    machine.ledger();
    done(&machine.schedule(&["remove", "clone"]));
    assert_eq!((machine.ledger(), machine.jobs()), (vec![], vec![]));
}

#[test]
fn a_refusal_of_launchd_is_told_and_taken_back() {
    for (version, verb, words) in [
        ("14.5", "bootstrap", "ended with code 5: bootstrap failed: 5: Input/output error"),
        ("10.9.5", "load", "launchd did not load me.jedda.counterpart.clone."),
    ] {
        let machine = Machine::mac(version);
        machine.refuse(verb);
        let finished = machine.install(&[], &[]);
        refused(&finished, 1, words);
        assert!(finished.err.ends_with("Nothing was installed.\n"), "{finished}");
        assert_eq!(machine.jobs(), [] as [&str; 0]);
        machine.refuse("");
        done(&machine.install(&[], &[]));
        let before = fs::read(machine.job(JOB)).unwrap();
        machine.refuse(verb);
        refused(
            &machine.install(&["--replace", "--daily", "5:00"], &[]),
            1,
            "The earlier file has been restored, but is not loaded",
        );
        assert_eq!(fs::read(machine.job(JOB)).unwrap(), before);
        assert_eq!(machine.jobs(), [JOB]);
    }
}

#[test]
fn what_is_anothers_is_never_touched() {
    let machine = Machine::mac("14.5");
    let example = include_bytes!("../../examples/me.jedda.counterpart.complex.plist");
    fs::write(machine.job("me.jedda.counterpart.complex.plist"), example).unwrap();
    machine.set("loaded", json!({"me.jedda.counterpart.loaded": "/Library/LaunchDaemons/other.plist"}));
    let jobs = machine.sandbox.host().join("jobs");
    let before = snapshot_with_ctime(&jobs);
    let why = "me.jedda.counterpart.complex.plist is left alone: it was not written by counterpart schedule.";
    refused(&machine.install(&["--name", "complex", "--replace"], &[]), 1, why);
    for verb in ["remove", "run", "show"] {
        refused(&machine.schedule(&[verb, "complex"]), 1, why);
    }
    let why = "launchd has a job me.jedda.counterpart.loaded already, from another file.";
    refused(&machine.install(&["--name", "loaded"], &[]), 1, why);
    assert_eq!(done(&machine.schedule(&["list"])), "No clone is scheduled.\n");
    assert_eq!(machine.ledger(), [] as [&str; 0]);
    assert_unchanged(&before, &snapshot_with_ctime(&jobs));
}

#[test]
fn a_running_clone_is_left_alone() {
    for version in ["10.9.5", "14.5"] {
        let machine = Machine::mac(version);
        done(&machine.install(&[], &[]));
        machine.ledger();
        machine.set("running", json!([LABEL]));
        let why = "The clone clone is running at the moment. Wait for it to finish.";
        // Removing it would kill the clone.
        refused(&machine.schedule(&["remove", "clone"]), 1, why);
        refused(&machine.install(&["--replace"], &[]), 1, why);
        assert_eq!(machine.ledger(), [] as [&str; 0]);
        assert!(done(&machine.schedule(&["list"])).contains("running; before that: "));
    }
}

#[test]
fn the_sealed_system_is_refused_now() {
    let machine = Machine::mac("14.5");
    let away = machine.sandbox.path().join("away");
    let finished = machine.schedule(&["install", "--", "-s", "/", "-d", away.to_str().unwrap()]);
    refused(&finished, 91, "Clone /System/Volumes/Data instead.");
    assert_eq!(machine.jobs(), [] as [&str; 0]);
}

#[test]
fn a_condition_that_launchd_does_not_know_is_refused() {
    let machine = Machine::mac("14.5");
    for options in [&["--on-ac"][..], &["--on-ac", "--print"]] {
        refused(
            &machine.install(options, &[]),
            2,
            "counterpart: launchd cannot keep a job from starting on battery: leave out --on-ac, which is for systemd.\n",
        );
    }
    assert_eq!((machine.ledger(), machine.jobs()), (Vec::new(), Vec::new()));
}
