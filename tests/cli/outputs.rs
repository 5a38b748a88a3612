//! Files written by the run itself that are below the destination: refused before anything is written.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::mounted::Mounted;
use crate::support::sandbox::Sandbox;
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write_destination("old", "x");
    sandbox
}

/// Refused with 2 and this sentence, and the destination stays as it is.
#[track_caller]
fn refused(sandbox: &Sandbox, option: &str, path: &Path, told: &str) {
    let before = snapshot_with_ctime(&sandbox.destination);
    let (path, destination) = (path.to_str().unwrap(), sandbox.destination.display());
    for more in [&["--adopt"][..], &["-t"], &["--adopt", "-b", "password"]] {
        let shown = if option == "--metrics-file" { path.rsplit_once('/').unwrap().0 } else { path };
        let run = sandbox.clone(&[&[option, path], more].concat());
        assert_eq!(run.code, 2, "{run}");
        run.assert_err(&format!(
            "counterpart: {told} {shown} lies inside the destination {destination}, where the clone would delete it. Choose \
             a place outside.\n"
        ));
    }
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
}

const LOG: &str = "The log directory (--log-dir)";

#[test]
fn a_log_below_the_destination_is_refused_by_whatever_way() {
    let sandbox = sandbox();
    let (destination, root) = (&sandbox.destination, sandbox.path());
    symlink(destination, root.join("link")).unwrap();
    fs::create_dir_all(root.join("bound")).unwrap();
    fs::create_dir_all(destination.join("deep/directory")).unwrap();
    let _mounted = Mounted::bind(&destination.join("deep"), &root.join("bound"));
    for path in [
        destination.clone(),
        destination.join("logs"),
        destination.join("none/of/these"),
        root.join("source/../destination/logs"),
        root.join("link/logs"),
        root.join("bound/directory"),
    ] {
        refused(&sandbox, "--log-dir", &path, LOG);
    }
    assert!(sandbox.logs().is_empty());
    // A name that only begins alike is another place.
    let other = root.join("destination-logs");
    sandbox.clone(&["--adopt", "--log-dir", other.to_str().unwrap()]).assert_code(0);
}

#[test]
fn metrics_below_the_destination_are_refused() {
    let sandbox = sandbox();
    let told = "The directory of the metrics (--metrics-file)";
    refused(&sandbox, "--metrics-file", &sandbox.destination.join("run.prom"), told);
    refused(&sandbox, "--metrics-file", &sandbox.destination.join("none/run.prom"), told);
    assert_eq!(sandbox.logs().len(), 6, "the refusal is in the log");
}

#[test]
fn a_server_backup_below_the_destination_is_refused() {
    let sandbox = sandbox();
    let path = sandbox.destination.join("dumps");
    let before = snapshot_with_ctime(&sandbox.destination);
    let run = sandbox.clone(&["-b", "password", "--backup-dir", path.to_str().unwrap()]);
    run.assert_code(2).assert_log("The directory of the server backup (--backup-dir) ");
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
    // Without a server backup nothing is written there.
    sandbox.clone(&["--adopt", "--backup-dir", path.to_str().unwrap()]).assert_code(0);
}

#[test]
fn memory_and_locks_below_the_destination_are_refused() {
    let mut sandbox = sandbox();
    sandbox.destination = sandbox.host();
    let run = sandbox.clone(&["--adopt", "--log-dir", sandbox.path().join("log").to_str().unwrap()]);
    run.assert_code(2).assert_log("The directory of this machine's records ");
    assert!(!sandbox.host().join("state").exists() && !sandbox.host().join("lock").exists());
}

#[test]
fn outputs_below_the_source_are_cloned() {
    let sandbox = sandbox();
    let log = sandbox.source.join("log");
    let metrics = sandbox.source.join("run.prom");
    for _ in 0..2 {
        let more = ["--log-dir", log.to_str().unwrap(), "--metrics-file", metrics.to_str().unwrap()];
        sandbox.clone(&[&more[..], &["--adopt"]].concat()).assert_code(0).assert_err("");
    }
    assert_eq!(sandbox.names(), ["file", "log", "run.prom"]);
}

#[test]
fn what_the_run_needs_below_the_destination_is_warned_of() {
    let sandbox = sandbox();
    sandbox.clone(&["--adopt"]).assert_code(0);
    let script = sandbox.script("destination/script", "exit 0");
    let patterns = sandbox.destination.join("patterns");
    fs::write(&patterns, "").unwrap();
    let (script, patterns) = (script.to_str().unwrap(), patterns.to_str().unwrap());
    let run = sandbox.clone(&["-e", patterns, "-p", script, "--on-error", script]);
    run.assert_code(0);
    for (what, path) in
        [("the excludes file", patterns), ("the pre-clone script", script), ("the on-error script", script)]
    {
        run.assert_log(&format!(
            "Warning: {what} {path} lies inside the destination: a clone replaces or deletes it."
        ));
    }
    assert_eq!(sandbox.record().unwrap()["outcome"], "warning");
}

#[test]
fn the_doctor_foretells_it() {
    let sandbox = sandbox();
    let logs = sandbox.destination.join("logs");
    let mut arguments = vec!["doctor".into()];
    arguments.extend(sandbox.arguments(["--log-dir", logs.to_str().unwrap()]));
    let run = sandbox.run(arguments);
    assert_eq!(run.code, 2, "{run}");
    assert!(run.out.contains("FAIL  outputs: The log directory (--log-dir) "), "{run}");
}
