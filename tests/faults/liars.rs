//! An rsync that lies, babbles or stops short instead of copying.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::evidence::Evidence;
use crate::support::sandbox::{Finished, Sandbox};
use crate::support::scene::{RSYNC, on_transfer, text, thousands, wait_for};

/// A sandbox with a complete clone and a changed source, whose rsync does this instead of copying.
fn sandbox(body: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    thousands(&sandbox, 20);
    sandbox.clone(&[]).assert_code(0);
    sandbox.write("new", "new");
    on_transfer(&sandbox, body);
    sandbox
}

fn lie(evidence: &mut Evidence, body: &str) -> Finished {
    let sandbox = sandbox(body);
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
    run
}

pub fn success_without_statistics_is_13(evidence: &mut Evidence) {
    lie(evidence, "exit 0");
    lie(evidence, &format!("{RSYNC} \"$@\" | head -n 3; exit 0"));
    lie(evidence, &format!("{RSYNC} \"$@\" >&2; exit 0"));
}

pub fn statistics_do_not_make_a_success_of_1(evidence: &mut Evidence) {
    lie(evidence, &format!("{RSYNC} --dry-run \"$@\"; exit 1"));
}

pub fn closed_outputs_are_no_success(evidence: &mut Evidence) {
    lie(evidence, &format!("exec >&- 2>&-; {RSYNC} \"$@\"; sleep 1; exit 0"));
}

pub fn a_code_that_rsync_does_not_have_is_86(evidence: &mut Evidence) {
    lie(evidence, "exit 74");
    lie(evidence, "exit 255");
}

pub fn names_that_look_like_errors_are_none(evidence: &mut Evidence) {
    let line = "rsync: [sender] send_files failed to open \\\"/s/No space left on device (28)\\\": Permission denied (13)";
    lie(evidence, &format!("echo \"{line}\" >&2; exit 23")).assert_log("No space left on device (28)");
}

/// The most memory that a process has used so far, in KiB.
fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

pub fn endless_output_is_read_in_bounded_memory(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    thousands(&sandbox, 20);
    sandbox.clone(&[]).assert_code(0);
    let began = sandbox.path().join("began");
    on_transfer(&sandbox, &format!(": >'{}'; yes >&2 & exec tr '\\0' x </dev/zero", text(&began)));
    evidence.watch(&sandbox);
    let output = fs::File::create(sandbox.path().join("output")).unwrap();
    let mut command = sandbox.command(sandbox.arguments([] as [&str; 0]));
    let mut run = command.stdout(Stdio::null()).stderr(output).spawn().unwrap();
    wait_for(&began);
    std::thread::sleep(Duration::from_secs(1));
    let peak = peak_memory(run.id());
    kill(Pid::from_raw(i32::try_from(run.id()).unwrap()), Signal::SIGTERM).unwrap();
    let code = run.wait().unwrap().code().unwrap_or(-1);
    assert!((1..65_536).contains(&peak), "{peak} KiB");
    let log = fs::metadata(sandbox.logs().pop().unwrap()).unwrap().len();
    assert!(log < 16 << 20, "{log} bytes");
    evidence.verify_code(&sandbox, code, &"endless output");
    evidence.verify_loss(&sandbox);
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}
