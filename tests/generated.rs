//! The man page and the completions below `examples/` are what the program prints.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const PRODUCT: &str = env!("CARGO_BIN_EXE_counterpart");

/// What is generated, and the file that holds it.
const FILES: [(&str, &str); 4] = [
    ("man", "examples/man/counterpart.8"),
    ("bash", "examples/completions/counterpart.bash"),
    ("zsh", "examples/completions/_counterpart"),
    ("fish", "examples/completions/counterpart.fish"),
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
            "{file} is out of date. Renew it with: cargo run -- generate {what} >{file}"
        );
    }
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
fn the_man_page_is_accepted_without_a_warning() {
    let page = path("examples/man/counterpart.8");
    let Some(formatted) = run("groff", &["-man", "-Tutf8", "-ww", "-z", page.to_str().unwrap()]) else {
        return;
    };
    assert!(formatted.status.success(), "{formatted:?}");
    assert_eq!(String::from_utf8_lossy(&formatted.stderr), "");
}

#[test]
fn the_man_page_names_every_option_and_exit_code() {
    let page = fs::read_to_string(path("examples/man/counterpart.8")).unwrap();
    let help = run(PRODUCT, &["--help"]).unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let options: Vec<&str> = help
        .split_whitespace()
        .filter_map(|word| word.split(['[', ',']).next())
        .filter(|word| word.starts_with("--"))
        .collect();
    assert!(options.len() > 10, "{help}");
    for option in options {
        let escaped = option.replace('-', "\\-");
        assert!(page.contains(&escaped), "{option} is missing");
    }
    for row in counterpart::exit_code::TABLE {
        let code = row.code.replace('-', "\\-").replace('\u{2013}', "\\(en");
        assert!(page.contains(&format!("\\fB{code}\\fR\n")), "{code} is missing");
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
