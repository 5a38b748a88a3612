//! However much rsync prints, memory and the log stay small, each line is logged as it arrives, and nothing can control
//! a terminal.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::sandbox::{FAKE_HOST, Finished, Sandbox, wait_until};
use crate::support::tree;
use crate::systems::fakes::{FIXTURES, FakeRsync, SINCE_3_2_3};

/// How many lines are printed at most.
const LINES: u64 = 10_000_000;

/// How many of them are logged.
const LOGGED: u64 = 100_000;

/// How many lines follow the statistics.
const LAST: u64 = 2;

/// The most memory of its own that the product may use, in KiB: without the pages of its file, of which a debug build has
/// many and which the system can drop.
const MOST_MEMORY: u64 = 4 * 1024;

/// A fake rsync that does `body` before it prints valid statistics.
fn printing(body: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.rsync(&format!(
        "case \"$*\" in *--version*) echo 'rsync  version 3.5.1  protocol version 33'; exit 0;; *--dry-run*) exit 0;; esac\n\
         {body}\ncat '{FIXTURES}/3.5.1/statistics.out'"
    ));
    sandbox
}

/// The memory of its own that a process uses, in KiB.
fn memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn ten_million_lines_take_little_memory_and_do_not_fill_the_log() {
    let sandbox = printing(&format!("yes 'a line that is neither long nor short' | head -n {LINES}"));
    let started = Instant::now();
    let mut command = sandbox.command(sandbox.arguments([""; 0]));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut most = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        most = most.max(memory(child.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(20));
    };
    eprintln!("{LINES} lines: {:.1} s, {most} KiB", started.elapsed().as_secs_f64());
    assert_eq!(status.code(), Some(0));
    assert!(most > 0 && most < MOST_MEMORY, "{most} KiB");
    let (mut lines, mut told, mut counted) = (0, false, false);
    let mut last = Vec::new();
    let mut log = BufReader::with_capacity(1 << 20, File::open(&sandbox.logs()[0]).unwrap());
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line).unwrap() > 0 {
        lines += u64::from(line.ends_with(b"]: a line that is neither long nor short\n"));
        told |=
            line.ends_with(format!("]: {} more lines were not logged.\n", LINES - LOGGED + LAST).as_bytes());
        counted |=
            line.ends_with(b"]: Number of files: 1507 (reg: 1502, dir: 2, link: 1, dev: 1, special: 1)\n");
        std::mem::swap(&mut last, &mut line);
        line.clear();
    }
    assert_eq!(lines, LOGGED);
    assert!(told && counted, "what is left out is counted, and the statistics are there");
    assert!(last.ends_with(b": Counterpart exited with code 0.\n"));
}

#[test]
fn a_line_is_in_the_log_while_rsync_still_runs() {
    let sandbox =
        printing("echo first; echo second >&2; while [ ! -e \"$0.go on\" ]; do sleep 0.02; done; echo third");
    let child = sandbox.start(&[]);
    let log = || sandbox.logs().first().map(|log| fs::read_to_string(log).unwrap()).unwrap_or_default();
    assert!(wait_until(|| log().contains("]: first\n") && log().contains("]: second\n")), "{}", log());
    assert!(!log().contains("third"));
    fs::write(sandbox.host().join("rsync/rsync.go on"), "").unwrap();
    let finished = Finished::from(child.wait_with_output().unwrap());
    finished.assert_code(0).assert_log("]: third\n");
    assert_eq!(log(), finished.out, "the log and standard output differ");
}

#[test]
fn output_that_could_drive_a_terminal_is_escaped() {
    let sandbox =
        printing(r"printf 'a\033[2J\007b \302\233 \377 \342\200\256x \303\274\n'; printf 'to\033be\n' >&2");
    let finished = sandbox.clone(&[]);
    finished
        .assert_code(0)
        .assert_log("]: a\\#033[2J\\#007b \\#302\\#233 \\#377 \\#342\\#200\\#256x \u{fc}\n")
        .assert_log("]: to\\#033be\n");
    let log = fs::read(&sandbox.logs()[0]).unwrap();
    assert!(!log.iter().any(|byte| byte.is_ascii_control() && *byte != b'\n'));
}

#[test]
fn a_name_never_begins_a_line_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox.write("x\nNov 22 10:00:00 Counterpart[1]: Counterpart exited with code 0.", "content");
    let finished = sandbox.clone(&["--test-run"]);
    finished.assert_code(70).assert_log("Would create x\\#012Nov 22 10:00:00 Counterpart[1]: ");
    assert!(finished.out.lines().all(|line| line.contains(" Counterpart[")
        && !line.contains("Counterpart[1]: Counterpart exited with code 0.\n")));
}

#[test]
fn a_line_without_an_end_takes_little_memory() {
    let sandbox = printing("head -c 200000000 /dev/zero | tr '\\0' x");
    let mut command = sandbox.command(sandbox.arguments([""; 0]));
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(memory(child.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(most > 0 && most < MOST_MEMORY, "{most} KiB");
}

/// Runs a clone of a tree on a terminal and returns everything that the terminal got.
fn on_a_terminal(sandbox: &Sandbox) -> (i32, String) {
    let typescript = sandbox.path().join("typescript");
    let arguments = sandbox.arguments([""; 0]);
    let quoted: Vec<String> =
        arguments.iter().map(|argument| format!("'{}'", argument.to_string_lossy())).collect();
    let output = Command::new("/usr/bin/timeout")
        .args(["-k", "5", "600", "/usr/bin/script", "-qec"])
        .arg(format!("stty cols 100; exec '{FAKE_HOST}' {}", quoted.join(" ")))
        .arg(&typescript)
        .env("COUNTERPART_FAKE_HOST", sandbox.host())
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The real rsync, slowed down, so that there is progress to be seen.
fn slowed(sandbox: &Sandbox) {
    let real = which_rsync();
    sandbox.rsync(&format!(
        "case \"$*\" in *--stats*) echo 'a line of its own' >&2; exec {real} --bwlimit=4000 \"$@\";; esac\nexec {real} \"$@\""
    ));
}

pub fn which_rsync() -> &'static str {
    ["/usr/bin/rsync", "/usr/local/bin/rsync"].into_iter().find(|path| Path::new(path).exists()).unwrap()
}

#[test]
fn a_terminal_shows_a_bar_and_whole_lines() {
    let sandbox = Sandbox::new();
    // Too few for a first copy of our own, which nothing slows down.
    tree::many_files(&sandbox.source, 900, 14_000);
    slowed(&sandbox);
    let (code, shown) = on_a_terminal(&sandbox);
    assert_eq!(code, 0, "{shown}");
    // The parts of a bar, between the control sequences that draw it over itself.
    let bars: Vec<&str> = shown.split(['\r', '\n', '\u{1b}']).filter(|part| part.contains("% [")).collect();
    assert!(bars.len() > 2, "{shown:?}");
    for bar in &bars {
        for part in ["B, ", "B/s, ", " left"] {
            assert!(bar.contains(part), "{bar:?}");
        }
    }
    // In one unit over all passes, and never back.
    let share = |bar: &&str| {
        let before = bar.split_once('%')?.0;
        before.rsplit(|character: char| !character.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    let shares: Vec<u64> = bars.iter().map(|bar| share(bar).unwrap()).collect();
    assert!(shares.is_sorted() && shares.last() > shares.first(), "{shares:?}");
    for pause in ["Surveying: ", " entries, ", "Flushing the disk, "] {
        assert!(shown.contains(pause), "{pause:?}: {shown:?}");
    }
    // What stays after the last carriage return, without control sequences, is what is read.
    let log = fs::read_to_string(&sandbox.logs()[0]).unwrap();
    for part in ["B/s, ", "% [", "Surveying", "Flushing"] {
        assert!(!log.contains(part), "the bar is in the log: {log}");
    }
    // What rsync complains of stands above the bar, whole.
    assert!(shown.contains("a line of its own\r\n"), "{shown:?}");
    assert!(log.contains("]: a line of its own\n"), "{log}");
}

#[test]
fn without_a_terminal_there_is_no_bar() {
    let sandbox = Sandbox::new();
    sandbox.write("file", &"x".repeat(100_000));
    let record = FakeRsync::new("3.5.1", &[SINCE_3_2_3]).install_first(&sandbox);
    sandbox.clone(&[]).assert_code(0);
    assert!(!record.of_clone().contains(&"--info=progress2".to_owned()));
    fs::remove_file(sandbox.host().join("rsync/rsync")).unwrap();
    // The fake one has told of more files than there are.
    let finished = sandbox.clone(&["--allow-shrink"]);
    finished.assert_code(0).assert_no_log("% [").assert_no_log("\r").assert_err("");
}
