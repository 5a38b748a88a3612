//! Counterpart killed at many moments: the destination never claims what is not there, and the next run mends it.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::audit::{Options, assert_same};
use crate::disk::LoopDisk;
use crate::sandbox::{Sandbox, wait_until};
use crate::scene::{RSYNC, Running, assert_clone, on_transfer, text, thousands, wait_for};

/// Everything that must hold after a kill.
#[track_caller]
fn assert_mended(sandbox: &Sandbox, moment: &str) {
    if sandbox.mark("completed").exists() {
        // The completion is the last file that is written, and writing it changes the time of the root itself.
        let options = Options { root_mtime: false, ..Options::default() };
        assert_same(&sandbox.source, &sandbox.destination, &options);
        assert!(!sandbox.mark("error").exists(), "{moment}");
    }
    sandbox.rsync(&format!("exec {RSYNC} \"$@\""));
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut run = sandbox.clone(&[]);
    // rsync holds the lock until it has ended too.
    while run.code == 80 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
        run = sandbox.clone(&[]);
    }
    assert_eq!((run.code, run.err.as_str()), (0, ""), "killed {moment}: {run}");
    assert_eq!(sandbox.marks(), ["completed", "id", "stats"], "killed {moment}: {run}");
    assert_clone(sandbox);
}

/// Starts a run, waits for a file that says where it is, kills it.
fn kill_at(sandbox: &Sandbox, began: &std::path::Path, more: &[&str], moment: &str) {
    let run = Running::start(sandbox, more);
    wait_for(began);
    run.signal(Signal::SIGKILL);
    assert_eq!(run.finish().code, -1, "{moment}");
}

#[test]
fn a_kill_while_another_program_runs_is_mended() {
    let stops = [
        ("while rsync tells its version", "--version"),
        ("during the dry run", "--dry-run"),
        ("before the transfer", "--stats"),
    ];
    for (moment, option) in stops {
        let sandbox = Sandbox::new();
        thousands(&sandbox, 50);
        let began = sandbox.path().join("began");
        sandbox.rsync(&format!(
            "case \" $* \" in *' {option} '*) : >'{}'; exec sleep 100 ;; esac\nexec {RSYNC} \"$@\"",
            text(&began)
        ));
        kill_at(&sandbox, &began, &[], moment);
        assert!(!sandbox.mark("completed").exists(), "{moment}");
        assert_mended(&sandbox, moment);
    }
    for (option, is_complete) in [("-p", false), ("-o", true)] {
        let sandbox = Sandbox::new();
        thousands(&sandbox, 50);
        let began = sandbox.path().join("began");
        let script = sandbox.script("script", &format!(": >'{}'; exec sleep 100", text(&began)));
        kill_at(&sandbox, &began, &[option, &text(&script)], option);
        assert_eq!(sandbox.mark("completed").exists(), is_complete, "{option}");
        assert_mended(&sandbox, option);
    }
}

#[test]
fn a_kill_after_the_transfer_and_before_the_verdict_is_mended() {
    let sandbox = Sandbox::new();
    thousands(&sandbox, 50);
    let began = sandbox.path().join("began");
    on_transfer(&sandbox, &format!("{RSYNC} \"$@\"; : >'{}'; exec sleep 100", text(&began)));
    kill_at(&sandbox, &began, &[], "after the transfer");
    assert!(!sandbox.mark("completed").exists());
    assert_mended(&sandbox, "after the transfer");
}

#[test]
fn a_kill_after_a_complete_run_takes_no_false_completion_along() {
    let sandbox = Sandbox::new();
    thousands(&sandbox, 50);
    sandbox.clone(&[]).assert_code(0);
    fs::write(sandbox.source.join("more"), "more").unwrap();
    let began = sandbox.path().join("began");
    on_transfer(&sandbox, &format!(": >'{}'; exec sleep 100", text(&began)));
    kill_at(&sandbox, &began, &[], "in the second run");
    assert!(!sandbox.mark("completed").exists(), "the clone is not what the source is any more");
    assert_mended(&sandbox, "in the second run");
}

#[test]
fn timed_kills_are_mended() {
    let mut sandbox = Sandbox::new();
    thousands(&sandbox, 2000);
    let undisturbed = Instant::now();
    sandbox.clone(&[]).assert_code(0);
    let whole = undisturbed.elapsed();
    let root = sandbox.destination.clone();
    let mut killed = 0;
    for step in 0..16_u32 {
        sandbox.destination = root.join("..").join(format!("destination-{step}"));
        fs::create_dir(&sandbox.destination).unwrap();
        let run = Running::start(&sandbox, &[]);
        std::thread::sleep(whole * step / 15);
        run.signal(Signal::SIGKILL);
        killed += i32::from(run.finish().code == -1);
        assert_mended(&sandbox, &format!("after {step} fifteenths of {whole:?}"));
        crate::tree::remove_tree(&sandbox.destination);
    }
    assert!(killed >= 8, "only {killed} runs were still running when they were killed");
}

/// The system calls by which Counterpart itself changes a disk, or makes sure that it has.
const CHANGES: &str = "fsync,syncfs,renameat,unlinkat,utimensat,ftruncate,pwrite64";

#[test]
fn a_kill_before_each_change_of_the_disk_is_mended() {
    assert!(fs::exists("/usr/bin/strace").unwrap(), "this test needs strace");
    for adopted in [false, true] {
        let disk = LoopDisk::new("ext4", 32, &[], "");
        let mut sandbox = Sandbox::new();
        sandbox.destination = disk.path().to_owned();
        thousands(&sandbox, 20);
        let mut moment = 0;
        loop {
            moment += 1;
            assert!(moment < 60, "the run does not end");
            if adopted {
                // A change, so that the completion of the last run is not true any more.
                fs::write(sandbox.source.join("changing"), format!("{moment}")).unwrap();
            } else {
                clear(&sandbox);
            }
            if !killed_at_change(&sandbox, moment) {
                break;
            }
            let claims = sandbox.mark("completed").exists();
            if adopted && claims && !fs_equal(&sandbox) {
                // Not begun yet: that is the last run's, and says when that one ended.
                fs::remove_file(sandbox.mark("completed")).unwrap();
                assert!(moment <= BEFORE_BEGIN, "change {moment} left a false completion");
            }
            assert_mended(&sandbox, &format!("before change {moment}"));
        }
        assert!(moment > 15, "only {moment} changes were met");
    }
}

/// How many changes come before the completion is taken away: the sweep and the probes.
const BEFORE_BEGIN: u32 = 4;

fn fs_equal(sandbox: &Sandbox) -> bool {
    fs::read(sandbox.source.join("changing")).ok() == fs::read(sandbox.destination.join("changing")).ok()
}

fn clear(sandbox: &Sandbox) {
    for name in crate::sandbox::names_of(&sandbox.destination) {
        let path = sandbox.destination.join(name);
        fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path)).unwrap();
    }
}

/// Kills a run just before the change of this number; false when the run has ended before it.
fn killed_at_change(sandbox: &Sandbox, number: u32) -> bool {
    let plain = sandbox.command(sandbox.arguments([] as [&str; 0]));
    let status = std::process::Command::new("/usr/bin/timeout")
        .args(["-k", "5", "60", "/usr/bin/strace", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("trace={CHANGES}"))
        .arg("-e")
        .arg(format!("inject={CHANGES}:signal=KILL:when={number}"))
        .arg(plain.get_program())
        .args(plain.get_args())
        .env("COUNTERPART_FAKE_HOST", sandbox.host())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    // A signal of the traced program is handed on by strace, and by timeout as 128 and its number.
    assert!(matches!(status.code(), Some(0 | 137) | None), "{status}");
    let _ = wait_until(|| true);
    status.code() != Some(0)
}
