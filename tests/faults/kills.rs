//! Counterpart killed at many moments: the destination never claims what it does not have, and the next run repairs it.

use std::fs;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::support::audit::{Options, assert_same};
use crate::support::evidence::{Evidence, KILLED, is_untouched};
use crate::support::sandbox::{Sandbox, wait_until};
use crate::support::scene::{
    RSYNC, Running, assert_no_rsync, on_transfer, slow_down, text, thousands, wait_for,
};
use crate::support::tree::{many_of, snapshot};

/// Everything that must hold after a kill.
#[track_caller]
fn assert_mended(evidence: &mut Evidence, sandbox: &Sandbox, moment: &str) {
    // What has survived the run may still be writing.
    assert_no_rsync(sandbox);
    if sandbox.marker("completed").exists() {
        assert_whole(sandbox);
        assert!(!sandbox.marker("error").exists(), "{moment}");
    }
    evidence.verify_code(sandbox, KILLED, &moment);
    evidence.verify_loss(sandbox);
    sandbox.rsync(&format!("exec {RSYNC} \"$@\""));
    evidence.repair(sandbox);
}

/// Asserts that the clone is exact but for the time of the root itself: the completion is the last file that is written
/// into it, and the time is put right after that.
#[track_caller]
fn assert_whole(sandbox: &Sandbox) {
    let options = Options { root_mtime: false, ..Options::default() };
    assert_same(&sandbox.source, &sandbox.destination, &options);
}

/// Starts a run, waits for a file that says where it is, kills it.
fn kill_at(evidence: &mut Evidence, sandbox: &Sandbox, began: &std::path::Path, more: &[&str], moment: &str) {
    evidence.watch(sandbox);
    let run = Running::start(sandbox, more);
    wait_for(began);
    run.signal(Signal::SIGKILL);
    assert_eq!(run.finish().code, -1, "{moment}");
}

pub fn a_kill_while_another_program_runs_is_mended(evidence: &mut Evidence) {
    let stops = [("while rsync tells its version", "--version"), ("before the transfer", "--stats")];
    for (moment, option) in stops {
        let sandbox = Sandbox::new();
        thousands(&sandbox, 50);
        let began = sandbox.path().join("began");
        sandbox.rsync(&format!(
            "case \" $* \" in *' {option} '*) : >'{}'; exec sleep 100 ;; esac\nexec {RSYNC} \"$@\"",
            text(&began)
        ));
        kill_at(evidence, &sandbox, &began, &[], moment);
        assert!(!sandbox.marker("completed").exists(), "{moment}");
        assert_mended(evidence, &sandbox, moment);
    }
    for (option, is_complete) in [("-p", false), ("-o", true)] {
        let sandbox = Sandbox::new();
        thousands(&sandbox, 50);
        let began = sandbox.path().join("began");
        let script = sandbox.script("script", &format!(": >'{}'; exec sleep 100", text(&began)));
        kill_at(evidence, &sandbox, &began, &[option, &text(&script)], option);
        assert_eq!(sandbox.marker("completed").exists(), is_complete, "{option}");
        assert_mended(evidence, &sandbox, option);
    }
}

pub fn a_kill_after_the_transfer_and_before_the_verdict_is_mended(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    thousands(&sandbox, 50);
    let began = sandbox.path().join("began");
    on_transfer(&sandbox, &format!("{RSYNC} \"$@\"; : >'{}'; exec sleep 100", text(&began)));
    kill_at(evidence, &sandbox, &began, &[], "after the transfer");
    assert!(!sandbox.marker("completed").exists());
    assert_mended(evidence, &sandbox, "after the transfer");
}

pub fn a_kill_after_a_complete_run_takes_no_false_completion_along(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    thousands(&sandbox, 50);
    sandbox.clone(&[]).assert_code(0);
    fs::write(sandbox.source.join("more"), "more").unwrap();
    let began = sandbox.path().join("began");
    on_transfer(&sandbox, &format!(": >'{}'; exec sleep 100", text(&began)));
    kill_at(evidence, &sandbox, &began, &[], "in the second run");
    assert!(!sandbox.marker("completed").exists(), "the clone is not what the source is any more");
    assert_mended(evidence, &sandbox, "in the second run");
}

pub fn timed_kills_are_mended(evidence: &mut Evidence) {
    let mut sandbox = Sandbox::new();
    thousands(&sandbox, 1200);
    slow_down(&sandbox, 500);
    let root = sandbox.destination.clone();
    let mut killed = 0;
    for step in 0..16 {
        sandbox.destination = root.with_file_name(format!("destination-{step}"));
        fs::create_dir(&sandbox.destination).unwrap();
        evidence.watch(&sandbox);
        let mut run = Running::start(&sandbox, &[]);
        let copied = 1200 * step / 16;
        let clone = sandbox.destination.clone();
        assert!(wait_until(|| many_of(&clone) >= copied || run.has_ended()), "{copied} files do not arrive");
        run.signal(Signal::SIGKILL);
        let moment = format!("after {copied} files");
        if run.finish().code == KILLED {
            killed += 1;
            assert_mended(evidence, &sandbox, &moment);
        } else {
            evidence.verify_code(&sandbox, 0, &moment);
            evidence.verify_loss(&sandbox);
        }
        crate::support::tree::remove_tree(&sandbox.destination);
    }
    assert!(killed >= 8, "only {killed} runs were still running when they were killed");
}

/// The system calls by which Counterpart itself changes a disk, or makes sure that it has.
const CHANGES: [&str; 7] = ["fsync", "syncfs", "renameat", "unlinkat", "utimensat", "ftruncate", "pwrite64"];

pub fn a_kill_before_each_change_of_a_first_clone_is_mended(evidence: &mut Evidence) {
    let mut moments = 0;
    for call in CHANGES {
        for number in 1.. {
            let sandbox = Sandbox::new();
            thousands(&sandbox, 20);
            fs::create_dir(sandbox.destination.join("0000")).unwrap();
            evidence.watch(&sandbox);
            if !killed_before(&sandbox, call, number) {
                evidence.verify_code(&sandbox, 0, &call);
                evidence.verify_loss(&sandbox);
                break;
            }
            moments += 1;
            assert_mended(evidence, &sandbox, &format!("before {call} number {number}"));
        }
    }
    assert!(moments >= 12, "only {moments} changes were met");
}

pub fn a_kill_before_each_change_of_a_later_clone_is_mended(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    thousands(&sandbox, 20);
    let mut moments = 0;
    for call in CHANGES {
        for number in 1.. {
            sandbox.clone(&[]).assert_code(0);
            let before = snapshot(&sandbox.destination);
            fs::write(sandbox.source.join("changing"), format!("{call} {number}")).unwrap();
            evidence.watch(&sandbox);
            if !killed_before(&sandbox, call, number) {
                evidence.verify_code(&sandbox, 0, &call);
                evidence.verify_loss(&sandbox);
                break;
            }
            moments += 1;
            // Killed before anything was changed, the completion is the last run's and right for that.
            if sandbox.marker("completed").exists() && !is_untouched(&before, &snapshot(&sandbox.destination))
            {
                assert_whole(&sandbox);
            }
            evidence.verify_code(&sandbox, KILLED, &call);
            evidence.verify_loss(&sandbox);
            evidence.repair(&sandbox);
        }
    }
    assert!(moments >= 10, "only {moments} changes were met");
}

/// Kills a run just before its system call of this name and number; false when the run has ended before it.
fn killed_before(sandbox: &Sandbox, call: &str, number: u32) -> bool {
    assert!(fs::exists("/usr/bin/strace").unwrap(), "this test needs strace");
    let plain = sandbox.command(sandbox.arguments([] as [&str; 0]));
    let status = std::process::Command::new("/usr/bin/timeout")
        .args(["-k", "5", "600", "/usr/bin/strace", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("trace={call}"))
        .arg("-e")
        .arg(format!("inject={call}:signal=KILL:when={number}"))
        .arg(plain.get_program())
        .args(plain.get_args())
        .env("COUNTERPART_FAKE_HOST", sandbox.host())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    // strace ends by the signal that ended what it traced, and timeout hands that on.
    assert!(matches!(status.code(), Some(0 | 137) | None), "{status}");
    status.code() != Some(0)
}
