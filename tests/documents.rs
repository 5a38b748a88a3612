//! The documents are correct: tables, lists, paths, links, commands and the example are checked against the program.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod commands;
mod filesystems;
mod licences;
mod monitoring;
mod paths;
mod reports;
mod security;
mod statistics;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::sandbox;

/// Every document for users and developers; a test sees to it that none in `docs/` is missing.
const DOCUMENTS: [&str; 17] = [
    "README.md",
    "INSTALL.md",
    "SCHEDULING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "tests/README.md",
    "tests/promises.md",
    "docs/databases.md",
    "docs/exit-codes.md",
    "docs/faq.md",
    "docs/files.md",
    "docs/from-1.2.1.md",
    "docs/guide.md",
    "docs/monitoring.md",
    "docs/rsync-versions.md",
    "docs/schedules-by-hand.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// What stands below a heading, up to the next one of the same or a higher level.
fn section(document: &str, heading: &str) -> String {
    let level = heading.split(' ').next().unwrap().len();
    let text = read(document);
    let mut lines = text.lines().skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "{document} has no heading {heading:?}");
    let ends = |line: &str| {
        let markers = line.len() - line.trim_start_matches('#').len();
        (1..=level).contains(&markers) && line[markers..].starts_with(' ')
    };
    lines.take_while(|line| !ends(line)).fold(String::new(), |text, line| text + line + "\n")
}

/// The cells of the first table in a text, without its heading.
fn table(text: &str) -> Vec<Vec<String>> {
    let rows =
        text.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.skip(2).map(cells).collect()
}

/// The lines of the first block of code after a line that begins with these words.
fn block(text: &str, after: &str) -> Vec<String> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with(after));
    assert!(lines.next().is_some(), "no line begins with {after:?}");
    lines
        .skip_while(|line| !line.starts_with("    "))
        .take_while(|line| line.starts_with("    "))
        .map(|line| line[4..].to_owned())
        .collect()
}

/// Every block of code in a document and every piece of code in its lines.
fn code(document: &str) -> Vec<String> {
    let text = read(document);
    let mut found = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(code) if !code.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                found.push(code.trim().to_owned());
            }
            _ => found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned)),
        }
    }
    found
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn product(arguments: &[&str]) -> String {
    succeed(Command::new(sandbox::PRODUCT).args(arguments))
}

/// Every file below a directory of the project.
fn files_below(dir: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![root().join(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { dirs.push(path) } else { found.push(path) }
        }
    }
    found
}
