//! The machine does not sleep during a clone; where sleep cannot be prevented, the clone is made all the same.

use std::fs;
use std::path::Path;

use crate::support::sandbox::{Finished, Sandbox, wait_until};

const HELD: &str = "Sleep is inhibited until the clone finishes.";

fn ready(sandbox: Sandbox) -> Sandbox {
    sandbox.write("file", "content");
    sandbox
}

/// A tool that tells what it was called with and then runs the program behind its options, as the real ones do.
fn holder(sandbox: &Sandbox, name: &str) {
    let told = sandbox.path().join("told");
    sandbox.tool(
        name,
        &format!(
            "echo \"$*\" >'{told}'\n\
             while case $1 in -*) true ;; *) false ;; esac; do shift; done\n\
             echo $$ >'{pid}'\n\
             \"$@\"",
            told = told.display(),
            pid = sandbox.path().join("pid").display()
        ),
    );
}

fn told(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.path().join("told")).unwrap_or_default()
}

fn is_running(sandbox: &Sandbox) -> bool {
    let pid = fs::read_to_string(sandbox.path().join("pid")).unwrap();
    Path::new("/proc").join(pid.trim()).exists()
}

#[test]
fn linux_is_asked_through_logind() {
    let sandbox = ready(Sandbox::new());
    holder(&sandbox, "systemd-inhibit");
    let alive = sandbox.path().join("alive");
    let script = sandbox.script(
        "pre",
        &format!("kill -0 $(cat '{}') && touch '{}'", sandbox.path().join("pid").display(), alive.display()),
    );
    let finished = sandbox.clone(&["-p", script.to_str().unwrap()]);
    finished.assert_code(0).assert_err("").assert_log(HELD).assert_no_warning();
    assert_eq!(
        told(&sandbox),
        "--what=sleep:idle --who=Counterpart --why=A clone is being made --mode=block /bin/cat\n"
    );
    assert!(alive.exists(), "it was not held while the script ran: {finished}");
    assert!(!is_running(&sandbox), "it is held after the clone");
}

#[test]
fn a_mac_is_asked_through_caffeinate() {
    let sandbox = ready(Sandbox::mac("10.15.7"));
    holder(&sandbox, "caffeinate");
    sandbox.clone(&[]).assert_code(0).assert_err("").assert_log(HELD);
    assert_eq!(told(&sandbox), "-i -m -s /bin/cat\n");
    assert!(!is_running(&sandbox));
}

#[test]
fn a_test_run_needs_no_watch() {
    let sandbox = ready(Sandbox::new());
    holder(&sandbox, "systemd-inhibit");
    sandbox.clone(&["-t"]).assert_code(70).assert_no_log("Sleep is ");
    assert_eq!(told(&sandbox), "");
}

#[track_caller]
fn goes_on_without(finished: &Finished, why: &str) {
    finished.assert_code(0).assert_err("").assert_no_warning();
    finished.assert_log(&format!("Sleep is not inhibited: {why}.\n"));
    assert_eq!(finished.out.matches("Sleep is ").count(), 1, "{finished}");
}

#[test]
fn without_the_tool_or_against_its_will_the_clone_is_made() {
    let sandbox = ready(Sandbox::new());
    let tool = sandbox.host().join("tools/systemd-inhibit");
    let tool = tool.display();
    goes_on_without(&sandbox.clone(&[]), &format!("{tool} could not be run: No such file or directory"));
    sandbox.tool("systemd-inhibit", "echo 'Failed to connect to bus: No such file' >&2; exit 1");
    let why = format!("{tool} says: Failed to connect to bus: No such file");
    goes_on_without(&sandbox.clone(&[]), &why);
    sandbox.tool("systemd-inhibit", "exit 1");
    goes_on_without(&sandbox.clone(&[]), &format!("{tool} ended at once"));
    sandbox.tool("systemd-inhibit", "exec sleep 1000");
    goes_on_without(&sandbox.clone(&[]), &format!("{tool} did not answer within 10 seconds"));
}

#[test]
fn it_ends_with_a_counterpart_that_is_killed() {
    let sandbox = ready(Sandbox::new());
    holder(&sandbox, "systemd-inhibit");
    let going = sandbox.path().join("going");
    let script = sandbox.script("pre", &format!("touch '{}'; exec sleep 1000", going.display()));
    let mut run = sandbox.start(&["-p", script.to_str().unwrap()]);
    assert!(wait_until(|| going.exists()));
    assert!(is_running(&sandbox));
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(wait_until(|| !is_running(&sandbox)));
}
