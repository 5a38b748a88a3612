//! The example of `.stats` matches what a real run writes, and the README's first clone is a real log.

use crate::documents::{block, section, table};
use crate::support::sandbox::Sandbox;
use crate::systems::terminal::on_terminal;

/// Labels and the shape of their values: digits become `N`.
fn shape(lines: &[String]) -> Vec<String> {
    let shape = |line: &String| {
        let (label, value) = line.split_once(": ").unwrap_or_else(|| panic!("no label: {line}"));
        let number = value.trim_end_matches(" bytes");
        number.parse::<u64>().unwrap_or_else(|error| panic!("{line}: {error}"));
        format!("{label}: N{}", &value[number.len()..])
    };
    lines.iter().map(shape).collect()
}

fn example() -> Vec<String> {
    block(&section("docs/files.md", "## Statistics"), "`.stats` has a line")
}

#[test]
fn the_example_has_the_lines_of_a_real_run() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "1");
    sandbox.write("f/b", "2");
    sandbox.clone(&[]).assert_code(0);
    let real: Vec<String> = sandbox.read_marker("stats").lines().map(str::to_owned).collect();
    assert_eq!(shape(&example()), shape(&real));
    let code = |lines: &[String]| lines.iter().find(|line| line.starts_with("Exit Code: ")).cloned();
    assert_eq!(code(&example()), code(&real));
}

#[test]
fn each_line_of_the_example_is_explained() {
    let told: Vec<String> =
        table(&section("docs/files.md", "## Statistics")).into_iter().map(|row| row[0].clone()).collect();
    let lines: Vec<String> =
        example().iter().map(|line| format!("`{}`", line.split(": ").next().unwrap())).collect();
    assert_eq!(told, lines);
}

#[test]
fn a_failure_is_never_called_completed() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "1");
    sandbox.rsync("case \"$*\" in *--version*) echo 'rsync  version 3.5.1  protocol version 33' ;; *--dry-run*) ;; *) echo 'rsync error: partial (code 23)' >&2; exit 23 ;; esac");
    sandbox.clone(&[]).assert_code(23);
    let real = sandbox.read_marker("stats");
    assert!(real.contains("\nClone Ended: ") && !real.contains("Clone Completed"), "{real}");
    assert!(real.contains("\nExit Code: 23\n"), "{real}");
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
}

#[test]
fn the_log_looks_as_it_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "1");
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_log("The clone is complete.");
    let told = block(&section("docs/files.md", "## The log"), "unless `--log-dir`");
    assert_eq!(told, ["Mon DD HH:MM:SS Counterpart[PID]: message"]);
    for line in run.out.lines() {
        let head = line.split_once("]: ").unwrap_or_else(|| panic!("{line}")).0;
        let words: Vec<&str> = head.split(' ').collect();
        let [month, day, time, program] = words[..] else { panic!("{line}") };
        assert!(month.len() == 3 && day.len() == 2 && day.parse::<u8>().is_ok(), "{line}");
        assert_eq!(time.split(':').filter(|part| part.len() == 2 && part.parse::<u8>().is_ok()).count(), 3);
        let pid = program.strip_prefix("Counterpart[").unwrap_or_else(|| panic!("{line}"));
        assert!(pid.parse::<u32>().is_ok(), "{line}");
    }
}

/// What follows a command in a text, in the same block of code or the next one.
fn printed_after(text: &str, command: &str) -> Vec<String> {
    let mut lines = text.lines().skip_while(|line| line.trim() != command).skip(1).peekable();
    while lines.next_if(|line| line.trim().is_empty()).is_some() {}
    lines.take_while(|line| line.starts_with("    ")).map(|line| line.trim().to_owned()).collect()
}

/// A line of a log without what differs from run to run.
fn form(line: &str) -> String {
    let message = line.split_once("]: ").map_or(line, |(_, message)| message);
    let plain = regex::Regex::new("/[^ ]+").unwrap().replace_all(message, "PATH").into_owned();
    let plain = regex::Regex::new("[0-9][0-9.,]*").unwrap().replace_all(&plain, "N").into_owned();
    plain.replace("KiB", "B").replace("MiB", "B")
}

#[test]
fn the_first_clone_in_the_readme_is_a_real_one() {
    let sandbox = Sandbox::new();
    sandbox.write("git/pack", "1");
    for number in 1..10 {
        sandbox.write(format!("www/{number}.html"), "2");
    }
    let text = section("README.md", "## A first clone in five minutes");
    for (options, code) in [(&["-t"][..], 70), (&[], 0)] {
        let command = format!("sudo counterpart -s /srv -d /mnt/clone {}", options.join(" "));
        let told = printed_after(&text, command.trim());
        let run = on_terminal(&sandbox, 200, options, None);
        let real = run.lines();
        assert_eq!(run.code, code, "{real:#?}");
        assert!(told.len() > 2, "{told:?}");
        let last: Vec<String> =
            real[real.len() - told.len()..].iter().map(|line| form(line.trim())).collect();
        assert_eq!(last, told.iter().map(|line| form(line)).collect::<Vec<_>>(), "{real:#?}");
    }
}
