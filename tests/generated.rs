//! The man pages and completions below `examples/` match the program's output.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const PRODUCT: &str = env!("CARGO_BIN_EXE_counterpart");

/// What is printed, and the file that holds it.
const FILES: [(&str, &str); 5] = [
    ("man", "examples/man/man8/counterpart.8"),
    ("bash", "examples/completions/counterpart.bash"),
    ("zsh", "examples/completions/_counterpart"),
    ("fish", "examples/completions/counterpart.fish"),
    ("job-schema", "examples/job.schema.json"),
];

fn path(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).env("LC_ALL", "C.UTF-8").output();
    output.ok()
}

#[test]
fn generated_files_are_what_the_program_prints() {
    for (what, file) in FILES {
        let printed = run(PRODUCT, &["generate", what]).unwrap();
        assert!(printed.status.success() && printed.stderr.is_empty(), "{what}");
        let committed = fs::read(path(file)).unwrap_or_default();
        assert!(
            printed.stdout == committed,
            "{file} is out of date. CONTRIBUTING.md, \"Generated files\", says how to renew it"
        );
    }
}

/// Every file below a directory, by its path in it, with its content.
fn files(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for section in fs::read_dir(dir).unwrap() {
        let section = section.unwrap().path();
        for page in fs::read_dir(&section).unwrap() {
            let page = page.unwrap().path();
            let name = page.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read_to_string(page).unwrap());
        }
    }
    found
}

#[test]
fn there_is_a_man_page_for_each_command_and_all_are_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    // What is there already gives way.
    for _ in 0..2 {
        let printed = run(PRODUCT, &["generate", "man", "--dir", dir.path().to_str().unwrap()]).unwrap();
        assert!(printed.status.success() && printed.stdout.is_empty(), "{printed:?}");
    }
    let (written, kept) = (files(dir.path()), files(&path("examples/man")));
    let names: Vec<&str> = written.keys().map(String::as_str).collect();
    let pages = [
        "check",
        "doctor",
        "exclusions",
        "forget",
        "job",
        "prepare",
        "prove",
        "restore",
        "run",
        "schedule",
        "setpass",
        "status",
        "verify",
    ];
    let mut expected = vec!["man5/counterpart-files.5".to_owned(), "man8/counterpart.8".to_owned()];
    expected.extend(pages.map(|page| format!("man8/counterpart-{page}.8")));
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(names, kept.keys().map(String::as_str).collect::<Vec<_>>(), "in examples/man");
    for (name, text) in &written {
        assert!(*text == kept[name], "{name} is out of date: cargo run -- generate man --dir examples/man");
    }
    // Each is named by the main page.
    for page in pages {
        assert!(written["man8/counterpart.8"].contains(&format!(".BR counterpart\\-{page} (8)")), "{page}");
    }
}

#[test]
fn what_cannot_be_written_is_told() {
    let printed = run(PRODUCT, &["generate", "man", "--dir", "/proc/no/such"]).unwrap();
    assert_eq!(printed.status.code(), Some(1), "{printed:?}");
    let told = String::from_utf8(printed.stderr).unwrap();
    assert!(told.starts_with("counterpart: /proc/no/such/man8 cannot be created: "), "{told}");
    let printed = run(PRODUCT, &["generate", "bash", "--dir", "/proc/no/such"]).unwrap();
    assert_eq!(printed.status.code(), Some(1), "{printed:?}");
    assert_eq!(printed.stderr, b"counterpart: --dir goes with man only.\n");
}

#[test]
fn nothing_generated_depends_on_the_terminal() {
    for (what, file) in FILES {
        let printed = Command::new(PRODUCT)
            .args(["generate", what])
            .env("COLUMNS", "40")
            .env("CLICOLOR_FORCE", "1")
            .output()
            .unwrap();
        assert!(printed.stdout == fs::read(path(file)).unwrap(), "{file}");
    }
}

#[test]
fn the_man_pages_are_accepted_without_a_warning() {
    for name in files(&path("examples/man")).keys() {
        let page = path("examples/man").join(name);
        let Some(formatted) = run("groff", &["-man", "-Tutf8", "-ww", "-z", page.to_str().unwrap()]) else {
            return;
        };
        assert!(formatted.status.success(), "{formatted:?}");
        assert_eq!(String::from_utf8_lossy(&formatted.stderr), "", "{name}");
    }
}

/// The options of a command as its help shows them.
fn options(command: &[&str]) -> Vec<String> {
    let help = run(PRODUCT, &[command, &["--help"]].concat()).unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let options = help.split_once("\nOptions:\n").expect("no options").1;
    let words =
        options.lines().filter(|line| line.trim_start().starts_with('-')).flat_map(str::split_whitespace);
    words
        .filter_map(|word| word.split(['[', ',']).next())
        // Help is named on the main page alone.
        .filter(|word| word.starts_with("--") && word.len() > 2 && (command.is_empty() || *word != "--help"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_page_names_every_option_of_its_command() {
    let pages = files(&path("examples/man"));
    let main = &pages["man8/counterpart.8"];
    let mut seen = 0;
    for command in [
        "",
        "check",
        "doctor",
        "exclusions",
        "forget",
        "job init",
        "prepare",
        "prove",
        "restore",
        "run",
        "schedule install",
        "setpass",
        "status",
        "verify",
    ] {
        let words: Vec<&str> = command.split_whitespace().collect();
        let page = words.first().map_or(main, |name| &pages[&format!("man8/counterpart-{name}.8")]);
        for option in options(&words) {
            let escaped = option.replace('-', "\\-");
            // The doctor's page leaves those of a clone to the main page, and says so.
            let is_there = page.contains(&escaped) || (command == "doctor" && main.contains(&escaped));
            assert!(is_there, "{command}: {option} is missing");
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
    for row in counterpart::exit_code::TABLE {
        let code = row.code.replace('-', "\\-").replace('\u{2013}', "\\(en");
        assert!(main.contains(&format!("\\fB{code}\\fR\n")), "{code} is missing");
    }
}

#[test]
fn the_shells_accept_their_completions() {
    for (shell, file) in [("bash", FILES[1].1), ("zsh", FILES[2].1), ("fish", FILES[3].1)] {
        // A shell that is not installed cannot complain.
        let Some(checked) = run(shell, &["-n", path(file).to_str().unwrap()]) else { continue };
        assert!(checked.status.success() && checked.stderr.is_empty(), "{shell}: {checked:?}");
    }
}

#[test]
fn bash_completes_our_options() {
    let script = format!(
        "source '{}'; COMP_WORDS=(counterpart --ad) COMP_CWORD=1; _counterpart counterpart --ad counterpart; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        path(FILES[1].1).display()
    );
    let Some(completed) = run("bash", &["--norc", "-c", &script]) else { return };
    assert_eq!(String::from_utf8_lossy(&completed.stdout), "--adopt\n", "{completed:?}");
}
