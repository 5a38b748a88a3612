//! The variables passed to scripts, and the script that runs after a failure.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::fakes;
use crate::support::nobody;
use crate::support::sandbox::{Finished, Sandbox, wait_until};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox
}

/// A script that writes down its environment, and the file that it goes to.
fn witness(sandbox: &Sandbox, name: &str, then: &str) -> (String, PathBuf) {
    let seen = sandbox.path().join(format!("{name}-saw"));
    let script = sandbox.script(name, &format!("env -0 >'{}'; {then}", seen.display()));
    (script.to_str().unwrap().to_owned(), seen)
}

/// What the script was told, without the beginning of the names that they have in common.
#[track_caller]
fn told(seen: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = fs::read(seen).unwrap_or_else(|error| panic!("{}: {error}", seen.display()));
    bytes
        .split(|byte| *byte == 0)
        .filter_map(|entry| entry.strip_prefix(b"COUNTERPART_"))
        .map(|entry| {
            let at = entry.iter().position(|byte| *byte == b'=').unwrap();
            (String::from_utf8(entry[..at].to_vec()).unwrap(), entry[at + 1..].to_vec())
        })
        .collect()
}

/// Asserts all that a script was told but the log, which must be the run's own.
#[track_caller]
fn assert_told(sandbox: &Sandbox, seen: &Path, more: &[(&str, &str)]) {
    let mut told = told(seen);
    let log = sandbox.logs().pop().unwrap();
    assert_eq!(told.remove("LOG").as_deref(), Some(log.as_os_str().as_bytes()));
    let list = told.remove("CHANGES").map(|path| PathBuf::from(OsStr::from_bytes(&path)));
    assert!(list.is_none_or(|list| list == sandbox.changes() && list.exists()));
    let mut expected: BTreeMap<String, Vec<u8>> =
        more.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let mut path =
        |name: &str, path: &Path| expected.insert(name.to_owned(), path.as_os_str().as_bytes().to_vec());
    path("SOURCE", &sandbox.source);
    path("DESTINATION", &sandbox.destination);
    path("STATS", &sandbox.marker("stats"));
    let shown = |map: BTreeMap<String, Vec<u8>>| {
        let lines =
            map.into_iter().map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(&value)));
        lines.collect::<Vec<String>>()
    };
    assert_eq!(shown(told), shown(expected));
}

#[test]
fn each_script_is_told_what_is_known_when_it_runs() {
    let sandbox = sandbox();
    let ((pre, pre_saw), (post, post_saw), (error, error_saw)) =
        (witness(&sandbox, "pre", ""), witness(&sandbox, "post", ""), witness(&sandbox, "error", ""));
    // The fake rsync counts more than there is.
    let options = ["-p", &pre, "-o", &post, "--on-error", &error, "--allow-shrink"];
    sandbox.clone(&options).assert_code(0).assert_err("");
    assert_told(&sandbox, &pre_saw, &[]);
    assert_told(&sandbox, &post_saw, &[("OUTCOME", "success"), ("EXIT_CODE", "0")]);
    assert!(!error_saw.exists(), "nothing failed");
    // Something to look at, and a complete clone.
    fakes::rsync(&sandbox, "echo \"file has vanished: \\\"${source}gone\\\"\" >&2; statistics; exit 24");
    sandbox.clone(&options).assert_code(24);
    assert_told(&sandbox, &post_saw, &[("OUTCOME", "warning"), ("EXIT_CODE", "24")]);
    assert!(!error_saw.exists());
    fs::remove_file(&post_saw).unwrap();
    fakes::rsync(&sandbox, "statistics; exit 23");
    sandbox.clone(&options).assert_code(23);
    let reason = sandbox.read_marker("error");
    assert_told(
        &sandbox,
        &error_saw,
        &[
            ("OUTCOME", "failed"),
            ("EXIT_CODE", "23"),
            ("REASON", reason.trim_end()),
            ("REMEDY", "read the failing paths at the end of the log; see rsync(1), \"EXIT VALUES\""),
        ],
    );
    assert!(!post_saw.exists(), "it runs after a success only");
    sandbox.clone(&["-t", "--on-error", &error, "-p", &pre]).assert_code(70);
}

#[test]
fn nothing_of_our_own_environment_leaks_and_paths_are_raw() {
    let mut sandbox = sandbox();
    let odd = OsStr::from_bytes(b"d\xff\n e").to_owned();
    sandbox.destination = sandbox.path().join(&odd);
    fs::create_dir(&sandbox.destination).unwrap();
    let (pre, saw) = witness(&sandbox, "pre", "");
    let mut command = sandbox.command(sandbox.arguments(["-p", &pre]));
    command.env("COUNTERPART_OUTCOME", "success").env("COUNTERPART_EVIL", "1").env("EVIL", "1");
    Finished::from(command.output().unwrap()).assert_code(0);
    assert_told(&sandbox, &saw, &[]);
    assert!(told(&saw)["DESTINATION"].ends_with(&odd.into_vec()));
    assert!(!fs::read(&saw).unwrap().windows(4).any(|window| window == b"EVIL"));
}

#[test]
fn without_a_log_none_is_named() {
    let sandbox = sandbox();
    let (error, saw) = witness(&sandbox, "error", "");
    sandbox
        .clone(&["--log-dir", "/proc/nothing", "--on-error", &error, "-e", "/nonexistent"])
        .assert_code(67);
    assert!(!told(&saw).contains_key("LOG"));
}

#[test]
fn every_failure_runs_it_refusals_too() {
    let sandbox = sandbox();
    let (error, saw) = witness(&sandbox, "error", "echo said; echo more >&2");
    let fails = |code: i32, more: &[&str]| {
        let finished = sandbox.clone(&[&["--on-error", &error], more].concat());
        finished
            .assert_code(code)
            .assert_log("on-error script: said\n")
            .assert_log("on-error script: more\n");
        assert_eq!(told(&saw)["EXIT_CODE"], code.to_string().as_bytes());
        assert_eq!(
            told(&saw)["REASON"],
            finished.err.trim_end().strip_prefix("counterpart: ").unwrap().as_bytes()
        );
        fs::remove_file(&saw).unwrap();
    };
    fails(85, &["--rsync", "/nonexistent"]);
    fails(67, &["-e", "/nonexistent"]);
    fails(68, &["-p", "/nonexistent"]);
    let failing = sandbox.script("failing", "exit 1");
    fails(81, &["--strict-scripts", "-p", failing.to_str().unwrap()]);
    fails(82, &["--strict-scripts", "-o", failing.to_str().unwrap()]);
    fs::remove_dir_all(&sandbox.destination).unwrap();
    fails(66, &[]);
    fs::create_dir(&sandbox.destination).unwrap();
    sandbox.write_destination("precious", "x");
    fails(76, &[]);
}

#[test]
fn a_run_that_lacks_root_runs_it_too() {
    let sandbox = sandbox();
    nobody::give(&sandbox.source);
    nobody::give(&sandbox.destination);
    let saw = sandbox.host().join("saw");
    let script = sandbox.script("error", &format!("env -0 >'{}'", saw.display()));
    let finished = nobody::run(&sandbox, sandbox.arguments([OsStr::new("--on-error"), script.as_os_str()]));
    assert_eq!(finished.code, 1, "{finished}");
    assert_eq!(told(&saw)["EXIT_CODE"], b"1");
}

#[test]
fn the_reason_and_the_record_are_there_when_it_runs_and_the_disk_is_free() {
    let sandbox = sandbox();
    let copies = sandbox.path().join("copies");
    fs::create_dir(&copies).unwrap();
    let script = sandbox.script(
        "error",
        &format!(
            "cp '{}' '{}' '{}'; ls -l /proc/$PPID/fd | grep -c ' {}$'",
            sandbox.marker("error").display(),
            sandbox.marker("stats.json").display(),
            copies.display(),
            sandbox.destination.display()
        ),
    );
    let failing = sandbox.script("failing", "exit 1");
    let failing = failing.to_str().unwrap();
    let finished =
        sandbox.clone(&["--on-error", script.to_str().unwrap(), "--strict-scripts", "-p", failing]);
    finished.assert_code(81).assert_log("on-error script: 0\n");
    for marker in ["error", "stats.json"] {
        let name = format!(".me.jedda.counterpart.{marker}");
        assert_eq!(fs::read(copies.join(name)).unwrap(), fs::read(sandbox.marker(marker)).unwrap());
    }
}

#[test]
fn its_own_failure_changes_nothing_but_the_log() {
    let sandbox = sandbox();
    let failing = sandbox.script("failing", "exit 1");
    let fails = ["--strict-scripts", "-p", failing.to_str().unwrap()];
    let quiet = sandbox.clone(&fails);
    for (body, how) in [("exit 9", "it ended with exit code 9"), ("kill -9 $$", "it was killed by signal 9")]
    {
        let script = sandbox.script("error", body);
        let script = script.to_str().unwrap();
        let finished = sandbox.clone(&[&fails[..], &["--on-error", script]].concat());
        finished.assert_code(81).assert_err(&quiet.err);
        finished.assert_log(&format!("Warning: The on-error script {script} failed: {how}.\n"));
        assert_eq!(sandbox.markers(), ["error"]);
    }
    // It was there when the run began.
    let script = sandbox.script("error", "true");
    let pre = sandbox.script("pre", &format!("rm '{}'; exit 1", script.display()));
    let finished = sandbox.clone(&[
        "--strict-scripts",
        "-p",
        pre.to_str().unwrap(),
        "--on-error",
        script.to_str().unwrap(),
    ]);
    finished.assert_code(81).assert_log(&format!(
        "Warning: The on-error script {} cannot be executed: No such file or directory.\n",
        script.display()
    ));
}

#[test]
fn one_that_cannot_run_is_2_before_anything_else() {
    let sandbox = sandbox();
    let plain = sandbox.path().join("plain");
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = sandbox.path().join("ran");
    let pre = sandbox.script("pre", &format!("touch '{}'", ran.display()));
    for (path, why) in [
        (sandbox.path().join("missing"), "No such file or directory"),
        (plain, "it has no execute permission; chmod +x it"),
    ] {
        let finished = sandbox.clone(&["-p", pre.to_str().unwrap(), "--on-error", path.to_str().unwrap()]);
        let sentence = format!("The on-error script {} cannot be executed: {why}.\n", path.display());
        finished.assert_code(2).assert_err(&format!("counterpart: {sentence}"));
        finished.assert_no_log("Running the on-error script");
        assert_eq!(sandbox.markers(), [] as [&str; 0]);
        assert_eq!(sandbox.names(), [] as [&str; 0]);
        assert!(!ran.exists());
    }
}

#[test]
fn after_an_interrupt_it_runs_whole_and_the_next_signal_is_its_own() {
    let sandbox = fakes::sandbox("kill -TERM $PPID; sleep 20");
    let script = sandbox.script("error", "sleep 0.5; echo whole");
    let finished = sandbox.clone(&["--on-error", script.to_str().unwrap()]);
    finished.assert_code(20).assert_log("on-error script: whole\n");
    let began = sandbox.path().join("began");
    let script = sandbox.script("error", &format!("touch '{}'; exec sleep 60", began.display()));
    let child = sandbox.start(&["--on-error", script.to_str().unwrap()]);
    assert!(wait_until(|| began.exists()));
    let signalled = Instant::now();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let finished = Finished::from(child.wait_with_output().unwrap());
    assert!(signalled.elapsed() < Duration::from_secs(10), "{:?}", signalled.elapsed());
    finished.assert_code(20).assert_log("it was killed by signal 15.\n");
}
