//! Exit codes, options, phases and built-in exclusions are documented correctly.

use std::collections::BTreeSet;

use counterpart::exit_code::{ExitCode, TABLE};
use counterpart::{linux, macos};

use crate::documents::{block, product, read, section, table};

/// With every run of white space as one blank, so that it does not matter where a line is broken.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_table_of_exit_codes_is_the_programs() {
    let told = table(&read("docs/exit-codes.md"));
    let known: Vec<Vec<String>> =
        TABLE.iter().map(|row| [row.code, row.meaning, row.remedy].map(str::to_owned).into()).collect();
    assert_eq!(told, known);
}

#[test]
fn help_tells_each_exit_code() {
    let help = product(&["--help"]);
    let codes = flat(help.split_once("Exit codes:").expect("no exit codes").1);
    for row in TABLE {
        assert!(codes.contains(&format!("{} {}", row.code, row.meaning)), "{}: {codes}", row.code);
    }
}

#[test]
fn the_short_help_fits_a_screen_and_says_where_the_rest_is() {
    let help = product(&["-h"]);
    assert!(help.lines().count() <= 75, "{help}");
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    assert!(help.contains("counterpart --help has the other options, the exit codes"), "{help}");
    for heading in
        ["Options:", "Safety:", "Transfer:", "Disks and booting:", "Server backup:", "Scripts and reports:"]
    {
        assert!(help.contains(&format!("\n{heading}\n")), "{heading}");
    }
}

#[test]
fn help_stays_within_a_hundred_columns() {
    for line in product(&["--help"]).lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn the_man_page_tells_each_exit_code() {
    let page = product(&["generate", "man"]);
    let page = page.replace("\\-", "-").replace("\\(en", "\u{2013}").replace("\\fB", "").replace("\\fR", "");
    for row in TABLE {
        let entry = format!("\n{}\n{}: {}", row.code, row.meaning, row.remedy).replace('`', "");
        assert!(page.contains(&entry), "{entry} is not in {page}");
    }
}

/// The codes that a row of the table stands for.
fn codes(row: &str) -> Vec<u8> {
    if row == "128+N" {
        return (128..=255).collect();
    }
    match row.split_once('\u{2013}') {
        Some((first, last)) => (first.parse().unwrap()..=last.parse().unwrap()).collect(),
        None => vec![row.parse().unwrap()],
    }
}

/// Every named code of the program, from its source: a new one cannot be forgotten.
fn named_codes() -> Vec<u8> {
    let source = read("src/exit_code.rs");
    let named = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub const ")?.split_once(": Self = Self("));
    named
        .map(|(name, code)| code.strip_suffix(");").unwrap_or_else(|| panic!("{name}")).parse().unwrap())
        .collect()
}

#[test]
fn every_code_that_a_run_can_end_with_is_documented() {
    let documented: Vec<u8> = TABLE.iter().flat_map(|row| codes(row.code)).collect();
    assert!(documented.is_sorted_by(|a, b| a < b), "in ascending order, and none twice: {documented:?}");
    let named = named_codes();
    assert!(named.len() > 20, "{named:?}");
    let of_rsync = (0..=255).filter_map(ExitCode::from_rsync).map(ExitCode::number);
    let of_signals = (1..=64).map(|signal| ExitCode::from_signal(signal).number());
    for code in named.into_iter().chain(of_rsync).chain(of_signals) {
        assert!(documented.contains(&code), "{code}");
    }
}

#[test]
fn every_documented_code_can_be_given() {
    let given: BTreeSet<u8> = named_codes().into_iter().collect();
    for row in TABLE.iter().filter(|row| row.code.parse::<u8>().is_ok()) {
        assert!(given.contains(&row.code.parse().unwrap()), "nothing ends with {}", row.code);
    }
    // And each constant is used by some end of a run.
    let source = read("src/exit_code.rs");
    let ends = [
        "src/failure/meaning.rs",
        "src/outcome.rs",
        "src/lib.rs",
        "src/cli/job_file.rs",
        "src/prove.rs",
        "src/verify/report.rs",
    ]
    .map(read)
    .concat();
    for name in
        source.lines().filter_map(|line| line.trim().strip_prefix("pub const ")?.split_once(": Self = Self("))
    {
        assert!(ends.contains(&format!("ExitCode::{}", name.0)), "{} is used nowhere", name.0);
    }
}

#[test]
fn documents_speak_only_of_codes_in_the_table() {
    let documented: BTreeSet<String> =
        TABLE.iter().flat_map(|row| codes(row.code)).map(|code| code.to_string()).collect();
    for document in crate::documents::DOCUMENTS {
        let text = read(document);
        for part in text.split("exited with code ").skip(1).chain(text.split(" code ").skip(1)) {
            let code: String = part.chars().take_while(char::is_ascii_digit).collect();
            assert!(code.is_empty() || documented.contains(&code), "{document}: code {code}");
        }
    }
}

/// Each step of the pipeline, and what the README calls it.
const STEPS: [(&str, &str); 29] = [
    ("preflight::rights", "Rights."),
    ("outputs::start_log", "The log"),
    ("preflight::rsync", "rsync"),
    ("log_header::log", "The log's header"),
    ("endpoints::claim", "Source and destination"),
    ("ping::announce", "The start ping"),
    ("in_place::check", "Writing in place"),
    ("log_header::log_what_is_left_out", "Other filesystems"),
    ("exclusions::gather", "Exclusions"),
    ("bootable::prepare", "A bootable clone"),
    ("script::check", "Scripts"),
    ("password::resolve", "The password"),
    ("test_run::list_changes", "A test run"),
    ("run.keep_log", "Old logs"),
    ("awake::hold", "Sleep"),
    ("server_backup::run", "The server backup"),
    ("script::run_pre_clone", "The pre-clone script"),
    ("snapshot::take", "Snapshots"),
    ("Remembered::load", "The index"),
    ("survey::check", "The survey"),
    ("capacity::check", "What the destination can hold"),
    ("safety_net::make_ready", "Old safety nets"),
    ("markers::begin", "The markers"),
    ("engine::clone", "The transfer."),
    ("bootable::make", "Making it bootable"),
    ("markers::write", "The markers"),
    ("hashes::keep::keep", "Hashes"),
    ("daily::verify", "Reading again"),
    ("script::run_post_clone", "The post-clone script"),
];

#[test]
fn the_steps_are_told_in_the_order_of_the_pipeline() {
    let pipeline = read("src/pipeline.rs");
    let walk = pipeline.split_once("\nfn claim(").expect("no fn claim").1;
    let walk = walk.split_once('{').unwrap().1;
    // A call is a path or a method, directly before its bracket.
    let calls: Vec<String> = walk
        .split('(')
        .map(|before| {
            let start = before
                .rfind(|c: char| !(c.is_ascii_alphanumeric() || "_:.".contains(c)))
                .map_or(0, |at| at + 1);
            before[start..].to_owned()
        })
        .filter(|call| call.contains("::") || call.starts_with("run."))
        .filter(|call| !call.starts_with("Outcome::") && call != "written.withdraw")
        .collect();
    assert_eq!(calls, STEPS.map(|(call, _)| call.to_owned()).to_vec());

    let told = section("docs/guide.md", "## What happens in a run");
    let numbered: Vec<(String, String)> = told
        .lines()
        .filter_map(|line| line.split_once(". **"))
        .map(|(number, rest)| (number.to_owned(), rest.split("**").next().unwrap().to_owned()))
        .collect();
    let expected: Vec<(String, String)> =
        STEPS.iter().zip(1..).map(|((_, name), number)| (number.to_string(), (*name).to_owned())).collect();
    assert_eq!(numbered, expected);
}

#[test]
fn the_protected_names_are_the_programs() {
    let told = section("docs/guide.md", "## Exclusions");
    for (after, known) in [
        ("**Protected at the top", linux::exclusions::FILESYSTEMS_OWN),
        ("On macOS:", macos::exclusions::FILESYSTEMS_OWN),
    ] {
        assert_eq!(block(&told, after), known, "{after}");
    }
    // What makes a directory on a Mac a system.
    let paths = [macos::exclusions::SYSTEM_ROOTS, macos::exclusions::SYSTEM_SIGNS].concat();
    for path in paths {
        assert!(told.contains(&format!("`{path}`")), "{path}");
    }
}

#[test]
fn the_options_of_rsync_are_the_programs() {
    let told = section("docs/guide.md", "## What is cloned");
    let told = told.split("### ").next().unwrap();
    let sources = ["src/rsync/arguments.rs", "src/rsync/capabilities.rs"].map(read).concat();
    let (mut seen, mut words) = (0, told.split(|c: char| c.is_whitespace() || "`,()".contains(c)));
    for option in words.by_ref().filter(|word| word.starts_with("--")) {
        assert!(sources.contains(&format!("\"{option}\"")), "{option}");
        seen += 1;
    }
    assert!(seen > 12, "{seen}");
}

#[test]
fn the_default_directories_are_the_programs() {
    let source = read("src/host.rs");
    for dir in
        ["/Library/Logs/Counterpart", "/var/log/counterpart", "/run/counterpart", "/var/run/counterpart"]
    {
        assert!(source.contains(&format!("\"{dir}\"")), "{dir}");
        assert!(read("docs/files.md").contains(dir), "{dir}");
    }
    for dir in counterpart::host::rsync_dirs(counterpart::host::platform::System::MacOs) {
        let told = format!("`{}`", dir.display());
        assert!(read("docs/rsync-versions.md").contains(&told), "{dir:?}");
    }
}

#[test]
fn the_scripts_environment_is_the_programs() {
    let told = section("docs/guide.md", "## Scripts");
    let path = counterpart::process::tool_environment()
        .into_iter()
        .find_map(|(name, value)| (name == "PATH").then_some(value.into_string().unwrap()));
    assert!(told.contains(&format!("`PATH={}`", path.unwrap())), "{told}");
    let source = read("src/phases/script.rs");
    let names = source.split_once("const PASSED_ON: [&str; ").unwrap().1;
    let names = names.split_once("= [").unwrap().1.split(']').next().unwrap();
    for name in names.split(',') {
        assert!(told.contains(&format!("`{}`", name.trim().trim_matches('"'))), "{name}");
    }
}
