//! What a person sees on a terminal, what systemd's journal gets, and what `-q` leaves.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use crate::support::sandbox::{FAKE_HOST, Sandbox};
use crate::support::tree;
use crate::systems::streaming::which_rsync;

/// A run on a terminal.
pub struct OnTerminal {
    /// The exit code.
    pub code: i32,
    /// Everything that the terminal got.
    drawn: String,
}

impl OnTerminal {
    /// The lines that stay: without what was drawn over, and without colours.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.drawn.split("\r\n").map(|line| {
            let last = line.rsplit("\r\u{1b}[2K").next().unwrap_or(line);
            let last = last.rsplit("\u{1b}[2K").next().unwrap_or(last);
            without_colours(last).trim_end().to_owned()
        });
        lines.filter(|line| !line.is_empty()).collect()
    }
}

fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').map_or(part, |(_, rest)| rest))
}

/// Runs a clone on a terminal of this width. Once the terminal has got `sign`, `typed` is typed.
pub fn on_terminal(
    sandbox: &Sandbox,
    columns: u32,
    more: &[&str],
    typed: Option<(&str, &[u8])>,
) -> OnTerminal {
    let arguments = sandbox.arguments(more);
    let quoted: Vec<String> =
        arguments.iter().map(|argument| format!("'{}'", argument.to_string_lossy())).collect();
    let mut child = Command::new("timeout")
        .args(["-k", "5", "1800", "script", "-qec"])
        .arg(format!("stty rows 24 cols {columns} -echo; exec '{FAKE_HOST}' {}", quoted.join(" ")))
        .arg("/dev/null")
        .env("COUNTERPART_FAKE_HOST", sandbox.host())
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut drawn, mut typed) = (Vec::new(), typed);
    let mut bytes = [0; 4096];
    loop {
        let length = out.read(&mut bytes).unwrap();
        if length == 0 {
            break;
        }
        drawn.extend_from_slice(&bytes[..length]);
        if let Some((_, keys)) = typed.take_if(|(sign, _)| String::from_utf8_lossy(&drawn).contains(*sign)) {
            input.write_all(keys).unwrap();
        }
    }
    assert!(typed.is_none(), "{}", String::from_utf8_lossy(&drawn));
    let code = child.wait().unwrap().code().unwrap_or(-1);
    OnTerminal { code, drawn: String::from_utf8_lossy(&drawn).into_owned() }
}

/// Whether a line names a step and how long it took.
fn is_step(line: &str, name: &str) -> bool {
    line.strip_prefix("  ").is_some_and(|line| line.starts_with(name) && line.ends_with(" s"))
}

fn three_files() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["a", "b", "c"] {
        sandbox.write(name, "content");
    }
    sandbox
}

#[test]
fn a_person_sees_steps_and_a_summary_and_the_log_has_the_rest() {
    let sandbox = three_files();
    let run = on_terminal(&sandbox, 100, &[], None);
    let lines = run.lines();
    assert_eq!(run.code, 0, "{lines:#?}");
    let (source, destination) = (sandbox.source.display(), sandbox.destination.display());
    assert_eq!(lines[0], format!("Cloning {source} to {destination}"));
    assert!(is_step(&lines[1], "survey") && is_step(&lines[2], "transfer"), "{lines:#?}");
    assert!(lines[3].starts_with("The clone is complete, after ") && lines[3].ends_with(" s"), "{lines:#?}");
    assert_eq!(lines[4], "  Entries     4: 3 created, 0 updated, 0 deleted");
    assert_eq!(lines[5], "  Copied      21 B of 21 B");
    let log = &sandbox.logs()[0];
    let changes = sandbox.changes();
    let files = [format!("  Changes     {}", changes.display()), format!("  Log         {}", log.display())];
    assert_eq!(lines[6..], files);
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("]: Number of files: 4 ") && log.contains("]: The clone is complete.\n"), "{log}");
    assert!(!log.contains('\u{1b}') && !log.contains("[INFO]"), "{log}");

    sandbox.write("a", "longer content");
    fs::remove_file(sandbox.source.join("b")).unwrap();
    let run = on_terminal(&sandbox, 100, &["--safety-net=1"], None);
    let lines = run.lines();
    assert_eq!(run.code, 0, "{lines:#?}");
    let at = lines.iter().position(|line| line.starts_with("The clone is complete")).unwrap();
    assert_eq!(lines[at + 1], "  Entries     3: 0 created, 1 updated, 1 deleted");
    assert_eq!(
        lines[at + 3],
        "  Safety net  what was deleted or overwritten is kept for 1 day (counterpart restore)"
    );
}

#[test]
fn why_a_run_failed_is_said_once_and_last() {
    let sandbox = three_files();
    let run = on_terminal(&sandbox, 100, &["-e", "/nonexistent"], None);
    let lines = run.lines();
    assert_eq!(run.code, 67, "{lines:#?}");
    let sentence =
        "counterpart: The excludes file /nonexistent cannot be read: No such file or directory. Check -e.";
    assert_eq!(lines.last().unwrap(), sentence);
    assert_eq!(run.drawn.matches("/nonexistent").count(), 1, "{lines:#?}");
    assert!(run.drawn.contains("\u{1b}[1;31mcounterpart:\u{1b}[0m The "), "{:?}", run.drawn);
    assert!(lines[lines.len() - 3].starts_with("The clone failed, after "), "{lines:#?}");
    let plain = on_terminal(&sandbox, 100, &["-e", "/nonexistent", "--color", "never"], None);
    assert!(plain.drawn.contains("\r\ncounterpart: The "), "{:?}", plain.drawn);
}

#[test]
fn a_missing_disk_that_may_be_missing_is_no_failure() {
    let sandbox = three_files();
    fs::remove_dir(&sandbox.destination).unwrap();
    let run = on_terminal(&sandbox, 200, &["--skip-if-missing"], None);
    let lines = run.lines();
    assert_eq!(run.code, 0, "{lines:#?}");
    assert_eq!(lines[1], "Nothing was cloned: the destination is missing");
    assert!(lines[2].starts_with("  Log ") && lines.len() == 3, "{lines:#?}");
}

#[test]
fn warnings_and_complaints_are_shown_in_colour() {
    let sandbox = three_files();
    // A script that others can change is warned of; rsync complains of what it cannot read.
    let script = sandbox.script("script", "exit 3");
    let run = on_terminal(&sandbox, 200, &["-p", script.to_str().unwrap()], None);
    let lines = run.lines();
    assert_eq!(run.code, 0, "{lines:#?}");
    let warning = format!(
        "Warning: The pre-clone script {} failed: it ended with exit code 3. The run continues (see --strict-scripts).",
        script.display()
    );
    assert!(lines.contains(&warning), "{lines:#?}");
    assert!(run.drawn.contains("\u{1b}[33mWarning:\u{1b}[0m The pre-clone"), "{:?}", run.drawn);
    assert!(
        lines.iter().any(|line| line.starts_with("The clone is complete, with 1 warning, after ")),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| is_step(line, "pre-clone script")), "{lines:#?}");
}

#[test]
fn the_first_twenty_complaints_of_rsync_are_shown_and_the_log_has_all() {
    let sandbox = three_files();
    let real = which_rsync();
    sandbox.rsync(&format!(
        "case \"$*\" in *--stats*) for i in $(seq 30); do echo \"complaint $i.\" >&2; done;; esac\nexec {real} \"$@\""
    ));
    let expected: Vec<String> = (1..=30).map(|number| format!("complaint {number}.")).collect();
    let run = on_terminal(&sandbox, 100, &[], None);
    let lines = run.lines();
    assert_eq!(run.code, 0, "{lines:#?}");
    let shown: Vec<&String> = lines.iter().filter(|line| line.starts_with("complaint")).collect();
    assert_eq!(shown, expected[..20].iter().collect::<Vec<_>>());
    let log = fs::read_to_string(&sandbox.logs()[0]).unwrap();
    let logged: Vec<&str> =
        log.lines().filter_map(|line| line.split_once("]: ")).map(|(_, line)| line).collect();
    assert!(expected.iter().all(|complaint| logged.contains(&complaint.as_str())), "{log}");
    let quiet = sandbox.clone(&["-q"]);
    let told = expected[..20].iter().fold(String::new(), |told, line| told + "counterpart: " + line + "\n");
    assert_eq!((quiet.code, &*quiet.out, &*quiet.err), (0, "", &*told));
}

#[test]
fn verbose_prints_every_line_without_its_time() {
    let sandbox = three_files();
    let run = on_terminal(&sandbox, 300, &["-v"], None);
    let lines = run.lines();
    assert_eq!(run.code, 0, "{lines:#?}");
    let log = fs::read_to_string(&sandbox.logs()[0]).unwrap();
    let expected: Vec<&str> = log.lines().map(|line| line.split_once("]: ").unwrap().1.trim_end()).collect();
    let expected: Vec<&str> = expected.into_iter().filter(|line| !line.is_empty()).collect();
    let (paths, others): (Vec<&str>, Vec<&str>) =
        lines.iter().map(String::as_str).partition(|line| line.starts_with(">f+++++++++ "));
    assert_eq!(others, expected);
    assert_eq!(paths, [">f+++++++++ a", ">f+++++++++ b", ">f+++++++++ c"]);
    // As a test run does, whose lines are its result.
    let run = on_terminal(&sandbox, 300, &["-t", "--adopt"], None);
    assert_eq!(run.code, 70);
    assert!(run.lines().iter().any(|line| line.starts_with("Test run: would create ")), "{:#?}", run.lines());
    let both = sandbox.clone(&["-q", "-v"]);
    assert_eq!(both.code, 2, "{both}");
    assert!(both.err.contains("'--quiet' cannot be used with '--verbose'"), "{both}");
}

#[test]
fn quiet_means_warnings_and_errors_on_standard_error() {
    let sandbox = three_files();
    let fine = sandbox.clone(&["-q"]);
    assert_eq!((fine.code, &*fine.out, &*fine.err), (0, "", ""));
    let script = sandbox.script("script", "echo output; exit 3");
    let warned = sandbox.clone(&["--quiet", "-p", script.to_str().unwrap()]);
    let script = script.display();
    let warning = format!(
        "counterpart: Warning: The pre-clone script {script} failed: it ended with exit code 3. The run continues \
         (see --strict-scripts).\n"
    );
    assert_eq!((warned.code, &*warned.out, &*warned.err), (0, "", &*warning));
    let failed = sandbox.clone(&["-q", "-e", "/nonexistent"]);
    let sentence =
        "counterpart: The excludes file /nonexistent cannot be read: No such file or directory. Check -e.\n";
    assert_eq!((failed.code, &*failed.out, &*failed.err), (67, "", sentence));
    assert_eq!(sandbox.logs().len(), 3, "the log is written all the same");
}

#[test]
fn the_journal_gets_priorities_and_no_second_time() {
    let sandbox = three_files();
    let journal = sandbox.path().join("journal");
    let run = |more: &[&str], errors_too: bool| {
        let file = File::create(&journal).unwrap();
        let metadata = file.metadata().unwrap();
        let mut command = sandbox.command(sandbox.arguments(more));
        command.env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()));
        let err = if errors_too { Stdio::from(file.try_clone().unwrap()) } else { Stdio::piped() };
        let output = command.stdout(file).stderr(err).output().unwrap();
        let printed = fs::read_to_string(&journal).unwrap();
        (output.status.code(), printed, String::from_utf8(output.stderr).unwrap())
    };
    let script = sandbox.script("script", "exit 3");
    let (code, printed, _) = run(&["-p", script.to_str().unwrap()], true);
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.starts_with("<6>Counterpart ") && printed.contains("\n<6>The clone is complete.\n"),
        "{printed}"
    );
    assert!(printed.contains("\n<4>Warning: The pre-clone script "), "{printed}");
    assert!(printed.lines().all(|line| line.starts_with('<') && !line.contains("Counterpart[")), "{printed}");
    let sentence =
        "counterpart: The excludes file /nonexistent cannot be read: No such file or directory. Check -e.\n";
    let (code, printed, _) = run(&["-e", "/nonexistent"], true);
    assert_eq!(code, Some(67), "{printed}");
    assert!(printed.ends_with(&format!("\n<3>{sentence}<6>Counterpart exited with code 67.\n")), "{printed}");
    assert_eq!(printed.matches("/nonexistent").count(), 1, "{printed}");
    // With -q there are warnings and errors alone, with their priorities.
    let (code, printed, _) = run(&["-q", "-p", script.to_str().unwrap()], true);
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.starts_with("<4>counterpart: Warning: The pre-clone script "), "{printed}");
    assert_eq!(printed.lines().count(), 1, "{printed}");
    // Where standard error is somewhere else, the journal has the reason too.
    let (_, printed, err) = run(&["-e", "/nonexistent"], false);
    assert!(printed.contains("\n<3>Error: The excludes file /nonexistent "), "{printed}");
    assert_eq!(err, sentence);
    // A stream that is not the journal stays as it is.
    let mut command = sandbox.command(sandbox.arguments([""; 0]));
    let output = command.env("JOURNAL_STREAM", "1:2").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("]: The clone is complete.\n"));
}

#[test]
fn on_sixty_columns_nothing_wraps_and_control_c_leaves_no_bar() {
    let sandbox = Sandbox::new();
    tree::many_files(&sandbox.source, 900, 14_000);
    let real = which_rsync();
    sandbox.rsync(&format!(
        "case \"$*\" in *--stats*) exec {real} --bwlimit=1000 \"$@\";; esac\nexec {real} \"$@\""
    ));
    let run = on_terminal(&sandbox, 60, &[], Some(("% [", b"\x03")));
    let lines = run.lines();
    assert_eq!(run.code, 20, "{lines:#?}");
    let bars: Vec<&str> =
        run.drawn.split(['\r', '\n', '\u{1b}']).filter(|part| part.contains("% [")).collect();
    assert!(!bars.is_empty());
    for bar in bars {
        let bar = bar.trim_start_matches("[2K");
        assert!(bar.chars().count() <= 60, "{bar:?}");
    }
    assert!(lines.iter().all(|line| !line.contains("% [") && !line.contains("Surveying")), "{lines:#?}");
    assert!(
        lines.last().unwrap().starts_with("counterpart: The clone was interrupted (SIGINT)."),
        "{lines:#?}"
    );
}
