//! Every state, after real runs.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::check::scene::{
    age, age_memory, assert_answer, check, cloned, forget, now, performance, plant, sandbox,
};
use crate::support::sandbox::{Sandbox, wait_until};
use crate::support::tree::{assert_unchanged, set_mtime, snapshot_with_ctime};

const HOUR: i64 = 3600;

/// What stands in `.stats` behind a label.
fn number(sandbox: &Sandbox, label: &str) -> String {
    let text = sandbox.read_marker("stats");
    let value = text.lines().find_map(|line| line.strip_prefix(&format!("{label}: "))).unwrap();
    value.trim_end_matches(" bytes").to_owned()
}

#[test]
fn a_fresh_clone_is_ok_with_all_its_numbers() {
    let sandbox = sandbox();
    sandbox.write("directory/more", &"x".repeat(12_345));
    sandbox.write_destination("old", "");
    sandbox.clone(&["--adopt"]).assert_code(0);
    let before = snapshot_with_ctime(sandbox.path());
    let run = check(&sandbox, &[]);
    let here = format!("{}: completed ", sandbox.destination.display());
    assert_answer(&run, 0, &[&here, " s ago (20", "), 2 of 4 files copied in "]);
    assert_unchanged(&before, &snapshot_with_ctime(sandbox.path()));
    let data = performance(&run);
    assert_eq!(
        data.keys().map(String::as_str).collect::<Vec<_>>(),
        ["age", "deleted", "duration", "files", "size", "transferred", "transferred_size"]
    );
    assert_eq!(data["files"], format!("{};;;0", number(&sandbox, "Number of files")));
    assert_eq!(data["transferred"], format!("{};;;0", number(&sandbox, "Number of files transferred")));
    assert_eq!(data["size"], format!("{}B;;;0", number(&sandbox, "Total file size")));
    assert_eq!(data["size"], "12352B;;;0");
    assert_eq!(data["transferred_size"], "12352B;;;0");
    assert_eq!(data["deleted"], "1;;;0");
    let seconds: f64 = data["duration"].strip_suffix("s;;;0").unwrap().parse().unwrap();
    assert!(seconds > 0.0 && seconds < 60.0, "{seconds}");
    let log = sandbox.logs()[0].display().to_string();
    assert!(
        run.out.ends_with(&format!("Source: {} on testhost\nLog: {log}\n", sandbox.source.display())),
        "{run}"
    );
}

#[test]
fn an_old_clone_is_a_warning_and_then_critical() {
    let sandbox = cloned();
    age(&sandbox, 27 * HOUR);
    assert_answer(&check(&sandbox, &[]), 1, &["completed 1 d 3 h ago", "longer ago than 1 d 2 h"]);
    assert_answer(&check(&sandbox, &["-w", "28h"]), 0, &["completed 1 d 3 h ago"]);
    assert_answer(&check(&sandbox, &["-w", "60", "-c", "90"]), 2, &["longer ago than 1 h 30 min"]);
    age(&sandbox, 24 * HOUR);
    let run = check(&sandbox, &[]);
    assert_answer(&run, 2, &["completed 2 d 3 h ago", "longer ago than 2 d 2 h"]);
    let age: i64 = performance(&run)["age"].strip_suffix("s;93600;180000;0").unwrap().parse().unwrap();
    assert!((51 * HOUR..51 * HOUR + 120).contains(&age), "{run}");
    // The markers alone tell the same.
    forget(&sandbox);
    assert_answer(&check(&sandbox, &[]), 2, &["completed 2 d 3 h ago"]);
}

#[test]
fn the_age_is_that_of_the_marker() {
    let sandbox = cloned();
    forget(&sandbox);
    let marker = sandbox.marker("completed");
    set_mtime(&marker, now() - 5000, 0);
    let run = check(&sandbox, &[]);
    let age: i64 = performance(&run)["age"].split_once('s').unwrap().0.parse().unwrap();
    assert!((now() - fs::metadata(&marker).unwrap().mtime() - age).abs() < 20, "{run}");
    set_mtime(&marker, now() + 3 * HOUR, 0);
    assert_answer(&check(&sandbox, &[]), 1, &["in the future: a clock is or was wrong"]);
}

#[test]
fn a_failed_run_is_critical_until_the_next_success() {
    let sandbox = cloned();
    age(&sandbox, HOUR);
    let script = sandbox.script("script", "exit 7");
    let script = script.to_str().unwrap();
    sandbox.clone(&["--strict-scripts", "-p", script]).assert_code(81);
    let words = &[" ago (20", script, "the last success was 1 h"][..];
    let run = check(&sandbox, &[]);
    assert_answer(&run, 2, words);
    assert!(run.out.contains("\nReason: ") && run.out.contains("\nLog: "), "{run}");
    let age: i64 = performance(&run)["age"].strip_suffix("s;93600;180000;0").unwrap().parse().unwrap();
    assert!((HOUR..HOUR + 120).contains(&age), "{run}");
    // By the memory alone, and by the markers alone, whose statistics still know the success.
    let away = sandbox.path().join("away");
    fs::rename(&sandbox.destination, &away).unwrap();
    assert_answer(&check(&sandbox, &[]), 2, words);
    fs::rename(&away, &sandbox.destination).unwrap();
    let memory = sandbox.host().join("state");
    fs::rename(&memory, &away).unwrap();
    assert_answer(&check(&sandbox, &[]), 2, &[script, "the last success was "]);
    fs::rename(&away, &memory).unwrap();
    sandbox.clone(&[]).assert_code(0);
    assert_answer(&check(&sandbox, &[]), 0, &["completed "]);
}

#[test]
fn a_failure_that_left_nothing_at_the_destination_is_seen() {
    let sandbox = cloned();
    age(&sandbox, HOUR);
    let destination = sandbox.destination.to_str().unwrap();
    sandbox.run(["-s", destination, "-d", destination]).assert_code(87);
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    assert_answer(&check(&sandbox, &[]), 2, &["failed ", "the last success was 1 h"]);
}

#[test]
fn a_failed_first_clone_never_succeeded() {
    let sandbox = sandbox();
    sandbox.rsync("case \" $* \" in *' --stats '*) exit 12 ;; esac\nexec /usr/bin/rsync \"$@\"");
    sandbox.clone(&[]).assert_code(12);
    let run = check(&sandbox, &[]);
    assert_answer(&run, 2, &["rsync ended with code 12", "no earlier success is known"]);
    assert!(performance(&run).is_empty(), "{run}");
    fs::remove_file(sandbox.marker("error")).unwrap();
    fs::remove_file(sandbox.marker("stats.json")).unwrap();
    forget(&sandbox);
    assert_answer(&check(&sandbox, &[]), 2, &["no clone was ever completed"]);
}

#[test]
fn a_success_with_warnings_is_a_warning() {
    let sandbox = sandbox();
    let script = sandbox.script("post", "exit 3");
    sandbox.clone(&["-o", script.to_str().unwrap()]).assert_code(0);
    let run = check(&sandbox, &[]);
    assert_answer(&run, 1, &["completed ", "with warnings: ", "3"]);
    assert!(run.out.contains("\nWarning: "), "{run}");
    sandbox.clone(&[]).assert_code(0);
    assert_answer(&check(&sandbox, &[]), 0, &[]);
}

#[test]
fn a_run_that_is_under_way_or_was_killed_is_told() {
    let sandbox = cloned();
    age(&sandbox, 20 * HOUR);
    let started = sandbox.path().join("started");
    let body = format!(
        "case \" $* \" in *' --stats '*) : >'{}'; sleep 60 ;; esac\nexec /usr/bin/rsync \"$@\"",
        started.display()
    );
    sandbox.rsync(&body);
    let mut child = sandbox.start(&[]);
    assert!(wait_until(|| started.exists()));
    let words = &[
        "completed 20 h",
        "the clone there is not complete at the moment: a run is under way or was killed",
    ];
    let under_way = check(&sandbox, &[]);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    assert_answer(&under_way, 0, words);
    assert_answer(&check(&sandbox, &[]), 0, words);
    assert_answer(&check(&sandbox, &["-w", "10h"]), 1, words);
    forget(&sandbox);
    assert_answer(&check(&sandbox, &[]), 0, &["under way or was killed"]);
}

#[test]
fn a_destination_that_is_away_is_judged_by_the_memory() {
    let sandbox = cloned();
    let away = sandbox.path().join("away");
    fs::rename(&sandbox.destination, &away).unwrap();
    assert_answer(
        &check(&sandbox, &[]),
        0,
        &["completed ", "the destination is not there now, according to"],
    );
    // The mount point is there and the disk is not.
    fs::create_dir(&sandbox.destination).unwrap();
    let run = check(&sandbox, &[]);
    assert_answer(
        &run,
        0,
        &["completed ", "perhaps its disk is not mounted, according to this machine's records"],
    );
    assert_eq!(performance(&run).len(), 7, "{run}");
    age_memory(&sandbox, 60 * HOUR);
    assert_answer(&check(&sandbox, &[]), 2, &["completed 2 d 12 h ago", "perhaps its disk is not mounted"]);
    forget(&sandbox);
    assert_answer(
        &check(&sandbox, &[]),
        3,
        &["there is no Counterpart marker there, and this machine has no record of a clone"],
    );
    fs::remove_dir(&sandbox.destination).unwrap();
    assert_answer(
        &check(&sandbox, &[]),
        3,
        &["it does not exist, and this machine has no record of a clone there"],
    );
}

#[test]
fn another_prefix_is_another_clone() {
    let sandbox = sandbox();
    sandbox.clone(&["-g", "org.example"]).assert_code(0);
    assert_answer(&check(&sandbox, &["-g", "org.example"]), 0, &["completed "]);
    assert_answer(&check(&sandbox, &[]), 3, &["there is no Counterpart marker there"]);
}

/// What the original 1.2.1 left after a success: its marker and its six lines.
fn plant_original(sandbox: &Sandbox, ago: i64) {
    let (began, ended) = (now() - ago - 240, now() - ago);
    let stats = format!(
        "Clone Started: {began}\nNumber of files: 133002\nNumber of files transferred: 1204\n\
         Total file size: 24697752 bytes\nTotal transferred file size: 12352071 bytes\nClone Completed: {ended}\n"
    );
    plant(&sandbox.destination, "completed", "", ago);
    plant(&sandbox.destination, "stats", &stats, ago);
}

#[test]
fn what_the_original_left_is_read() {
    let sandbox = Sandbox::new();
    plant_original(&sandbox, 3 * HOUR + 12 * 60);
    let run = check(&sandbox, &[]);
    assert_answer(&run, 0, &["completed 3 h 12 min ago (20", "), 1,204 of 133,002 files copied in 4 min"]);
    let data = performance(&run);
    assert_eq!(data.get("deleted"), None, "the original did not count them");
    assert_eq!((data["duration"].as_str(), data["size"].as_str()), ("240.000s;;;0", "24697752B;;;0"));
    // It wrote its statistics after failures too, and says "Clone Completed" in them.
    fs::remove_file(sandbox.marker("completed")).unwrap();
    plant(&sandbox.destination, "error", "Rsync exited with code 12\n", 3 * HOUR);
    let run = check(&sandbox, &[]);
    assert_answer(&run, 2, &["failed 3 h ago", "Rsync exited with code 12", "no earlier success is known"]);
    assert!(performance(&run).is_empty(), "{run}");
    // An error that an older version left beside a later success.
    plant_original(&sandbox, 2 * HOUR);
    assert_answer(&check(&sandbox, &[]), 0, &["completed 2 h ago"]);
    plant(&sandbox.destination, "error", "Rsync exited with code 12\n", HOUR);
    assert_answer(&check(&sandbox, &[]), 2, &["failed 1 h ago", "the last success was 2 h ago"]);
}

#[test]
fn the_statistics_in_json_tell_more() {
    let sandbox = cloned();
    let text = fs::read(&crate::check::scene::memories(&sandbox)[0]).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let mut record = state["last"].clone();
    record["outcome"] = "warning".into();
    record["warnings"]["first"] = serde_json::json!(["the battery is low | x=1"]);
    forget(&sandbox);
    fs::write(sandbox.marker("stats.json"), record.to_string()).unwrap();
    let run = check(&sandbox, &[]);
    assert_answer(&run, 1, &["completed ", "with warnings: the battery is low \\#174 x=1"]);
    record["schema"] = 99.into();
    fs::write(sandbox.marker("stats.json"), record.to_string()).unwrap();
    assert_answer(
        &check(&sandbox, &[]),
        3,
        &["stats.json cannot be read: a later version of Counterpart wrote it"],
    );
    fs::write(sandbox.marker("stats.json"), &record.to_string()[..100]).unwrap();
    assert_answer(&check(&sandbox, &[]), 3, &["stats.json cannot be read: "]);
}
