//! Signals that reach Counterpart, and signals that reach rsync.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use crate::support::evidence::Evidence;
use crate::support::faulty::FaultyFuse;
use crate::support::sandbox::{Sandbox, wait_until};
use crate::support::scene::{
    RSYNC, Running, assert_failure, assert_no_rsync, assert_nothing_extra, on_transfer, processes_with,
    quarter_megabytes, rsyncs, slow_down, text, wait_for, wait_for_files,
};

fn slow_sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    quarter_megabytes(&sandbox, 40);
    slow_down(&sandbox, 500);
    sandbox
}

pub fn a_signal_during_the_transfer_ends_it_with_20(evidence: &mut Evidence) {
    for (signal, name) in
        [(Signal::SIGINT, "SIGINT"), (Signal::SIGTERM, "SIGTERM"), (Signal::SIGHUP, "SIGHUP")]
    {
        let sandbox = slow_sandbox();
        evidence.watch(&sandbox);
        let run = Running::start(&sandbox, &[]);
        wait_for_files(&sandbox);
        run.signal(signal);
        let run = run.finish();
        evidence.verify(&sandbox, &run);
        let sentence = format!("The clone was interrupted ({name}).");
        assert_failure(&sandbox, &run, 20, &sentence, &["error", "id"]);
        assert_no_rsync(&sandbox);
        assert_nothing_extra(&sandbox);
        sandbox.rsync("exec /usr/bin/rsync \"$@\"");
        evidence.repair(&sandbox);
    }
}

pub fn a_signal_takes_the_completion_of_an_earlier_run_away_with_it(evidence: &mut Evidence) {
    let sandbox = slow_sandbox();
    sandbox.rsync("exec /usr/bin/rsync \"$@\"");
    sandbox.clone(&[]).assert_code(0);
    sandbox.write("more", &"x".repeat(1 << 20));
    slow_down(&sandbox, 100);
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &[]);
    assert!(wait_until(|| !sandbox.marker("completed").exists() && !rsyncs(&sandbox).is_empty()));
    run.signal(Signal::SIGTERM);
    let run = run.finish();
    evidence.verify(&sandbox, &run);
    assert_failure(&sandbox, &run, 20, "The clone was interrupted (SIGTERM).", &["error", "id", "stats"]);
    assert_nothing_extra(&sandbox);
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}

pub fn a_second_sigint_ends_at_once_whatever_rsync_does(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let began = sandbox.path().join("began");
    on_transfer(
        &sandbox,
        &format!("trap '' INT TERM HUP; : >'{}'; while :; do sleep 0.1; done", text(&began)),
    );
    evidence.watch(&sandbox);
    let mut run = Running::start(&sandbox, &[]);
    wait_for(&began);
    run.signal(Signal::SIGINT);
    std::thread::sleep(Duration::from_millis(700));
    assert!(!run.has_ended(), "rsync goes on, so the run has to");
    let second = Instant::now();
    run.signal(Signal::SIGINT);
    let run = run.finish();
    evidence.verify(&sandbox, &run);
    assert!(second.elapsed() < Duration::from_secs(5), "it took {:?}", second.elapsed());
    run.assert_code(20);
    assert!(!sandbox.marker("completed").exists());
    assert!(wait_until(|| processes_with(&sandbox.destination).is_empty()), "the fake rsync is still there");
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}

pub fn a_second_sigint_ends_at_once_while_a_disk_hangs(evidence: &mut Evidence) {
    let fuse = FaultyFuse::new();
    let mut sandbox = Sandbox::new();
    sandbox.source = fuse.path();
    quarter_megabytes(&sandbox, 3);
    fuse.tell("hang /001\n");
    evidence.watch_at(&fuse.backing(), &sandbox.destination);
    let run = Running::start(&sandbox, &[]);
    wait_for_files(&sandbox);
    std::thread::sleep(Duration::from_millis(300));
    run.signal(Signal::SIGINT);
    std::thread::sleep(Duration::from_millis(300));
    let second = Instant::now();
    run.signal(Signal::SIGINT);
    let run = run.finish();
    evidence.verify_end(&sandbox, &run);
    assert!(second.elapsed() < Duration::from_secs(5), "it took {:?}", second.elapsed());
    assert_eq!(run.code, 20, "{run}");
    assert!(!sandbox.marker("completed").exists());
    fuse.tell("");
    assert_no_rsync(&sandbox);
    evidence.verify_loss(&sandbox);
    evidence.repair(&sandbox);
}

pub fn a_second_sigterm_waits_for_rsync(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let (began, go) = (sandbox.path().join("began"), sandbox.path().join("go"));
    on_transfer(
        &sandbox,
        &format!(
            "trap '' INT TERM HUP; : >'{}'; while [ ! -e '{}' ]; do sleep 0.05; done; exit 20",
            text(&began),
            text(&go)
        ),
    );
    evidence.watch(&sandbox);
    let mut run = Running::start(&sandbox, &[]);
    wait_for(&began);
    run.signal(Signal::SIGTERM);
    run.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(700));
    assert!(!run.has_ended());
    fs::write(go, "").unwrap();
    let run = run.finish();
    evidence.verify(&sandbox, &run);
    on_transfer(&sandbox, "");
    assert_failure(&sandbox, &run, 20, "The clone was interrupted (SIGTERM).", &["error", "id"]);
    evidence.repair(&sandbox);
}

pub fn a_signal_during_the_pre_clone_script_ends_it_and_nothing_is_cloned(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let began = sandbox.path().join("began");
    let script = sandbox.script("pre", &format!(": >'{}'; exec sleep 300", text(&began)));
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &["-p", &text(&script)]);
    wait_for(&began);
    run.signal(Signal::SIGINT);
    let run = run.finish();
    evidence.verify(&sandbox, &run);
    assert_failure(&sandbox, &run, 20, "The clone was interrupted (SIGINT).", &["error"]);
    assert!(sandbox.names().is_empty());
    evidence.repair(&sandbox);
}

pub fn a_signal_during_a_test_run_ends_it_and_nothing_is_lost(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write_destination("precious", "mine");
    let began = sandbox.path().join("began");
    sandbox.rsync(&format!(
        "case \" $* \" in *' --dry-run '*) : >'{}'; exec sleep 300 ;; esac\nexec {RSYNC} \"$@\"",
        text(&began)
    ));
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &["-t"]);
    wait_for(&began);
    run.signal(Signal::SIGTERM);
    let run = run.finish();
    evidence.verify(&sandbox, &run);
    run.assert_code(20).assert_err("counterpart: The clone was interrupted (SIGTERM).\n");
    assert!(sandbox.markers().is_empty());
    assert_eq!(fs::read_to_string(sandbox.destination.join("precious")).unwrap(), "mine");
    sandbox.rsync("exec /usr/bin/rsync \"$@\"");
    assert_eq!(sandbox.clone(&[]).code, 76);
    assert_eq!(sandbox.clone(&[]).code, 76, "an error alone does not make a destination ours");
    evidence.mend_with(&sandbox, &["--adopt"]);
}

pub fn a_signal_during_the_post_clone_script_ends_it(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let began = sandbox.path().join("began");
    let script = sandbox.script("post", &format!(": >'{}'; exec sleep 300", text(&began)));
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &["-o", &text(&script)]);
    wait_for(&began);
    assert!(sandbox.marker("completed").exists(), "the clone is complete before the script runs");
    run.signal(Signal::SIGHUP);
    let sentence = "The clone was interrupted (SIGHUP).";
    let run = run.finish();
    evidence.verify(&sandbox, &run);
    assert_failure(&sandbox, &run, 20, sentence, &["error", "id", "stats"]);
    assert_clone_but_for_the_roots_time(&sandbox);
    evidence.repair(&sandbox);
}

/// nohup has SIGHUP ignored, and an administrator who logs out then does not mean the clone.
pub fn a_signal_that_the_caller_had_ignored_does_not_end_the_run(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let began = sandbox.path().join("began");
    let script = sandbox.script("pre", &format!(": >'{}'; exec sleep 1", text(&began)));
    let mut command = std::process::Command::new("/usr/bin/env");
    let product = sandbox.command(sandbox.arguments(["-p", &text(&script)]));
    command.arg("--ignore-signal=HUP").args(product.get_args().skip(1));
    command.env("COUNTERPART_FAKE_HOST", sandbox.host()).stdin(std::process::Stdio::null());
    evidence.watch(&sandbox);
    let run =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_for(&began);
    let process = nix::unistd::Pid::from_raw(i32::try_from(run.id()).unwrap());
    nix::sys::signal::kill(process, Signal::SIGHUP).unwrap();
    let run = crate::support::sandbox::Finished::from(run.wait_with_output().unwrap());
    run.assert_code(0);
    evidence.verify(&sandbox, &run);
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
}

/// Markers written after the end of a clone may change the time of the destination's root.
fn assert_clone_but_for_the_roots_time(sandbox: &Sandbox) {
    let options =
        crate::support::audit::Options { root_mtime: false, ..crate::support::audit::Options::default() };
    crate::support::audit::assert_same(&sandbox.source, &sandbox.destination, &options);
}

pub fn an_rsync_that_is_killed_is_128_and_the_signal(evidence: &mut Evidence) {
    for (signal, code, number) in [(Signal::SIGKILL, 137, 9), (Signal::SIGSEGV, 139, 11)] {
        let sandbox = slow_sandbox();
        evidence.watch(&sandbox);
        let run = Running::start(&sandbox, &[]);
        wait_for_files(&sandbox);
        kill(main_rsync(&sandbox, &run), signal).unwrap();
        let sentence = format!("rsync was killed by signal {number}.");
        let run = run.finish();
        assert_failure(&sandbox, &run, code, &sentence, &["error", "id"]);
        assert_no_rsync(&sandbox);
        evidence.verify(&sandbox, &run);
        sandbox.rsync("exec /usr/bin/rsync \"$@\"");
        evidence.repair(&sandbox);
    }
}

/// The rsync that the run itself has started.
fn main_rsync(sandbox: &Sandbox, run: &Running) -> nix::unistd::Pid {
    child_of(sandbox, run.id())
}

/// The rsync that a process has started.
fn child_of(sandbox: &Sandbox, process: nix::unistd::Pid) -> nix::unistd::Pid {
    let parent = format!("PPid:\t{process}\n");
    let is_child = |id: &nix::unistd::Pid| {
        fs::read_to_string(format!("/proc/{id}/status")).is_ok_and(|status| status.contains(&parent))
    };
    rsyncs(sandbox).into_iter().find(is_child).expect("there is no rsync")
}

/// Sends each signal to the rsync of this generation, which the run itself begins.
fn signal_generation(evidence: &mut Evidence, generation: usize) {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGKILL] {
        let sandbox = slow_sandbox();
        evidence.watch(&sandbox);
        let run = Running::start(&sandbox, &[]);
        wait_for_files(&sandbox);
        let process = (0..generation).fold(run.id(), |parent, _| child_of(&sandbox, parent));
        kill(process, signal).unwrap();
        let run = run.finish();
        assert_no_rsync(&sandbox);
        evidence.verify(&sandbox, &run);
        on_transfer(&sandbox, "");
        evidence.repair(&sandbox);
    }
}

pub fn a_signal_to_rsync_is_no_success(evidence: &mut Evidence) {
    signal_generation(evidence, 1);
}

pub fn a_signal_to_rsyncs_child_is_no_success(evidence: &mut Evidence) {
    signal_generation(evidence, 2);
}

pub fn a_signal_to_rsyncs_grandchild_is_no_success(evidence: &mut Evidence) {
    signal_generation(evidence, 3);
}

pub fn an_rsync_whose_child_is_killed_hands_its_code_on(evidence: &mut Evidence) {
    let sandbox = slow_sandbox();
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &[]);
    wait_for_files(&sandbox);
    let main = main_rsync(&sandbox, &run);
    // The last one is the receiver, which writes.
    let children: Vec<_> = rsyncs(&sandbox).into_iter().filter(|id| *id != main).collect();
    kill(*children.last().expect("rsync has no children"), Signal::SIGKILL).unwrap();
    let run = run.finish();
    assert!([10, 12, 14, 15, 16].contains(&run.code), "{run}");
    run.assert_code(run.code).assert_log(&format!(": rsync ended with code {}: ", run.code));
    assert!(!sandbox.marker("completed").exists());
    assert!(sandbox.read_marker("error").starts_with(&format!("rsync ended with code {}: ", run.code)));
    assert_no_rsync(&sandbox);
    evidence.verify(&sandbox, &run);
    sandbox.rsync("exec /usr/bin/rsync \"$@\"");
    evidence.repair(&sandbox);
}

pub fn of_several_signals_the_first_one_is_told(evidence: &mut Evidence) {
    let sandbox = slow_sandbox();
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &[]);
    wait_for_files(&sandbox);
    run.signal(Signal::SIGHUP);
    // Signals that are pending at the same time have no order.
    std::thread::sleep(Duration::from_millis(200));
    run.signal(Signal::SIGHUP);
    run.signal(Signal::SIGTERM);
    let run = run.finish();
    evidence.verify(&sandbox, &run);
    assert_failure(&sandbox, &run, 20, "The clone was interrupted (SIGHUP).", &["error", "id"]);
    // The second one may find rsync tidying up: what it leaves then is the next run's to remove.
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}

/// Sends a signal by its number: those of real time have no name.
fn send(run: &Running, number: i32) {
    let kill = format!("kill -{number} {}", run.id());
    assert!(std::process::Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
}

/// Whatever would end the process without a word ends the run as SIGTERM does.
pub fn any_other_signal_that_ends_is_128_and_the_signal(evidence: &mut Evidence) {
    use nix::libc::{SIGALRM, SIGPROF, SIGQUIT, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU};
    let named = [
        (SIGALRM, "SIGALRM"),
        (SIGPROF, "SIGPROF"),
        (SIGQUIT, "SIGQUIT"),
        (SIGUSR1, "SIGUSR1"),
        (SIGUSR2, "SIGUSR2"),
        (SIGVTALRM, "SIGVTALRM"),
        (SIGXCPU, "SIGXCPU"),
        (40, "signal 40"),
    ];
    for (number, name) in named {
        let sandbox = slow_sandbox();
        evidence.watch(&sandbox);
        let run = Running::start(&sandbox, &[]);
        wait_for_files(&sandbox);
        send(&run, number);
        let run = run.finish();
        evidence.verify(&sandbox, &run);
        let sentence = format!("The clone was interrupted ({name}).");
        assert_failure(&sandbox, &run, 128 + number, &sentence, &["error", "id"]);
        assert_no_rsync(&sandbox);
        assert_nothing_extra(&sandbox);
        on_transfer(&sandbox, "");
        evidence.repair(&sandbox);
    }
}

/// The log's last line is written all the same.
pub fn an_abort_has_a_last_line(evidence: &mut Evidence) {
    for signal in [Signal::SIGABRT, Signal::SIGFPE] {
        let sandbox = slow_sandbox();
        evidence.watch(&sandbox);
        let run = Running::start(&sandbox, &[]);
        wait_for_files(&sandbox);
        run.signal(signal);
        let run = run.finish();
        evidence.verify(&sandbox, &run);
        run.assert_code(128 + signal as i32).assert_log(
            ": Error: Counterpart was aborted: it ran out of memory or has a bug; see standard error.\n",
        );
        let log = fs::read_to_string(sandbox.logs().pop().unwrap()).unwrap();
        assert!(run.out.ends_with(log.lines().last().unwrap().trim_end()) || run.out == log, "{log}\n{run}");
        assert_no_rsync(&sandbox);
        on_transfer(&sandbox, "");
        evidence.repair(&sandbox);
    }
}

/// A clone whose process may write no file of more than so many bytes.
fn limited(sandbox: &Sandbox, bytes: u32) -> crate::support::sandbox::Finished {
    let mut command = std::process::Command::new("/usr/bin/prlimit");
    let product = sandbox.command(sandbox.arguments([] as [&str; 0]));
    command.arg(format!("--fsize={bytes}")).arg("/usr/bin/env").args(product.get_args());
    command.env("COUNTERPART_FAKE_HOST", sandbox.host()).stdin(std::process::Stdio::null());
    crate::support::sandbox::Finished::from(command.output().unwrap())
}

/// SIGXFSZ would end it without a word.
pub fn a_limit_of_file_sizes_is_an_error_like_a_full_disk(evidence: &mut Evidence) {
    // First the log is too long, then the record, then each mark as well.
    for (bytes, codes) in [(600, [0, 0]), (20, [66, 72])] {
        let sandbox = Sandbox::new();
        sandbox.write("file", "content");
        evidence.watch(&sandbox);
        let run = limited(&sandbox, bytes);
        assert!(codes.contains(&run.code), "{run}");
        evidence.verify(&sandbox, &run);
        assert!(
            run.err.contains(" cannot be written any more: File too large. The run continues.\n"),
            "{run}"
        );
        evidence.repair(&sandbox);
    }
}

/// The reader of standard output is gone.
pub fn a_broken_pipe_does_not_end_the_run(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    quarter_megabytes(&sandbox, 4);
    slow_down(&sandbox, 500);
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &[]);
    wait_for_files(&sandbox);
    run.signal(Signal::SIGPIPE);
    run.signal(Signal::SIGXFSZ);
    let run = run.finish();
    evidence.verify(&sandbox, &run);
    on_transfer(&sandbox, "");
    evidence.repair(&sandbox);
}

/// Memory is refused at ever later moments: whatever the run was doing, its end is one of the table, and the log has a last
/// line.
pub fn a_run_that_gets_no_memory_has_a_documented_end(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    for number in 0..2000 {
        let file = sandbox.source.join(format!("file {number}"));
        fs::write(&file, "x").unwrap();
        fs::hard_link(&file, sandbox.source.join(format!("link {number}"))).unwrap();
    }
    let limited = |kibibytes: u64| {
        let mut command = std::process::Command::new("/usr/bin/timeout");
        let product = sandbox.command(sandbox.arguments([] as [&str; 0]));
        command.args(["-k", "5", "600", "/usr/bin/prlimit"]);
        command.arg(format!("--as={}", kibibytes << 10)).arg("/usr/bin/env").args(product.get_args());
        command.env("COUNTERPART_FAKE_HOST", sandbox.host()).stdin(std::process::Stdio::null());
        // Printing one takes memory, and a lock that a failed allocation in the middle of it would wait for.
        command.env("RUST_BACKTRACE", "1");
        crate::support::sandbox::Finished::from(command.output().unwrap())
    };
    // Where the program begins to run at all depends on the machine.
    let mut runs = 0;
    for kibibytes in (16 << 10..64 << 10).step_by(400) {
        // The rsync of a run that was aborted holds the lock until it has noticed.
        assert_no_rsync(&sandbox);
        evidence.watch(&sandbox);
        let run = limited(kibibytes);
        if run.out.is_empty() {
            assert_ne!(run.code, 0, "{run}");
            evidence.forget();
            continue;
        }
        evidence.verify(&sandbox, &run);
        assert!(!run.err.contains("stack backtrace:"), "{run}");
        runs += 1;
        if runs == 20 {
            break;
        }
    }
    assert_eq!(runs, 20);
    evidence.repair(&sandbox);
}
