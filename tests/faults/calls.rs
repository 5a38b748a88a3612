//! Each system call with which Counterpart itself changes a disk, or flushes it, fails once.

use std::ffi::OsString;
use std::fs;
use std::process::Stdio;

use crate::support::evidence::Evidence;
use crate::support::sandbox::{Finished, Sandbox};
use crate::support::scene::{in_view, thousands};
use crate::support::tree::edit_in_the_same_second;

/// The calls, whether only those count that name the destination or use it, and how many a run has at least.
const CALLS: [(&str, bool, u32); 8] = [
    ("openat", true, 7),
    ("renameat", true, 2),
    ("unlinkat", true, 2),
    ("utimensat", true, 1),
    ("fsync", false, 4),
    ("syncfs", false, 1),
    ("fchmod", false, 2),
    ("utimensat", false, 2),
];

/// Tells strace to look at the destination alone, by its path and in the view.
fn there(sandbox: &Sandbox) -> Vec<OsString> {
    let paths = [sandbox.destination.clone(), in_view(sandbox)];
    paths.into_iter().flat_map(|path| ["-P".into(), path.into_os_string()]).collect()
}

/// Runs a clone whose system call of this name and number fails with this error; nothing when it has fewer of them.
fn with_failure(
    sandbox: &Sandbox,
    call: &str,
    only_there: bool,
    error: &str,
    number: u32,
) -> Option<Finished> {
    assert!(fs::exists("/usr/bin/strace").unwrap(), "this test needs strace");
    let trace = sandbox.path().join("trace");
    let plain = sandbox.command(sandbox.arguments([] as [&str; 0]));
    let output = std::process::Command::new("/usr/bin/timeout")
        .args(["-k", "5", "600", "/usr/bin/strace", "-qq", "-o"])
        .arg(&trace)
        .args(if only_there { there(sandbox) } else { Vec::new() })
        .arg("-e")
        .arg(format!("trace={call}"))
        .arg("-e")
        .arg(format!("inject={call}:error={error}:when={number}"))
        .arg(plain.get_program())
        .args(plain.get_args())
        .env("COUNTERPART_FAKE_HOST", sandbox.host())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let was_met = fs::read_to_string(trace).unwrap().contains("(INJECTED)");
    was_met.then(|| Finished::from(output))
}

fn each_call_fails(evidence: &mut Evidence, error: &str) {
    let sandbox = Sandbox::new();
    thousands(&sandbox, 20);
    for (call, only_there, least) in CALLS {
        for number in 1.. {
            edit_in_the_same_second(&sandbox.source.join("0000/00000007"));
            fs::write(sandbox.source.join("0000/00000008"), format!("{call} {number}")).unwrap();
            evidence.watch(&sandbox);
            let Some(run) = with_failure(&sandbox, call, only_there, error, number) else {
                evidence.forget();
                assert!(number > least, "{call} was met {} times", number - 1);
                break;
            };
            evidence.verify(&sandbox, &run);
            evidence.repair(&sandbox);
        }
    }
}

pub fn each_call_that_fails_with_eio_is_told(evidence: &mut Evidence) {
    each_call_fails(evidence, "EIO");
}

pub fn each_call_that_fails_with_enospc_is_told(evidence: &mut Evidence) {
    each_call_fails(evidence, "ENOSPC");
}
