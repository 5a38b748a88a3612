//! Every `counterpart schedule` command in the documents works, in the documented order.

use std::fs;
use std::path::Path;

use crate::schedule::machine::{Machine, done};

/// The words behind `counterpart` of each piece of code that calls `counterpart schedule`.
fn commands(document: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
    let lines = text.lines().flat_map(|line| match line.strip_prefix("    ") {
        Some(code) => vec![code],
        None => line.split('`').skip(1).step_by(2).collect(),
    });
    let called = lines.filter_map(|line| {
        let line = line.trim().strip_prefix("sudo ").unwrap_or(line.trim());
        line.strip_prefix("counterpart schedule ")
    });
    called
        .map(|rest| {
            // A comment is for the reader.
            let words = rest.split(" #").next().unwrap().split_whitespace();
            ["schedule"].into_iter().chain(words).map(str::to_owned).collect()
        })
        .collect()
}

/// Runs a document's commands on one machine; the directories become the sandbox's.
fn run_all(machine: &Machine, document: &str) -> usize {
    let commands = commands(document);
    let sandbox = &machine.sandbox;
    let exclude = sandbox.path().join("exclude");
    fs::write(&exclude, "/left out\n").unwrap();
    // Jobs need a place that only root can have arranged; `jobs` schedules them there.
    for command in commands.iter().filter(|command| !command.contains(&"--job".to_owned())) {
        let words = command.iter().map(|word| match word.as_str() {
            "/" | "/System/Volumes/Data" => sandbox.source.as_os_str(),
            "/mnt/clone" | "/Volumes/Clone" => sandbox.destination.as_os_str(),
            "/etc/counterpart_exclude" => exclude.as_os_str(),
            other => {
                assert!(!other.starts_with('/'), "{other} in {command:?} belongs to no sandbox");
                other.as_ref()
            }
        });
        let finished = sandbox.run(words);
        assert_eq!(finished.code, 0, "{document}: {command:?}: {finished}");
        done(&finished);
    }
    commands.len()
}

#[test]
fn what_the_documents_show_works_on_both_systems() {
    // No disk is plugged in.
    let none = "<plist version=\"1.0\"><dict><key>AllDisksAndPartitions</key><array/></dict></plist>";
    for document in ["SCHEDULING.md", "README.md"] {
        for machine in [Machine::linux(), Machine::mac("10.9.5"), Machine::mac("14.5")] {
            machine.sandbox.tool("blkid", "exit 2");
            machine.sandbox.tool("diskutil", &format!("[ \"$1\" = list ] && echo '{none}'"));
            assert!(run_all(&machine, document) > 1, "{document}");
        }
    }
}

#[test]
fn the_list_in_the_guide_looks_like_ours() {
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SCHEDULING.md")).unwrap();
    let machine = Machine::linux();
    for name in ["clone", "data"] {
        done(&machine.install(&["--name", name], &[]));
    }
    let of = |unit: &str, text: &str| {
        fs::write(machine.sandbox.path().join(format!("state-counterpart-{unit}")), text).unwrap();
    };
    of("clone.service", "Result=success\nExecMainExitTimestamp=Mon 2026-11-23 03:41:12 UTC\n");
    of(
        "data.service",
        "Result=exit-code\nExecMainStatus=74\nExecMainExitTimestamp=Mon 2026-11-23 02:58:40 UTC\n",
    );
    of(
        "data.timer",
        "LoadState=loaded\nActiveState=active\nNextElapseUSecRealtime=Tue 2026-11-24 02:15:00 UTC\n",
    );
    let listed = machine.schedule(&["list"]);
    let shown: String = done(&listed).lines().flat_map(|line| ["    ", line, "\n"]).collect();
    assert!(guide.contains(&shown), "{shown}");
}

#[test]
fn the_files_in_the_guide_are_those_that_are_written() {
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SCHEDULING.md")).unwrap();
    let name = "clone".parse().unwrap();
    let error_file = counterpart::macos::launchd::error_file(&name);
    for named in [
        format!("`/etc/systemd/system/{}.service`", counterpart::linux::systemd::unit(&name)),
        format!("`/Library/LaunchDaemons/{}.plist`", counterpart::macos::launchd::label(&name)),
        format!("`{}`", error_file.display()),
        format!("    {} ", error_file.display()),
    ] {
        assert!(guide.contains(&named), "{named}");
    }
}
