//! What people see: each state in its word, what is not there, what lies, what hangs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::check::scene::{age, cloned, memories, now, plant, sandbox};
use crate::status::scene::{only, refused, shown, status};
use crate::support::faulty::FaultyFuse;
use crate::support::nobody;
use crate::support::sandbox::{Finished, STEM, Sandbox, wait_until};
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

/// Makes a second clone, of the same source.
fn second(sandbox: &Sandbox, name: &str, more: &[&str]) -> PathBuf {
    let path = sandbox.path().join(name);
    fs::create_dir(&path).unwrap();
    let ends = ["-s", sandbox.source.to_str().unwrap(), "-d", path.to_str().unwrap()];
    sandbox.run(ends.iter().chain(more)).assert_code(0);
    path
}

/// The cells of the row with this number.
fn cells(finished: &Finished, row: usize) -> Vec<String> {
    let rows: Vec<&str> = finished.out.lines().filter(|line| !line.starts_with("  ")).collect();
    rows[row].split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
}

/// Asserts that every line fits a terminal, but for those that name a path.
#[track_caller]
fn assert_fits(finished: &Finished) {
    for line in finished.out.lines() {
        assert!(line.chars().count() <= 80 || line.contains('/'), "{finished}");
        assert!(!line.ends_with(' '), "{finished}");
    }
}

fn rewrite(sandbox: &Sandbox, change: impl FnOnce(&mut Value)) {
    let file = &memories(sandbox)[0];
    let mut state: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    change(&mut state);
    fs::write(file, state.to_string()).unwrap();
}

#[test]
fn a_clone_is_a_row_of_figures_and_its_ends() {
    let sandbox = cloned();
    age(&sandbox, 30 * 3600);
    let before = snapshot_with_ctime(sandbox.path());
    let finished = status(&sandbox, &[]);
    assert_unchanged(&before, &snapshot_with_ctime(sandbox.path()));
    assert_fits(&finished);
    assert_eq!(cells(&finished, 0), ["STATE", "LAST SUCCESS", "AGE", "TOOK", "SIZE", "NEXT RUN", "PROVEN"]);
    let row = cells(&finished, 1);
    let known = only(&sandbox);
    let at = known["last_success"]["at"]["rfc3339"].as_str().unwrap();
    assert_eq!(row[..3], ["ok".to_owned(), at[..16].replace('T', " "), "30 h".to_owned()], "{finished}");
    assert_eq!(row[4..], ["7 B", "-", "-"], "{finished}");
    let ends = format!("       {} \u{2192} {}\n", sandbox.source.display(), sandbox.destination.display());
    assert!(finished.out.ends_with(&ends), "{finished}");
    assert_eq!(finished.out.lines().count(), 3, "{finished}");
    // The same clone, by its name.
    assert_eq!(status(&sandbox, &["-d", sandbox.destination.to_str().unwrap()]).out, finished.out);
    assert_eq!(known["state"], "ok");
    assert_eq!(known["failure"], Value::Null);
    let completed = &known["last_success"];
    assert_eq!((&completed["size"], &completed["files"]), (&json!(7), &json!(2)), "{known:#}");
    let age = completed["age_seconds"].as_i64().unwrap();
    assert!((108_000..108_600).contains(&age), "{age}");
    assert_eq!(known["source"], sandbox.source.to_str().unwrap());
    assert_eq!(known["source_host"], "testhost");
}

#[test]
fn nothing_known_is_shown_as_such_and_a_stranger_is_refused() {
    let sandbox = sandbox();
    assert_eq!(status(&sandbox, &[]).out, "This machine remembers no clone.\n");
    assert_eq!(shown(&sandbox, &[])["clones"], json!([]));
    let there = sandbox.destination.to_str().unwrap();
    for more in [&["-d", there][..], &["-d", there, "--json"]] {
        let finished = sandbox.run(["status"].iter().chain(more));
        refused(&finished, 1, &[&format!("{there}: there is no Counterpart marker there, and this machine")]);
    }
    let finished = sandbox.run(["status", "-d", "/nowhere/at/all"]);
    refused(&finished, 1, &["/nowhere/at/all: it does not exist, and this machine has no record"]);
    for usage in [&["-t", "0"][..], &["-d", ""], &["-d", "UUID="], &["--no-such-option"]] {
        assert_eq!(sandbox.run(["status"].iter().chain(usage)).code, 2, "{usage:?}");
    }
    assert!(!sandbox.host().join("state").exists());
}

#[test]
fn a_failure_is_shown_with_its_reason_its_code_and_its_log() {
    let sandbox = cloned();
    age(&sandbox, 3 * 86_400);
    let there = sandbox.destination.to_str().unwrap();
    let failed = sandbox.run(["-s", "/nonexistent/and/a/long/path/that/is/not/there", "-d", there]);
    failed.assert_code(65);
    let finished = status(&sandbox, &[]);
    assert_fits(&finished);
    let row = cells(&finished, 1);
    assert_eq!((row[0].as_str(), row[2].as_str()), ("failed", "3 d"), "{finished}");
    let known = only(&sandbox);
    let failure = &known["failure"];
    assert_eq!((&known["state"], &failure["exit_code"]), (&json!("failed"), &json!(65)), "{known:#}");
    let reason = failed.err.strip_prefix("counterpart: ").unwrap().trim_end();
    assert_eq!(failure["reason"], reason);
    assert_eq!(failure["log"], sandbox.logs().pop().unwrap().to_str().unwrap());
    let at = failure["at"]["rfc3339"].as_str().unwrap()[..16].replace('T', " ");
    // Wrapped, but all of it.
    let text = finished.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(&format!("Failed with 65 on {at}: {reason}")), "{finished}");
    assert!(text.contains(&format!("Log: {}", sandbox.logs().pop().unwrap().display())), "{finished}");
    assert!(known["last_success"]["age_seconds"].as_i64().unwrap() > 250_000);
    // The next success ends it.
    sandbox.clone(&[]).assert_code(0);
    assert_eq!(only(&sandbox)["state"], "ok");
}

#[test]
fn a_clone_that_never_succeeded_says_so() {
    let sandbox = sandbox();
    sandbox.rsync("case $1 in --version) exec /usr/bin/rsync --version;; esac; exit 11");
    let failed = sandbox.clone(&[]);
    assert_ne!(failed.code, 0, "{failed}");
    let finished = status(&sandbox, &[]);
    assert_eq!(cells(&finished, 1)[..3], ["failed", "-", "-"], "{finished}");
    // A run that was killed leaves neither.
    fs::remove_file(sandbox.marker("error")).unwrap();
    fs::remove_file(sandbox.marker("stats.json")).unwrap();
    rewrite(&sandbox, |state| state["last"] = Value::Null);
    assert_eq!(only(&sandbox)["state"], "unfinished");
}

#[test]
fn warnings_are_shown() {
    let sandbox = sandbox();
    let script = sandbox.script("post", "exit 3");
    sandbox.clone(&["-o", script.to_str().unwrap()]).assert_code(0);
    let finished = status(&sandbox, &[]);
    assert_fits(&finished);
    assert_eq!(cells(&finished, 1)[0], "warning", "{finished}");
    let text = finished.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("Warning: ") && text.contains("code 3"), "{finished}");
    let known = only(&sandbox);
    assert_eq!(known["state"], "warning");
    assert_ne!(known["last_success"]["warnings"], json!([]));
}

#[test]
fn a_disk_that_is_not_there_is_shown_from_the_records() {
    let sandbox = cloned();
    let other = second(&sandbox, "other", &["-g", "org.example"]);
    fs::remove_dir_all(&sandbox.destination).unwrap();
    let finished = status(&sandbox, &[]);
    assert!(finished.out.contains("The destination is not there now.\n"), "{finished}");
    assert!(finished.out.contains(&format!("\u{2192} {} (org.example)\n", other.display())), "{finished}");
    let all = shown(&sandbox, &[]);
    assert_eq!(all["clones"].as_array().unwrap().len(), 2, "{all:#}");
    let one = shown(&sandbox, &["-g", "org.example"]);
    assert_eq!(one["clones"][0]["destination"], other.to_str().unwrap());
    assert_eq!(one["clones"].as_array().unwrap().len(), 1, "{one:#}");
    assert_eq!(one["clones"][0]["prefix"], "org.example");
    // An empty directory in its place is what a disk leaves that is not mounted.
    fs::create_dir(&sandbox.destination).unwrap();
    let there = sandbox.destination.to_str().unwrap();
    let one = shown(&sandbox, &["-d", there]);
    let note = "there is no Counterpart marker there now; perhaps its disk is not mounted";
    assert_eq!((&one["clones"][0]["state"], &one["clones"][0]["notes"]), (&json!("ok"), &json!([note])));
}

#[test]
fn a_disk_that_hangs_is_left_alone() {
    let sandbox = cloned();
    let fuse = FaultyFuse::new();
    let path = fuse.path();
    plant(&path, "completed", "", 3600);
    plant(&path, "stats", "Exit Code: 0\n", 3600);
    // As if it had been cloned to.
    let file = memories(&sandbox)[0].clone();
    let mut state: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    state["destination"] = json!(path.to_str().unwrap());
    fs::write(file.with_file_name("hanging-0123456789abcdef.json"), state.to_string()).unwrap();
    fuse.tell(&format!("hang /{STEM}stats"));
    let began = Instant::now();
    let finished = status(&sandbox, &["-t", "2"]);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    fuse.tell("");
    assert!(finished.out.contains("The destination did not answer within 2 s.\n"), "{finished}");
    assert_eq!(finished.out.lines().filter(|line| line.starts_with("ok ")).count(), 2, "{finished}");
}

#[test]
fn a_run_that_is_under_way_is_shown_as_running() {
    let sandbox = cloned();
    let (begun, go) = (sandbox.path().join("begun"), sandbox.path().join("go"));
    let body = format!("touch '{}'; while ! [ -e '{}' ]; do sleep 0.05; done", begun.display(), go.display());
    let script = sandbox.script("pre", &body);
    let mut child = sandbox.start(&["-p", script.to_str().unwrap()]);
    assert!(wait_until(|| begun.exists()));
    let finished = sandbox.run(["status"]);
    let known = only(&sandbox);
    fs::write(&go, "").unwrap();
    assert!(child.wait().unwrap().success());
    assert!(finished.out.contains("\nrunning  "), "{finished}");
    assert_eq!(known["state"], "running");
    assert!(known["last_success"].is_object(), "{known:#}");
    assert_eq!(only(&sandbox)["state"], "ok");
}

#[test]
fn names_that_forge_lines_are_shown_as_they_are() {
    let sandbox = sandbox();
    let other = second(&sandbox, "a\nok  b\u{1b}[2J\u{202e}", &[]);
    let finished = status(&sandbox, &[]);
    assert!(finished.out.contains("/a\\#012ok  b\\#033[2J\\#342\\#200\\#256\n"), "{finished}");
    assert_eq!(finished.out.lines().count(), 3, "{finished}");
    // Whoever can write there says what they like, in one line.
    fs::remove_file(other.join(format!("{STEM}completed"))).unwrap();
    plant(&other, "error", "no\u{1b}[2J \u{202e}\nok", -30);
    let finished = status(&sandbox, &[]);
    let text = finished.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("no\\#033[2J \\#342\\#200\\#256."), "{finished}");
    assert!(!finished.out.contains('\u{1b}'), "{finished}");
    shown(&sandbox, &[]);
}

#[test]
fn records_that_cannot_be_read_are_named() {
    let sandbox = cloned();
    let other = second(&sandbox, "other", &[]);
    let damaged = memories(&sandbox).into_iter().find(|file| !file.to_string_lossy().contains("/other-"));
    fs::write(damaged.as_ref().unwrap(), "{").unwrap();
    let finished = status(&sandbox, &[]);
    assert!(finished.out.contains(damaged.as_ref().unwrap().to_str().unwrap()), "{finished}");
    assert!(finished.out.contains(other.to_str().unwrap()), "{finished}");
    let all = shown(&sandbox, &[]);
    let states: Vec<&Value> = all["clones"].as_array().unwrap().iter().map(|clone| &clone["state"]).collect();
    assert!(states.contains(&&json!("unknown")) && states.contains(&&json!("ok")), "{all:#}");
    // What is at the destination is shown though.
    let one = shown(&sandbox, &["-d", sandbox.destination.to_str().unwrap()]);
    assert_eq!(one["clones"][0]["state"], "ok");
    assert!(one["clones"][0]["notes"][0].as_str().unwrap().contains("records cannot be read"), "{one:#}");
}

#[test]
fn proofs_and_wrong_clocks_are_shown() {
    let sandbox = cloned();
    let at = json!({ "rfc3339": "2026-11-20T02:11:00+00:00", "epoch": 1_795_140_660 });
    let proof = |booted: bool, reason: Value| {
        json!({ "at": at, "booted": booted, "reason": reason, "compared": booted, "firmware": "UEFI",
                "kernel": null, "seconds": 31.5 })
    };
    rewrite(&sandbox, |state| {
        state["proof"] = proof(true, Value::Null);
        state["proven"] = at.clone();
    });
    let finished = status(&sandbox, &[]);
    assert_eq!(cells(&finished, 1).last().unwrap(), "2026-11-20", "{finished}");
    rewrite(&sandbox, |state| state["proof"] = proof(false, json!("The kernel\u{1b} panicked.")));
    let finished = status(&sandbox, &[]);
    assert_eq!(cells(&finished, 1).last().unwrap(), "failed", "{finished}");
    let told = "It did not boot on 2026-11-20 02:11: The kernel\\#033 panicked.\n";
    assert!(finished.out.contains(told), "{finished}");
    assert_eq!(only(&sandbox)["proven"]["epoch"], 1_795_140_660);
    fs::remove_dir_all(&sandbox.destination).unwrap();
    rewrite(&sandbox, |state| state["last_success"]["ended"]["epoch"] = json!(now() + 86_400));
    assert!(status(&sandbox, &[]).out.contains("That time is in the future"));
    rewrite(&sandbox, |state| state["last_success"]["ended"]["epoch"] = json!(i64::MAX));
    assert_eq!(only(&sandbox)["last_success"]["at"], Value::Null);
}

#[test]
fn an_ordinary_user_sees_what_root_remembers() {
    let sandbox = cloned();
    fs::rename(sandbox.host().join("state"), sandbox.host().join("system-state")).unwrap();
    let finished = nobody::run(&sandbox, ["status"]);
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
    assert_eq!(cells(&finished, 1)[0], "ok", "{finished}");
    fs::set_permissions(&sandbox.destination, fs::Permissions::from_mode(0o700)).unwrap();
    let finished = nobody::run(&sandbox, ["status"]);
    assert_eq!(finished.code, 0, "{finished}");
    assert!(finished.out.contains("This user has no access to the destination.\n"), "{finished}");
    assert!(!Path::new(&sandbox.host()).join("state").exists(), "nothing is written");
}
