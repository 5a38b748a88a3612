//! What the documents say about the monitoring plugin, and every command that they show.

use std::fs;
use std::path::Path;
use std::process::Command;

use counterpart::check::status::Status;

use crate::documents::{block, code, read, section, table};
use crate::support::sandbox::{FAKE_HOST, Finished, Sandbox};

/// A sandbox with a fresh clone, and a link to the program with the plugin's name.
fn cloned() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    sandbox
}

/// Runs a line of a document by a shell, with the sandbox's paths in the place of the usual ones.
fn shell(sandbox: &Sandbox, line: &str) -> Finished {
    let plugin = sandbox.path().join("check_counterpart_clone");
    let line = line
        .replace("/usr/lib/nagios/plugins/check_counterpart_clone", plugin.to_str().unwrap())
        .replace("/mnt/clone", sandbox.destination.to_str().unwrap())
        .replace("/usr/local/sbin/counterpart", FAKE_HOST);
    let line = match line.strip_prefix("counterpart ") {
        Some(rest) => format!("{FAKE_HOST} {rest}"),
        None => line.strip_prefix("sudo ").unwrap_or(&line).to_owned(),
    };
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &line]).env("COUNTERPART_FAKE_HOST", sandbox.host());
    Finished::from(command.output().unwrap())
}

/// The tables of a section, in order.
fn tables(text: &str) -> Vec<Vec<Vec<String>>> {
    let parts = text.split("\n\n").filter(|part| part.trim_start().starts_with('|'));
    parts.map(|part| table(part.trim_start())).collect()
}

fn monitoring() -> String {
    section("docs/monitoring.md", "## The plugin")
}

#[test]
fn the_columns_and_the_states_of_the_table_are_the_programs() {
    let told = tables(&section("docs/monitoring.md", "## Status"));
    let first = |table: &Vec<Vec<String>>| -> Vec<String> {
        let cells = table.iter().flat_map(|row| row[0].split(", "));
        cells.map(|cell| cell.trim_matches('`').to_owned()).collect()
    };
    let heading = shell(&cloned(), "counterpart status").out.lines().next().unwrap().to_owned();
    let columns: Vec<&str> = heading.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect();
    assert_eq!(first(&told[0]), columns);
    let schema: serde_json::Value = serde_json::from_str(&read("examples/status.schema.json")).unwrap();
    let states = schema["$defs"]["clone"]["properties"]["state"]["enum"].as_array().unwrap();
    assert_eq!(first(&told[1]), states.iter().map(|state| state.as_str().unwrap()).collect::<Vec<_>>());
}

#[test]
fn the_states_are_the_programs() {
    let told: Vec<[String; 2]> =
        tables(&monitoring())[0].iter().map(|row| [row[0].clone(), row[1].clone()]).collect();
    let states = [Status::Ok, Status::Warning, Status::Critical, Status::Unknown];
    assert_eq!(told, states.map(|state| [state.word().to_owned(), state.number().to_string()]));
}

/// Digits in a row become `N`, so that two answers of one form are equal; times become `T`.
fn shape(line: &str) -> String {
    let number = regex::Regex::new("[0-9][0-9,.]*( (d|h|min|s)( [0-9]+ (h|min))?)?").unwrap();
    number.replace_all(line, "N").into_owned()
}

#[test]
fn the_answer_looks_as_it_is_shown() {
    let sandbox = cloned();
    let shown = block(&monitoring(), "    counterpart check -d /mnt/clone");
    let run = shell(&sandbox, "counterpart check -d /mnt/clone");
    assert_eq!(run.code, 0, "{run}");
    let real: Vec<String> = run
        .out
        .replace(sandbox.destination.to_str().unwrap(), "/mnt/clone")
        .replace(&format!("{} on testhost", sandbox.source.display()), "/ on server")
        .replace(sandbox.host().join("log").to_str().unwrap(), "/var/log/counterpart")
        .lines()
        .map(shape)
        .collect();
    assert_eq!(shown.iter().map(|line| shape(line)).collect::<Vec<_>>(), real);
}

#[test]
fn each_number_is_explained_in_the_order_in_which_they_come() {
    let run = shell(&cloned(), "counterpart check -d /mnt/clone");
    let data = run.out.lines().next().unwrap().split_once(" | ").unwrap().1;
    let labels: Vec<String> =
        data.split(' ').map(|datum| format!("`{}`", datum.split('=').next().unwrap())).collect();
    let told: Vec<String> = tables(&monitoring())[1].iter().map(|row| row[0].clone()).collect();
    assert_eq!(told, labels);
}

#[test]
fn every_command_that_is_shown_says_that_a_fresh_clone_is_well() {
    let sandbox = cloned();
    let mut seen = 0;
    for document in ["README.md", "docs/monitoring.md", "SCHEDULING.md"] {
        for line in code(document).iter().filter(|line| line.starts_with("counterpart check")) {
            let run = shell(&sandbox, line);
            assert_eq!((run.code, run.err.as_str()), (0, ""), "{document}: {line}: {run}");
            assert!(run.out.starts_with("CLONE OK - "), "{line}: {run}");
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn the_link_and_the_line_for_nrpe_work_as_they_stand() {
    let sandbox = cloned();
    let link = block(&section("docs/monitoring.md", "### Nagios, Icinga, NRPE"), "A link to the program");
    assert_eq!(shell(&sandbox, &link[0]).code, 0, "{link:?}");
    assert!(fs::read_link(sandbox.path().join("check_counterpart_clone")).is_ok());
    let told = read("docs/monitoring.md");
    let command =
        told.lines().find_map(|line| line.trim().strip_prefix("command[check_counterpart_clone]=")).unwrap();
    let run = shell(&sandbox, command);
    assert_eq!(run.code, 0, "{run}");
    assert!(run.out.contains("s;93600;180000;0 "), "{run}");
    // The examples link it from the same place.
    for example in ["nagios.cfg", "icinga2.conf"] {
        assert!(read(&format!("examples/{example}")).contains(&link[0]), "{example}");
    }
}

#[test]
fn the_line_for_cron_is_silent_until_there_is_something_to_tell() {
    let sandbox = cloned();
    let guide = read("SCHEDULING.md");
    let line = guide.lines().find_map(|line| line.trim().split_once(" * * * nobody ")).unwrap().1;
    assert!(!line.contains('%'), "a line break to cron: {line}");
    let run = shell(&sandbox, line);
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (0, "", ""), "{run}");
    sandbox.clone(&["-e", "/nonexistent"]).assert_code(67);
    let run = shell(&sandbox, line);
    assert!(run.out.starts_with("CLONE CRITICAL - "), "{run}");
}

#[test]
fn the_directories_of_what_is_remembered_are_the_programs() {
    let source = read("src/host.rs");
    for dir in ["/var/lib/counterpart", "/var/db/counterpart"] {
        assert!(Path::new(dir).is_absolute() && source.contains(&format!("\"{dir}\"")), "{dir}");
        assert!(monitoring().contains(&format!("`{dir}`")), "{dir}");
    }
}

#[test]
fn a_clone_that_is_forgotten_is_judged_no_more() {
    let sandbox = cloned();
    let dir = sandbox.host().join("state");
    let name = fs::read_dir(&dir).unwrap().next().unwrap().unwrap().file_name();
    assert!(name.to_str().unwrap().starts_with("destination-"), "the last part of the path: {name:?}");
    fs::remove_file(dir.join(name)).unwrap();
    let run = shell(&sandbox, "counterpart check");
    assert_eq!(run.code, 3, "{run}");
}
