//! What moves past a survey: it is seen nowhere, although it was always there.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::quick::FILES;
use crate::support::sandbox::{Finished, Sandbox};

/// How long each listing of a directory waits for us, in microseconds.
const PAUSE: u32 = 150_000;

/// How often the moment is tried to be met.
const ATTEMPTS: u32 = 10;

/// Whether a process has a directory open whose path ends so.
fn has_open(process: u32, dir: &str) -> bool {
    let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    open.into_iter().any(|entry| fs::read_link(entry.path()).is_ok_and(|path| path.ends_with(dir)))
}

/// The process that a tool has started to trace it.
fn traced(tool: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{tool}/task/{tool}/children")).ok()?;
    children.split(' ').next()?.parse().ok()
}

/// Clones in full and, while the survey after the transfer is about to list this directory, has it `change`. Returns
/// whether that moment was met.
fn clone_while(sandbox: &Sandbox, dir: &str, change: impl Fn(&Path)) -> (Finished, bool) {
    let done = sandbox.path().join("transferred");
    let _ = fs::remove_file(&done);
    let plain = sandbox.command(sandbox.arguments(["--full"]));
    let strace = Command::new("/usr/bin/strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=getdents64", "-e"])
        .arg(format!("inject=getdents64:delay_enter={PAUSE}"))
        .arg(plain.get_program())
        .args(plain.get_args())
        .env("COUNTERPART_FAKE_HOST", sandbox.host())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let tool = strace.id();
    let waiting = std::thread::spawn(move || Finished::from(strace.wait_with_output().unwrap()));
    let mut is_met = false;
    while !waiting.is_finished() {
        let process = traced(tool).filter(|_| done.exists() && !is_met);
        if let Some(process) = process.filter(|process| has_open(*process, dir)) {
            change(&sandbox.source.join(dir));
            // It is still being listed, so it was changed before its end.
            is_met = has_open(process, dir);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    (waiting.join().unwrap(), is_met)
}

/// A directory that changes while it is listed may have lost a name to one that was listed before. Where nothing else
/// differs, only the time of its last change shows that.
#[test]
fn a_survey_during_which_a_directory_changes_is_not_the_last() {
    let sandbox = Sandbox::new();
    // Few directories, each of which takes its time.
    for number in 0..FILES {
        sandbox.write(format!("all/{number}"), "content");
    }
    sandbox.write("deep/dir/file", "content");
    let done = sandbox.path().join("transferred");
    let real = "/usr/bin/rsync";
    sandbox.rsync(&format!(
        "case \" $* \" in *' --stats '*) {real} \"$@\"; status=$?; touch '{}'; exit $status ;; esac\nexec {real} \"$@\"",
        done.display()
    ));
    sandbox.clone(&[]).assert_code(0);
    let touch = |dir: &Path| fs::set_permissions(dir, fs::metadata(dir).unwrap().permissions()).unwrap();
    for _ in 0..ATTEMPTS {
        let (run, is_met) = clone_while(&sandbox, "deep/dir", touch);
        run.assert_code(0).assert_err("");
        if is_met {
            run.assert_no_log(": Closing pass 1: ")
                .assert_log(": Closing pass 2: 1 entries have changed meanwhile.");
            return;
        }
    }
    panic!("the moment was never met");
}
