//! This machine's state of each destination.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::sandbox::{Sandbox, names_of};

fn files(sandbox: &Sandbox) -> Vec<PathBuf> {
    let dir = sandbox.host().join("state");
    if dir.exists() { names_of(&dir).iter().map(|name| dir.join(name)).collect() } else { Vec::new() }
}

fn state(sandbox: &Sandbox) -> Value {
    let [file] = &files(sandbox)[..] else { panic!("{:?}", files(sandbox)) };
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_success_is_remembered_whole() {
    let sandbox = Sandbox::new();
    sandbox.write("directory/file", "12345");
    let script = sandbox.script("script", "exit 0");
    sandbox.clone(&["-p", script.to_str().unwrap(), "-g", "org.example"]).assert_code(0);
    let state = state(&sandbox);
    assert_eq!(state["schema"], 1);
    assert_eq!(state["destination"], sandbox.destination.to_str().unwrap());
    assert_eq!(state["prefix"], "org.example");
    assert_eq!(state["last"], state["last_success"]);
    let last = &state["last"];
    assert_eq!((&last["outcome"], &last["exit_code"]), (&Value::from("success"), &Value::from(0)));
    assert_eq!((&last["host"], &last["reason"]), (&Value::from("testhost"), &Value::Null));
    assert_eq!(last["statistics"]["files"], 3);
    assert_eq!(last["statistics"]["total_size"], 5);
    assert_eq!(last["scripts"][0]["which"], "pre-clone");
    assert_eq!(last["scripts"][0]["exit_code"], 0);
    assert_eq!((&last["rsync"]["exit_code"], &last["rsync"]["attempts"]), (&Value::from(0), &Value::from(1)));
    assert_eq!(last["log"], sandbox.logs()[0].to_str().unwrap());
    let phases: Vec<&str> =
        last["phases"].as_array().unwrap().iter().map(|phase| phase["name"].as_str().unwrap()).collect();
    assert_eq!(phases, ["pre-clone script", "survey", "links", "flush", "transfer"]);
    let (started, ended) = (&last["started"]["epoch"], &last["ended"]["epoch"]);
    assert!(started.as_i64().unwrap() > 1_700_000_000 && ended.as_i64() >= started.as_i64());
    assert_eq!((mode(&files(&sandbox)[0]), mode(&sandbox.host().join("state"))), (0o644, 0o755));
}

#[test]
fn a_failure_does_not_forget_the_last_success() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "1");
    sandbox.clone(&[]).assert_code(0);
    let first = state(&sandbox);
    sandbox.rsync("case \" $* \" in *' --stats '*) echo 'rsync: [sender] read errors mapping \"/x\": Input/output error (5)' >&2; exit 23 ;; esac\nexec /usr/bin/rsync \"$@\"");
    sandbox.clone(&[]).assert_code(23);
    let second = state(&sandbox);
    assert_eq!(second["last_success"], first["last"]);
    let last = &second["last"];
    assert_eq!((&last["outcome"], &last["exit_code"]), (&Value::from("failed"), &Value::from(23)));
    assert_eq!(format!("{}\n", last["reason"].as_str().unwrap()), sandbox.read_marker("error"));
    assert_eq!(last["failing_paths"], serde_json::json!({"first": [], "more": 1}), "everybody may read it");
    assert_eq!(sandbox.record().unwrap()["failing_paths"]["first"][0], "/x");
    assert_eq!((mode(&sandbox.marker("stats.json")), mode(&files(&sandbox)[0])), (0o600, 0o644));
}

#[test]
fn a_failing_script_makes_a_success_with_a_warning() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "1");
    let script = sandbox.script("script", "exit 3");
    sandbox.clone(&["-o", script.to_str().unwrap()]).assert_code(0);
    let state = state(&sandbox);
    assert_eq!(state["last"]["outcome"], "warning");
    assert_eq!(state["last"], state["last_success"]);
    let warning = state["last"]["warnings"]["first"][0].as_str().unwrap();
    assert!(warning.starts_with("The post-clone script ") && warning.contains("exit code 3"), "{warning}");
}

#[test]
fn a_refusal_of_a_known_destination_is_remembered_and_no_other() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "1");
    let mut elsewhere = sandbox.arguments([] as [&str; 0]);
    elsewhere[3] = sandbox.path().join("typing-error").into();
    sandbox.run(elsewhere).assert_code(66);
    assert!(files(&sandbox).is_empty());
    sandbox.clone(&[]).assert_code(0);
    fs::rename(&sandbox.destination, sandbox.path().join("unplugged")).unwrap();
    sandbox.clone(&[]).assert_code(66);
    let state = state(&sandbox);
    assert_eq!(state["last"]["exit_code"], 66);
    assert_eq!(state["last_success"]["exit_code"], 0);
}

#[test]
fn a_test_run_is_not_remembered() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "1");
    sandbox.clone(&["-t"]).assert_code(70);
    assert!(files(&sandbox).is_empty());
}

#[test]
fn a_state_that_cannot_be_kept_is_a_warning() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "1");
    fs::write(sandbox.host().join("state"), "in the way").unwrap();
    sandbox.clone(&[]).assert_code(88).assert_log(" cannot be read (Not a directory)");
    sandbox
        .clone(&["--adopt"])
        .assert_code(0)
        .assert_err("")
        .assert_log(": Warning: the state of this run could not be saved in ");
}

#[test]
fn a_damaged_state_is_told_and_written_anew() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "1");
    sandbox.clone(&[]).assert_code(0);
    let file = files(&sandbox).remove(0);
    for damaged in ["", "{", "[]", "{\"schema\":99}", "\u{0}\u{1}"] {
        fs::write(&file, damaged).unwrap();
        sandbox.clone(&[]).assert_code(88).assert_log(" is left as it is.");
        assert_eq!(fs::read_to_string(&file).unwrap(), damaged);
        sandbox
            .clone(&["--adopt"])
            .assert_code(0)
            .assert_log(" cannot be read (")
            .assert_log(") and is rewritten.");
        assert_eq!(state(&sandbox)["last"]["exit_code"], 0);
    }
    // A link that somebody planted is replaced and never followed.
    let target = sandbox.path().join("target");
    fs::write(&target, "untouched").unwrap();
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&target, &file).unwrap();
    sandbox.clone(&[]).assert_code(88);
    sandbox.clone(&["--adopt"]).assert_code(0);
    assert_eq!(fs::read_to_string(&target).unwrap(), "untouched");
    assert!(fs::symlink_metadata(&file).unwrap().is_file());
}
