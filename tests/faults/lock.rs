//! Only one Counterpart at a time writes to a destination, whatever path leads there.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use crate::support::disk::BindMount;
use crate::support::evidence::Evidence;
use crate::support::sandbox::{Finished, Sandbox, wait_until};
use crate::support::scene::{Running, assert_clone, assert_failure, text, wait_for};
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

/// A sandbox whose pre-clone script waits, with the options that name the script.
fn waiting() -> (Sandbox, Vec<String>) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let script = sandbox.script(
        "pre",
        &format!(
            "echo one >>'{0}/began'; while [ ! -e '{0}/go' ]; do sleep 0.05; done",
            text(sandbox.path())
        ),
    );
    let options = vec!["-p".to_owned(), text(&script)];
    (sandbox, options)
}

fn strs(options: &[String]) -> Vec<&str> {
    options.iter().map(String::as_str).collect()
}

fn let_go(sandbox: &Sandbox) {
    fs::write(sandbox.path().join("go"), "").unwrap();
}

#[track_caller]
fn assert_locked(run: &Finished, destination: &str) {
    run.assert_code(80).assert_err(&format!(
        "counterpart: Another Counterpart is cloning to {destination}. Wait for it to finish.\n"
    ));
}

pub fn the_second_of_two_is_80_and_writes_nothing(evidence: &mut Evidence) {
    let (sandbox, options) = waiting();
    let first = Running::start(&sandbox, &strs(&options));
    wait_for(&sandbox.path().join("began"));
    let before = snapshot_with_ctime(&sandbox.destination);
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    assert_locked(&run, &text(&sandbox.destination));
    evidence.verify(&sandbox, &run);
    // The same directory by way of a bind mount.
    let other = BindMount::new(&sandbox.destination);
    let other_path = text(other.path());
    let run = sandbox.run(["-s", &text(&sandbox.source), "-d", &other_path]);
    assert_locked(&run, &other_path);
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
    let_go(&sandbox);
    first.finish().assert_code(0).assert_err("");
    drop(other);
    assert_clone(&sandbox);
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    assert_eq!(fs::read_to_string(sandbox.path().join("began")).unwrap(), "one\n");
    evidence.repair(&sandbox);
}

pub fn of_ten_at_once_exactly_one_runs(evidence: &mut Evidence) {
    let (sandbox, options) = waiting();
    evidence.watch(&sandbox);
    let mut runs: Vec<Running> = (0..10).map(|_| Running::start(&sandbox, &strs(&options))).collect();
    let ended =
        |runs: &mut Vec<Running>| runs.iter_mut().filter_map(|run| run.has_ended().then_some(())).count();
    assert!(wait_until(|| ended(&mut runs) == 9), "nine have to give up");
    wait_for(&sandbox.path().join("began"));
    let first = runs.iter_mut().position(|run| !run.has_ended()).expect("nobody runs");
    let first = runs.swap_remove(first);
    for run in runs.into_iter().map(Running::finish) {
        assert_locked(&run, &text(&sandbox.destination));
        evidence.verify_end(&sandbox, &run);
    }
    evidence.verify_loss(&sandbox);
    let_go(&sandbox);
    first.finish().assert_code(0).assert_err("");
    assert_eq!(fs::read_to_string(sandbox.path().join("began")).unwrap(), "one\n");
    assert_eq!(sandbox.logs().len(), 10, "each has a log of its own");
    assert_clone(&sandbox);
    evidence.repair(&sandbox);
}

pub fn a_test_run_needs_no_lock(evidence: &mut Evidence) {
    let (sandbox, options) = waiting();
    let first = Running::start(&sandbox, &strs(&options));
    wait_for(&sandbox.path().join("began"));
    evidence.watch(&sandbox);
    let run = sandbox.clone(&["-t"]);
    run.assert_code(70).assert_log(": Would create file\n");
    evidence.verify(&sandbox, &run);
    let_go(&sandbox);
    first.finish().assert_code(0);
    evidence.repair(&sandbox);
}

pub fn two_destinations_do_not_wait_for_each_other(evidence: &mut Evidence) {
    let (sandbox, options) = waiting();
    evidence.watch(&sandbox);
    let first = Running::start(&sandbox, &strs(&options));
    wait_for(&sandbox.path().join("began"));
    let other = sandbox.path().join("other");
    fs::create_dir(&other).unwrap();
    sandbox.run(["-s", &text(&sandbox.source), "-d", &text(&other)]).assert_code(0);
    let_go(&sandbox);
    let first = first.finish();
    first.assert_code(0);
    evidence.verify(&sandbox, &first);
}

pub fn a_lock_directory_of_somebody_else_is_refused(evidence: &mut Evidence) {
    type Plant = fn(&Sandbox);
    let plants: [(&str, Plant); 4] = [
        ("the lock directory is owned by another user", |sandbox| {
            fs::create_dir(sandbox.host().join("lock")).unwrap();
            chown(sandbox.host().join("lock"), Some(54321), Some(54321)).unwrap();
        }),
        ("the lock directory is owned by another user", |sandbox| {
            fs::create_dir(sandbox.host().join("lock")).unwrap();
            fs::set_permissions(sandbox.host().join("lock"), fs::Permissions::from_mode(0o777)).unwrap();
        }),
        ("Not a directory", |sandbox| {
            fs::create_dir(sandbox.path().join("elsewhere")).unwrap();
            symlink(sandbox.path().join("elsewhere"), sandbox.host().join("lock")).unwrap();
        }),
        ("Not a directory", |sandbox| fs::write(sandbox.host().join("lock"), "").unwrap()),
    ];
    for (why, plant) in plants {
        let sandbox = Sandbox::new();
        sandbox.write("file", "content");
        plant(&sandbox);
        evidence.watch(&sandbox);
        let run = sandbox.clone(&[]);
        evidence.verify(&sandbox, &run);
        let lock = text(&sandbox.host().join("lock"));
        run.assert_code(1);
        run.assert_err(&format!("counterpart: Internal error: the lock in {lock} cannot be taken: {why}.\n"));
        if let Ok(mut elsewhere) = fs::read_dir(sandbox.path().join("elsewhere")) {
            assert!(elsewhere.next().is_none(), "the link was followed");
        }
    }
}

pub fn a_lock_file_that_is_a_link_is_refused(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    let lock = fs::read_dir(sandbox.host().join("lock")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(&lock).unwrap();
    let victim = sandbox.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    symlink(&victim, &lock).unwrap();
    evidence.watch(&sandbox);
    let run = sandbox.clone(&[]);
    evidence.verify(&sandbox, &run);
    run.assert_code(1);
    assert!(run.err.contains("cannot be taken"), "{run}");
    assert_eq!(fs::read_to_string(victim).unwrap(), "mine");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    fs::remove_file(lock).unwrap();
    evidence.repair(&sandbox);
}

pub fn an_rsync_that_outlives_the_run_keeps_the_lock(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let (began, go) = (sandbox.path().join("began"), sandbox.path().join("go"));
    crate::support::scene::on_transfer(
        &sandbox,
        &format!(
            "trap '' TERM; : >'{}'; while [ ! -e '{}' ]; do sleep 0.05; done; exit 0",
            text(&began),
            text(&go)
        ),
    );
    let run = Running::start(&sandbox, &[]);
    wait_for(&began);
    run.signal(nix::sys::signal::Signal::SIGKILL);
    assert_eq!(run.finish().code, -1);
    evidence.watch(&sandbox);
    let refused = sandbox.clone(&[]);
    evidence.verify(&sandbox, &refused);
    assert_failure(
        &sandbox,
        &refused,
        80,
        &format!("Another Counterpart is cloning to {}. Wait for it to finish.", text(&sandbox.destination)),
        &["id"]
            .into_iter()
            .chain(sandbox.markers().iter().map(String::as_str).filter(|marker| marker.contains(".tmp-")))
            .rev()
            .collect::<Vec<_>>(),
    );
    let_go(&sandbox);
    sandbox.rsync("exec /usr/bin/rsync \"$@\"");
    evidence.repair(&sandbox);
}
