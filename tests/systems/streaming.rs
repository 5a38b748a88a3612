//! rsync's output on its way: bounded memory, lines as they come, hostile names, and a progress bar on a terminal.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::fakes::FIXTURES;
use crate::sandbox::{FAKE_HOST, Finished, Sandbox, wait_until};

/// What every fake rsync answers before it is asked to copy.
const VERSION: &str =
    "case \" $* \" in *' --version '*) echo 'rsync  version 3.5.1  protocol version 33'; exit 0 ;; esac";

fn statistics() -> String {
    format!("cat '{FIXTURES}/3.5.1/statistics.out'")
}

/// The most memory that a process has had, in KiB.
fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[test]
fn ten_million_lines_take_less_than_16_mib() {
    const LINES: usize = 10_000_000;
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.rsync(&format!("{VERSION}\nyes 'a line of output' | head -n {LINES}\n{}", statistics()));
    let mut run = sandbox
        .command(sandbox.arguments(["--log-dir", "/dev/null"]))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (process, mut peak, mut lines) = (run.id(), 0, 0_usize);
    for line in BufReader::new(run.stdout.take().unwrap()).split(b'\n') {
        lines += usize::from(line.unwrap().ends_with(b"a line of output"));
        if lines % 100_000 == 0 {
            peak = peak.max(peak_memory(process).unwrap_or(0));
        }
    }
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert_eq!(lines, LINES);
    assert!((1..16 * 1024).contains(&peak), "{peak} KiB");
}

#[test]
fn a_line_is_in_the_log_while_rsync_still_runs() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let go_on = sandbox.path().join("go-on");
    let wait = format!("until [ -e '{}' ]; do sleep 0.05; done", go_on.display());
    sandbox.rsync(&format!("{VERSION}\necho early; echo earlier >&2\n{wait}\n{}", statistics()));
    let run = sandbox.start(&[]);
    let logged = || sandbox.logs().first().map(|log| fs::read_to_string(log).unwrap()).unwrap_or_default();
    assert!(
        wait_until(|| logged().contains("]: early\n") && logged().contains("]: earlier\n")),
        "{}",
        logged()
    );
    fs::write(go_on, "").unwrap();
    let finished = Finished::from(run.wait_with_output().unwrap());
    finished.assert_code(0);
    assert_eq!(logged(), finished.out, "the log and standard output have the same lines");
}

#[test]
fn what_could_drive_a_terminal_is_escaped() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let hostile = r#"printf 'rsync: [sender] send_files failed to open "/s/\033[2J\377\342\200\256x": Permission denied (13)\n' >&2"#;
    sandbox.rsync(&format!("{VERSION}\n{hostile}\n{}\nexit 23", statistics()));
    let finished = sandbox.clone(&[]);
    finished.assert_code(23).assert_log("  /s/\\#033[2J\\#377\\#342\\#200\\#256x\n");
    assert!(!finished.out.contains('\u{1b}') && !finished.err.contains('\u{1b}'));
}

/// Runs a throttled clone under a terminal and returns what the terminal got.
fn on_a_terminal(sandbox: &Sandbox) -> String {
    let slow = sandbox.script("slow", "exec /usr/bin/rsync --bwlimit=6000 \"$@\"");
    let words = [
        FAKE_HOST,
        "-s",
        sandbox.source.to_str().unwrap(),
        "-d",
        sandbox.destination.to_str().unwrap(),
        "--rsync",
        slow.to_str().unwrap(),
    ];
    let output = Command::new("script")
        .args(["-qec", &words.join(" "), "/dev/null"])
        .env("COUNTERPART_FAKE_HOST", sandbox.host())
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_terminal_gets_a_progress_bar_and_whole_lines() {
    let sandbox = Sandbox::new();
    for name in 0..12 {
        sandbox.write(format!("file{name}"), &"x".repeat(1_000_000));
    }
    let shown = on_a_terminal(&sandbox);
    let bar = shown.split(['\r', '\n']).find(|part| part.contains('%') && part.contains("left")).unwrap();
    for part in ["%", "[", "]", "iB, ", "B/s, ", " left"] {
        assert!(bar.contains(part), "{part:?} is not in {bar:?}");
    }
    // The log's lines stand whole below the bar that they replace.
    for message in ["Cloning.", "The clone is complete.", "Counterpart exited with code 0."] {
        assert!(shown.lines().any(|line| line.trim_end().ends_with(&format!("]: {message}"))), "{shown:?}");
    }
    let log = fs::read_to_string(&sandbox.logs()[0]).unwrap();
    assert!(!log.contains('%') && !log.contains('\u{1b}'), "{log}");
}

#[test]
fn no_terminal_gets_no_bar() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let began = Instant::now();
    let finished = sandbox.clone(&[]);
    finished.assert_code(0).assert_err("").assert_no_log("%").assert_no_log("\u{1b}");
    assert!(began.elapsed() < Duration::from_secs(60));
}
