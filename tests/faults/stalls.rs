//! An rsync that stops doing anything, and a disk that does not answer.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::evidence::Evidence;
use crate::support::faulty::FaultyFuse;
use crate::support::sandbox::{Finished, Sandbox, names_of, wait_until};
use crate::support::scene::{
    RSYNC, Running, assert_no_rsync, on_transfer, processes_with, quarter_megabytes, slow_down,
    wait_for_files,
};
use crate::support::tree::noise;

/// What is said of a limit of two seconds, up to where rsync was.
const STALLED: &str = "The clone stalled: nothing moved for 2s (no output, no data, no processor time)";

/// What follows.
const CHECK: &str = ". Check both disks; --stall-timeout sets the limit.";

const LIMIT: [&str; 2] = ["--stall-timeout", "2s"];

#[track_caller]
fn assert_stalled(run: &Finished, markers: &[&str], sandbox: &Sandbox) {
    run.assert_code(30);
    let sentence = run.err.strip_prefix("counterpart: ").unwrap().trim_end();
    assert!(sentence.starts_with(STALLED) && sentence.ends_with(CHECK), "{run}");
    run.assert_log(&format!(": Error: {sentence}\n"));
    assert_eq!(sandbox.markers(), markers, "{run}");
    // What everybody may read names no file.
    let told = sandbox.read_marker("error");
    let is_whole = told.starts_with(STALLED) && told.trim_end().ends_with(CHECK);
    assert!(is_whole && !told.contains(" was at "), "{told}");
}

pub fn an_rsync_that_does_nothing_is_given_up_with_30(evidence: &mut Evidence) {
    for body in ["exec sleep 300", "exec >&- 2>&-; sleep 300", "trap '' TERM INT; sleep 300 & wait"] {
        let sandbox = Sandbox::new();
        sandbox.write("file", "content");
        on_transfer(&sandbox, body);
        evidence.watch(&sandbox);
        let began = Instant::now();
        let run = sandbox.clone(&LIMIT);
        evidence.verify(&sandbox, &run);
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
        assert_stalled(&run, &["error", "id"], &sandbox);
        assert!(processes_with(&sandbox.destination).is_empty(), "it is still there");
        on_transfer(&sandbox, "");
        evidence.repair(&sandbox);
    }
}

pub fn a_list_that_never_ends_is_given_up_with_30(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write_destination("precious", "mine");
    sandbox.rsync(&format!("case \" $* \" in *' --dry-run '*) exec sleep 300 ;; esac\nexec {RSYNC} \"$@\""));
    evidence.watch(&sandbox);
    let run = sandbox.clone(&["--test-run", "--stall-timeout", "2s"]);
    evidence.verify(&sandbox, &run);
    run.assert_code(30);
    assert!(run.err.contains(STALLED) && sandbox.markers().is_empty(), "{run}");
    sandbox.rsync(&format!("exec {RSYNC} \"$@\""));
    evidence.mend_with(&sandbox, &["--adopt"]);
}

/// Slow is not dead: it takes more than twice the limit.
pub fn a_slow_transfer_is_not_given_up(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    quarter_megabytes(&sandbox, 2);
    slow_down(&sandbox, 100);
    evidence.watch(&sandbox);
    let began = Instant::now();
    let run = sandbox.clone(&LIMIT);
    evidence.verify(&sandbox, &run);
    assert!(began.elapsed() > Duration::from_secs(4), "{:?}", began.elapsed());
    evidence.repair(&sandbox);
}

pub fn another_attempt_follows_a_stall(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let once = sandbox.path().join("once");
    on_transfer(
        &sandbox,
        &format!("[ -e '{0}' ] || {{ : >'{0}'; exec sleep 300; }}; exec {RSYNC} \"$@\"", once.display()),
    );
    evidence.watch(&sandbox);
    let run = sandbox.clone(&["--stall-timeout", "2s", "--retries", "1", "--retry-wait", "1ms"]);
    evidence.verify(&sandbox, &run);
    run.assert_log("Attempt 1 of 2: time-out in sending or receiving data. The next begins in 1ms.");
    evidence.repair(&sandbox);
}

/// The process that serves a filesystem, stopped.
struct Stopped(Vec<Pid>);

impl Stopped {
    fn stop(fuse: &FaultyFuse) -> Self {
        let servers = processes_with(&fuse.path());
        let is_python = |id: &Pid| {
            fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.starts_with("python"))
        };
        let servers: Vec<Pid> = servers.into_iter().filter(is_python).collect();
        assert!(!servers.is_empty(), "there is no server");
        for server in &servers {
            kill(*server, Signal::SIGSTOP).unwrap();
        }
        Self(servers)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for server in &self.0 {
            kill(*server, Signal::SIGCONT).unwrap();
        }
    }
}

pub fn a_source_that_stops_answering_is_30(evidence: &mut Evidence) {
    let fuse = FaultyFuse::new();
    let mut sandbox = Sandbox::new();
    sandbox.source = fuse.path();
    quarter_megabytes(&sandbox, 20);
    slow_down(&sandbox, 500);
    evidence.watch_at(&fuse.backing(), &sandbox.destination);
    let run = Running::start(&sandbox, &["--stall-timeout", "2s", "--retries", "3"]);
    wait_for_files(&sandbox);
    let stopped = Stopped::stop(&fuse);
    let run = run.finish();
    evidence.verify_end(&sandbox, &run);
    assert_stalled(&run, &["error", "id"], &sandbox);
    run.assert_log("; rsync was at ").assert_log("; rsync cannot be killed and is left running.");
    run.assert_no_log("Attempt 2");
    drop(stopped);
    assert_no_rsync(&sandbox);
    evidence.verify_loss(&sandbox);
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}

pub fn a_destination_that_stops_answering_is_30_and_not_waited_for(evidence: &mut Evidence) {
    let fuse = FaultyFuse::new();
    let mut sandbox = Sandbox::new();
    sandbox.destination = fuse.path();
    fuse.tell("owners *\n");
    quarter_megabytes(&sandbox, 20);
    // What this filesystem cannot hold makes no difference here.
    sandbox.rsync(&format!(
        "case \" $* \" in *' --stats '*) set -- --bwlimit=500 \"$@\" ;; esac\nexec {RSYNC} --no-acls --no-xattrs \"$@\""
    ));
    evidence.watch_at(&sandbox.source, &fuse.backing());
    let run = Running::start(&sandbox, &["--stall-timeout", "2s", "--allow-folder"]);
    wait_for_files(&sandbox);
    let stopped = Stopped::stop(&fuse);
    let run = run.finish();
    drop(stopped);
    evidence.verify_end(&sandbox, &run);
    run.assert_code(30).assert_log("Warning: the destination does not answer, so nothing is written there.");
    assert_no_rsync(&sandbox);
    evidence.verify_loss(&sandbox);
}

/// Exchanges two names in one step.
fn exchange(one: &Path, other: &Path) {
    renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE).unwrap();
}

/// rsync with its incremental recursion waits for ever when a file of several names cannot be opened: here, because its
/// directory has become a link.
pub fn an_exchange_that_makes_rsync_hang_is_given_up_with_30(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    fs::write(sandbox.source.join("a slow file"), noise(1, 1 << 20)).unwrap();
    sandbox.write("directory/b", "old");
    sandbox.write("other/x", "x");
    fs::hard_link(sandbox.source.join("directory/b"), sandbox.source.join("other/c")).unwrap();
    let outside = sandbox.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("b"), "secret").unwrap();
    symlink("../outside", sandbox.source.join("trap")).unwrap();
    sandbox.clone(&[]).assert_code(0);
    fs::write(sandbox.source.join("directory/b"), "new contents").unwrap();
    fs::write(sandbox.source.join("a slow file"), noise(2, 1 << 20)).unwrap();
    let (_, rsync) = crate::support::other_rsyncs::fetched().pop().unwrap();
    on_transfer(
        &sandbox,
        &format!(
            "for x; do shift; case $x in --no-inc-recursive) x=--inc-recursive ;; esac; set -- \"$@\" \"$x\"; done\n\
             exec '{}' --bwlimit=512 --whole-file \"$@\"",
            rsync.display()
        ),
    );
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &LIMIT);
    let begins = |name: &std::ffi::OsString| name.to_string_lossy().starts_with(".a slow file.");
    assert!(wait_until(|| names_of(&sandbox.destination).iter().any(begins)), "nothing arrives");
    exchange(&sandbox.source.join("directory"), &sandbox.source.join("trap"));
    let run = run.finish();
    evidence.verify_end(&sandbox, &run);
    assert_stalled(&run, &["error", "id", "stats"], &sandbox);
    exchange(&sandbox.source.join("directory"), &sandbox.source.join("trap"));
    evidence.verify_loss(&sandbox);
    assert_ne!(fs::read_to_string(sandbox.destination.join("directory/b")).unwrap(), "secret");
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}
