//! Descriptors that Counterpart inherits from its caller.

use std::fs;
use std::process::{Command, Stdio};

use crate::support::other_rsyncs::with_each;
use crate::support::sandbox::{Finished, Sandbox, write_script};

/// A clone of a process that has inherited so many descriptors more.
fn with_descriptors(sandbox: &Sandbox, count: u32, more: &[&str]) -> Finished {
    let product = sandbox.command(sandbox.arguments(more));
    let opening =
        format!("for ((i = 3; i < {}; i++)); do eval \"exec $i</dev/null\"; done; exec \"$@\"", 3 + count);
    let mut command = Command::new("/usr/bin/prlimit");
    command.args([
        "--nofile=4096",
        "/usr/bin/timeout",
        "-k",
        "5",
        "600",
        "/bin/bash",
        "-c",
        &opening,
        "bash",
    ]);
    command.arg("/usr/bin/env").args(product.get_args());
    command.env("COUNTERPART_FAKE_HOST", sandbox.host()).stdin(Stdio::null());
    Finished::from(command.output().unwrap())
}

/// Every rsync before 3.5.0 waits for ever with more than 1,024 of them.
#[test]
fn rsync_does_not_hang_with_many_descriptors() {
    with_each(|sandbox, version| {
        sandbox.write("file", "content");
        with_descriptors(sandbox, 1300, &[]).assert_code(0).assert_err("").assert_log(version);
        assert_eq!(fs::read_to_string(sandbox.destination.join("file")).unwrap(), "content");
    });
}

/// Prints which descriptors a program finds, among them one that `ls` itself has opened.
const LOOK: &str = "/bin/ls -l /proc/self/fd | sed -n 's/.* \\([0-9]* -> .*\\)/found \\1/p'";

/// What was found by whoever prints this before it: the targets beyond standard input, output and error.
fn found<'a>(finished: &'a Finished, who: &str) -> Vec<&'a str> {
    let start = format!("{who}found ");
    let lines: Vec<_> =
        finished.messages().into_iter().filter_map(|line| line.strip_prefix(start.as_str())).collect();
    assert!(lines.len() >= 3, "{finished}");
    let targets = lines.into_iter().filter_map(|line| line.split_once(" -> "));
    targets.filter(|(number, _)| !["0", "1", "2"].contains(number)).map(|(_, target)| target).collect()
}

#[test]
fn a_child_has_no_descriptors_but_its_own() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let rsync = format!("case \" $* \" in *' --stats '*) {LOOK} >&2 ;; esac\nexec /usr/bin/rsync \"$@\"");
    write_script(&sandbox.host().join("rsync/rsync"), &rsync);
    let script = sandbox.script("pre", LOOK);
    let finished = with_descriptors(&sandbox, 30, &["-p", script.to_str().unwrap()]);
    finished.assert_code(0);
    let is_of_ls = |target: &&str| target.starts_with("/proc/");
    assert!(found(&finished, "pre-clone script: ").iter().all(is_of_ls), "{finished}");
    let of_rsync = found(&finished, "");
    let others: Vec<_> = of_rsync.iter().filter(|target| !is_of_ls(target)).collect();
    assert!(others.len() == 1 && others[0].contains("/host/lock/"), "only the lock: {finished}");
}
