//! A signal ends the clone that is being made, and no other is started.

use std::fs;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::jobs::scene::{Scene, summary};
use crate::support::sandbox::{Finished, wait_until};

const TWO: &str = "\
source = \"SOURCE\"
[destinations.a]
destination = \"HERE/a\"
pre-script = \"HERE/wait\"
[destinations.b]
destination = \"HERE/b\"
";

#[test]
fn a_signal_ends_all() {
    for (signal, name) in [(Signal::SIGINT, "SIGINT"), (Signal::SIGTERM, "SIGTERM")] {
        let scene = Scene::with("two", TWO);
        let (a, b) = (scene.destination("a"), scene.destination("b"));
        let ready = scene.sandbox.path().join("ready");
        scene.sandbox.script("wait", &format!("echo >'{}'\nexec sleep 300", ready.display()));
        let mut command = scene.sandbox.command(["run", "two"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        assert!(wait_until(|| ready.exists()));
        // As systemd does, and not as a terminal, which reaches the foreground's whole group.
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        let finished = Finished::from(child.wait_with_output().unwrap());
        assert_eq!(finished.code, 20, "{finished}");
        let lines = summary(&finished);
        assert!(lines[0].starts_with("two a: 20, "), "{lines:?}");
        assert_eq!(lines[1..], ["two b: not started, interrupted"]);
        assert_eq!(finished.err, format!("counterpart: The clone was interrupted ({name}).\n"));
        assert_eq!(fs::read_dir(&b).unwrap().count(), 0);
        assert!(!a.join("file").exists());
    }
}

#[test]
fn a_clone_does_not_outlive_the_process_that_started_it() {
    let scene = Scene::with("two", TWO);
    scene.destination("a");
    let b = scene.destination("b");
    let ready = scene.sandbox.path().join("ready");
    scene.sandbox.script(
        "wait",
        &format!("echo $PPID >'{0}.new'\nmv '{0}.new' '{0}'\nexec sleep 300", ready.display()),
    );
    let mut command = scene.sandbox.command(["run", "two"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(wait_until(|| ready.exists()));
    let member = fs::read_to_string(&ready).unwrap().trim().to_owned();
    child.kill().unwrap();
    child.wait().unwrap();
    // It may stay as a zombie where nobody collects orphans.
    let is_gone = || fs::read_to_string(format!("/proc/{member}/cmdline")).unwrap_or_default().is_empty();
    assert!(wait_until(is_gone), "{member} goes on");
    assert_eq!(fs::read_dir(&b).unwrap().count(), 0);
}
