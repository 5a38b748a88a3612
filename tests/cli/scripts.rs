//! The pre- and post-clone scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::fakes;
use crate::support::sandbox::{Finished, STEM, Sandbox};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox
}

/// Clones with a pre-clone script of this text.
fn with_pre(sandbox: &Sandbox, body: &str) -> Finished {
    let script = sandbox.script("pre", body);
    sandbox.clone(&["-p", script.to_str().unwrap()])
}

/// Both options refuse this file, each with its code, before anything runs.
#[track_caller]
fn not_executable(sandbox: &Sandbox, path: &Path, why: &str) {
    let ran = sandbox.path().join("ran");
    let good = sandbox.script("good", &format!("touch '{}'", ran.display()));
    sandbox.write_destination("old", "x");
    sandbox.write_destination(format!("{STEM}id"), "x\n");
    let (path, good) = (path.to_str().unwrap(), good.to_str().unwrap());
    for (arguments, code, which) in
        [(["-p", path, "-o", good], 68, "pre-clone"), (["-p", good, "-o", path], 69, "post-clone")]
    {
        fs::write(sandbox.marker("completed"), "").unwrap();
        let finished = sandbox.clone(&arguments);
        let sentence = format!("The {which} script {path} cannot be executed: {why}.\n");
        finished.assert_code(code).assert_err(&format!("counterpart: {sentence}"));
        assert_eq!(sandbox.markers(), ["completed", "id"], "the clone is as good as it was");
        assert_eq!(sandbox.names(), ["old"], "nothing was cloned");
        assert!(!ran.exists(), "no script ran");
    }
}

fn executable(sandbox: &Sandbox, content: &str) -> std::path::PathBuf {
    let path = sandbox.path().join("script");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_script_that_cannot_run_is_found_out_before_anything_else() {
    let sandbox = sandbox();
    let dir = sandbox.path().join("directory");
    fs::create_dir(&dir).unwrap();
    not_executable(&sandbox, &dir, "it is not a file");
    not_executable(&sandbox, &sandbox.path().join("missing"), "No such file or directory");
    let plain = sandbox.path().join("plain");
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    not_executable(&sandbox, &plain, "it has no execute permission; chmod +x it");
    let no_line = "it is not a program and does not begin with a #! line";
    not_executable(&sandbox, &executable(&sandbox, "echo\n"), no_line);
    not_executable(&sandbox, &executable(&sandbox, ""), no_line);
    not_executable(&sandbox, &executable(&sandbox, " #!/bin/sh\n"), no_line);
}

#[test]
fn a_missing_interpreter_is_found_out_as_well() {
    let sandbox = sandbox();
    let cannot = |interpreter: &str| format!("its interpreter {interpreter} cannot be executed");
    not_executable(&sandbox, &executable(&sandbox, "#!/nonexistent/sh -e\n"), &cannot("/nonexistent/sh"));
    not_executable(&sandbox, &executable(&sandbox, "#!/bin\n"), &cannot("/bin"));
    not_executable(&sandbox, &executable(&sandbox, "#!\n"), &cannot(""));
    not_executable(&sandbox, &executable(&sandbox, "#!/bin/sh\r\necho\r\n"), &cannot("/bin/sh\\#015"));
}

#[test]
fn interpreters_with_arguments_and_programs_will_do() {
    let sandbox = sandbox();
    for content in [
        "#!/bin/sh -e\necho ran\n",
        "#! \t/bin/sh\necho ran\n",
        "#!/usr/bin/env sh\necho ran\n",
        "#!/bin/sh\necho ran",
    ] {
        let script = executable(&sandbox, content);
        sandbox.clone(&["-p", script.to_str().unwrap()]).assert_code(0).assert_log("pre-clone script: ran\n");
    }
    sandbox.clone(&["-p", "/bin/true", "-o", "/bin/true"]).assert_code(0).assert_err("");
}

#[test]
fn the_order_is_pre_script_rsync_post_script() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let ledger = sandbox.path().join("ledger");
    let entry = |what: &str| format!("echo {what} >>'{}'", ledger.display());
    fakes::rsync(&sandbox, &format!("{}; statistics", entry("rsync")));
    let pre = sandbox.script("pre", &entry("pre"));
    let markers = format!("ls -A '{}' >>'{}'; ", sandbox.destination.display(), ledger.display());
    let post = sandbox.script("post", &(markers + &entry("post")));
    let finished = sandbox.clone(&["-o", post.to_str().unwrap(), "-p", pre.to_str().unwrap()]);
    finished.assert_code(0).assert_err("");
    let expected = format!("pre\nrsync\n{STEM}completed\n{STEM}id\n{STEM}stats\npost\n");
    assert_eq!(fs::read_to_string(&ledger).unwrap(), expected);
    let at = |text: &str| finished.out.find(text).unwrap_or_else(|| panic!("{text}: {finished}"));
    let order = [
        at("Running the pre-clone script "),
        at("The pre-clone script ended with exit code 0."),
        at("Cloning."),
        at("The clone is complete."),
        at("Running the post-clone script "),
        at("The post-clone script ended with exit code 0."),
    ];
    assert!(order.is_sorted(), "{finished}");
}

#[test]
fn what_the_pre_script_makes_is_cloned() {
    let sandbox = sandbox();
    with_pre(&sandbox, &format!("echo dump >'{}/dump'", sandbox.source.display())).assert_code(0);
    assert_eq!(sandbox.names(), ["dump", "file"]);
}

#[test]
fn both_outputs_are_logged_line_by_line_with_escapes() {
    let sandbox = sandbox();
    let finished = with_pre(
        &sandbox,
        r"printf 'one\ntwo\033[2J\377 \303\274\n\nlast'; echo error >&2; printf 'a\rb\r\nc\n' >&2",
    );
    finished.assert_code(0).assert_err("");
    let messages = finished.messages();
    let said: Vec<&str> =
        messages.iter().filter_map(|message| message.strip_prefix("pre-clone script: ")).collect();
    for line in ["one", "two\\#033[2J\\#377 \u{fc}", "last", "error", "a", "b", "c"] {
        assert!(said.contains(&line), "{line}: {finished}");
    }
    let log = fs::read_to_string(&sandbox.logs()[0]).unwrap();
    assert_eq!(log, finished.out);
}

#[test]
fn a_line_is_logged_when_it_is_printed() {
    let sandbox = sandbox();
    let go = sandbox.path().join("go");
    let script =
        sandbox.script("pre", &format!("echo now; while [ ! -e '{}' ]; do sleep 0.05; done", go.display()));
    let mut run = sandbox.start(&["-p", script.to_str().unwrap()]);
    let seen = crate::support::sandbox::wait_until(|| {
        sandbox.logs().iter().any(|log| fs::read_to_string(log).unwrap().contains("pre-clone script: now\n"))
    });
    fs::write(go, "").unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert!(seen);
}

/// The most memory that a process has used so far, in KiB.
fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn memory_is_bounded_however_much_a_script_prints() {
    let sandbox = sandbox();
    // Lines of every length, and 50 MB in one line.
    let body = "head -c 50000000 /dev/zero | tr '\\0' x; yes 'a line of forty bytes, a line of forty by' | head -c 50000000";
    let script = sandbox.script("pre", body);
    let arguments = sandbox.arguments(["-p", script.to_str().unwrap(), "--log-dir", "/dev/null/none"]);
    let mut run = sandbox.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    let started = Instant::now();
    let code = loop {
        if let Some(status) = run.try_wait().unwrap() {
            break status.code();
        }
        peak = peak_memory(run.id()).unwrap_or(peak).max(peak);
        assert!(started.elapsed() < Duration::from_mins(2));
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(code, Some(0));
    assert!((1..65_536).contains(&peak), "{peak} KiB");
}

#[test]
fn a_line_that_is_too_long_is_cut_in_the_log() {
    let long = "head -c 20000 /dev/zero | tr '\\0' x; echo; head -c 1000000 /dev/zero | tr '\\0' y; echo; echo after";
    let finished = with_pre(&sandbox(), long);
    finished.assert_code(0);
    let said: Vec<&str> =
        finished.messages().into_iter().filter_map(|line| line.strip_prefix("pre-clone script: ")).collect();
    let (x, y) = ("x".repeat(8192), "y".repeat(8192));
    assert_eq!(
        said,
        [
            format!("{x}… 11808 bytes more"),
            format!("{y}…"),
            "… 991808 bytes more of this line".to_owned(),
            "after".to_owned(),
        ]
    );
}

#[test]
fn a_script_cannot_fill_the_log() {
    let sandbox = sandbox();
    let finished = with_pre(&sandbox, "yes | head -n 150000; echo said");
    finished.assert_code(0);
    let too_much =
        "Warning: pre-clone script: the program has printed too much; the rest of its output is not logged.";
    assert_eq!(finished.out.matches(too_much).count(), 1);
    finished.assert_log("]: pre-clone script: 50001 more lines were not logged.\n").assert_no_log("said");
    assert_eq!(finished.out.matches("]: pre-clone script: y\n").count(), 100_000);
    let log = fs::metadata(sandbox.logs().pop().unwrap()).unwrap().len();
    assert!(log < 10 << 20, "{log}");
    // And of long lines fewer are enough.
    let finished = with_pre(&sandbox, "yes \"$(head -c 8000 /dev/zero | tr '\\0' x)\" | head -n 10000");
    finished.assert_code(0).assert_log(too_much);
    let log = fs::metadata(sandbox.logs().pop().unwrap()).unwrap().len();
    assert!((64 << 20..70 << 20).contains(&log), "{log}");
}

#[test]
fn a_script_finds_no_input() {
    let sandbox = sandbox();
    let script = sandbox.script("pre", "cat; read x; echo \"read: $? $x\"");
    let arguments = sandbox.arguments(["-p", script.to_str().unwrap()]);
    let mut run = sandbox
        .command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = run.stdin.take();
    let finished = Finished::from(run.wait_with_output().unwrap());
    drop(stdin);
    finished.assert_code(0).assert_log("pre-clone script: read: 1 \n");
}

/// A process that a script leaves behind does not hold the run up.
#[track_caller]
fn left_behind(body: &str) {
    let sandbox = sandbox();
    let started = Instant::now();
    let finished =
        with_pre(&sandbox, &format!("{body}\necho $! >'{}/left'\necho ended", sandbox.path().display()));
    let took = started.elapsed();
    let process = fs::read_to_string(sandbox.path().join("left")).unwrap();
    let process = nix::unistd::Pid::from_raw(process.trim().parse().unwrap());
    let _ = nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL);
    finished.assert_code(0).assert_err("").assert_log("pre-clone script: ended\n");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_process_left_behind_does_not_hold_the_run_up() {
    left_behind("sleep 30 &");
    left_behind("sleep 30 </dev/null >&2 &");
}

#[test]
fn nor_does_one_that_goes_on_printing() {
    left_behind(
        "(for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do for j in $(seq 100); do echo chatter; sleep 0.02; done; done) &",
    );
}

#[test]
fn a_failing_script_is_a_warning() {
    let sandbox = sandbox();
    let pre = sandbox.script("pre", "exit 3");
    let post = sandbox.script("post", "kill -9 $$");
    let (pre, post) = (pre.to_str().unwrap(), post.to_str().unwrap());
    let finished = sandbox.clone(&["-p", pre, "-o", post]);
    finished.assert_code(0).assert_err("");
    finished.assert_log(&format!(
        "Warning: The pre-clone script {pre} failed: it ended with exit code 3. The run continues (see --strict-scripts).\n"
    ));
    finished.assert_log(&format!(
        "Warning: The post-clone script {post} failed: it was killed by signal 9. The run continues (see --strict-scripts).\n"
    ));
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
}

#[test]
fn strict_scripts_stop_the_run_before_the_clone() {
    let sandbox = sandbox();
    sandbox.clone(&[]).assert_code(0);
    sandbox.write("new", "content");
    let pre = sandbox.script("pre", "echo says; exit 3");
    let finished = sandbox.clone(&["--strict-scripts", "-p", pre.to_str().unwrap()]);
    let sentence = format!("The pre-clone script {} failed: it ended with exit code 3.", pre.display());
    finished
        .assert_code(81)
        .assert_err(&format!("counterpart: {sentence}\n"))
        .assert_log("pre-clone script: says");
    finished.assert_no_log("Cloning.");
    assert_eq!(sandbox.names(), ["file"]);
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    assert_eq!(sandbox.read_marker("error"), format!("{sentence}\n"));
}

#[test]
fn strict_scripts_fail_the_run_after_the_clone() {
    let sandbox = sandbox();
    let post = sandbox.script("post", "exit 4");
    let finished = sandbox.clone(&["--strict-scripts", "-o", post.to_str().unwrap()]);
    let sentence = format!("The post-clone script {} failed: it ended with exit code 4.", post.display());
    finished
        .assert_code(82)
        .assert_err(&format!("counterpart: {sentence}\n"))
        .assert_log("The clone is complete.");
    assert_eq!(sandbox.names(), ["file"]);
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    assert_eq!(sandbox.read_marker("error"), format!("{sentence}\n"));
    sandbox.clone(&["--strict-scripts", "-p", "/bin/true", "-o", "/bin/true"]).assert_code(0);
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
}

#[test]
fn the_callers_environment_is_not_passed_on() {
    let sandbox = sandbox();
    let pre = sandbox.script("pre", "env; pwd");
    let output = sandbox
        .command(sandbox.arguments(["-p", pre.to_str().unwrap()]))
        .env("FOO", "secret")
        .env("RSYNC_PASSWORD", "secret")
        .env("BASH_ENV", "secret")
        .env("LD_LIBRARY_PATH", "/secret")
        .env("HOME", "/home/of/somebody")
        .env("LC_ALL", "secret")
        .output()
        .unwrap();
    let finished = Finished::from(output);
    finished.assert_code(0).assert_err("").assert_no_log("secret").assert_no_log("COUNTERPART_FAKE_HOST");
    finished.assert_log("script: PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
    finished.assert_log("script: HOME=/home/of/somebody\n");
    finished.assert_log("script: /\n");
}

#[test]
fn the_callers_environment_does_not_reach_rsync() {
    let sandbox = fakes::sandbox("env >&2; statistics");
    let output = sandbox
        .command(sandbox.arguments([] as [&str; 0]))
        .env("FOO", "secret")
        .env("RSYNC_RSH", "secret")
        .env("CVSIGNORE", "secret")
        .env("HOME", "/secret")
        .env("LANG", "de_DE.UTF-8")
        .output()
        .unwrap();
    let finished = Finished::from(output);
    finished.assert_code(0).assert_no_log("secret").assert_no_log("HOME=").assert_no_log("LANG=");
    finished.assert_log("LC_ALL=C\n");
}

#[test]
fn the_post_script_does_not_run_after_a_failure() {
    for (body, code) in [("exit 23", 23), ("exit 0", 13), ("kill -9 $$", 137)] {
        let sandbox = fakes::sandbox(body);
        let ran = sandbox.path().join("ran");
        let post = sandbox.script("post", &format!("touch '{}'", ran.display()));
        sandbox.clone(&["-o", post.to_str().unwrap()]).assert_code(code).assert_no_log("post-clone script");
        assert!(!ran.exists());
    }
}

#[test]
fn a_script_that_vanishes_after_the_check_has_its_own_code() {
    let sandbox = sandbox();
    let post = sandbox.script("post", "true");
    let pre = sandbox.script("pre", &format!("rm '{}'", post.display()));
    let finished = sandbox.clone(&["-p", pre.to_str().unwrap(), "-o", post.to_str().unwrap()]);
    finished.assert_code(69).assert_err(&format!(
        "counterpart: The post-clone script {} cannot be executed: No such file or directory.\n",
        post.display()
    ));
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
}

/// A clone with this script warns that this can be changed by others, for each of the options; the run goes on.
#[track_caller]
fn warned_of(sandbox: &Sandbox, script: &Path, runs: &Path, changeable: &Path) {
    for (option, which) in [("-p", "pre-clone"), ("-o", "post-clone"), ("--on-error", "on-error")] {
        let run = sandbox.clone(&[option, script.to_str().unwrap()]);
        let told = format!(
            "Warning: the {which} script runs {}, and users other than this one can change {}: they can do whatever this user \
             can. Only its owner, or root, should be able to write to it and to each directory above it.",
            runs.display(),
            changeable.display()
        );
        run.assert_code(0).assert_err("").assert_log(&told);
        assert_eq!(sandbox.record().unwrap()["outcome"], "warning");
        let doctor = sandbox
            .run(["doctor".into()].into_iter().chain(sandbox.arguments([option, script.to_str().unwrap()])));
        assert!(doctor.out.contains(&format!("WARN  {which} script: the {which} script runs ")), "{doctor}");
    }
}

#[test]
fn a_script_that_others_can_change_is_warned_of() {
    let sandbox = sandbox();
    let script = sandbox.script("script", "exit 0");
    sandbox.clone(&["-p", script.to_str().unwrap()]).assert_code(0).assert_no_log("can change");
    let mode = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let nobody = |path: &Path, group: u32| std::os::unix::fs::lchown(path, Some(0), Some(group)).unwrap();
    for (bits, group, is_warned) in
        [(0o777, 0, true), (0o775, 0, false), (0o775, 65534, true), (0o755, 65534, false)]
    {
        nobody(&script, group);
        mode(&script, bits);
        if is_warned {
            warned_of(&sandbox, &script, &script, &script);
        } else {
            sandbox.clone(&["-p", script.to_str().unwrap()]).assert_code(0).assert_no_log("can change");
        }
    }
    std::os::unix::fs::lchown(&script, Some(65534), Some(0)).unwrap();
    warned_of(&sandbox, &script, &script, &script);
}

#[test]
fn the_way_to_a_script_is_warned_of_too() {
    let sandbox = sandbox();
    let dir = sandbox.path().join("directory/below");
    fs::create_dir_all(&dir).unwrap();
    sandbox.script("directory/below/script", "exit 0");
    let (script, open) = (dir.join("script"), sandbox.path().join("directory"));
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    warned_of(&sandbox, &script, &script, &open);
    // Nobody can rename what is not his in a sticky directory.
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    sandbox.clone(&["-p", script.to_str().unwrap()]).assert_code(0).assert_no_log("can change");
    // A link stands in a directory of its own, and leads to another one.
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let link = sandbox.path().join("link");
    std::os::unix::fs::symlink("directory/../directory/below/script", &link).unwrap();
    warned_of(&sandbox, &link, &link, &open);
}

#[test]
fn an_interpreter_that_others_can_change_is_warned_of() {
    let sandbox = sandbox();
    let interpreter = sandbox.path().join("interpreter");
    fs::copy("/bin/sh", &interpreter).unwrap();
    fs::set_permissions(&interpreter, fs::Permissions::from_mode(0o777)).unwrap();
    let script = sandbox.path().join("script");
    fs::write(&script, format!("#!{}\nexit 0\n", interpreter.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    warned_of(&sandbox, &script, &interpreter, &interpreter);
}
