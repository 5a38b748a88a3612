//! The plugin's command line.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::check::scene::{assert_answer, check, cloned, first, performance};
use crate::support::sandbox::{FAKE_HOST, Finished, PRODUCT, Sandbox};

/// Runs a link of this name to the product.
fn linked(sandbox: &Sandbox, name: &str, arguments: &[&str]) -> Finished {
    let link = sandbox.path().join(name);
    if !link.exists() {
        symlink(FAKE_HOST, &link).unwrap();
    }
    let mut command = Command::new(link);
    command.args(arguments).env("COUNTERPART_FAKE_HOST", sandbox.host()).stdin(Stdio::null());
    Finished::from(command.output().unwrap())
}

#[test]
fn what_makes_no_sense_is_unknown_in_one_line() {
    let sandbox = Sandbox::new();
    for (arguments, words) in [
        (&["--nonsense"][..], "unexpected argument '--nonsense' found"),
        (&["word"], "unexpected argument 'word' found"),
        (&["-w"], "a value is required"),
        (&["-w", "soon"], "invalid value 'soon' for '--warning <AGE>'"),
        (&["-c", "-5"], "-5"),
        (&["-w", "99999999999999999999"], "too long"),
        (&["-w", "51h"], "--warning is a longer age than --critical"),
        (&["-w", "100", "-c", "99"], "--warning is a longer age than --critical"),
        (&["-t", "0"], "it is no time at all"),
        (&["-g", ".x"], "the prefix begins with a dot"),
        (&["-g", "a|b\nc"], "letters, digits"),
        (&["-d", ""], "a value is required"),
        (&["-d", "/a", "-d", "/b"], "cannot be used multiple times"),
    ] {
        let all: Vec<&str> = ["check"].iter().chain(arguments).copied().collect();
        for run in [sandbox.run(all), linked(&sandbox, "check_counterpart_clone", arguments)] {
            assert_answer(&run, 3, &[words]);
            assert_eq!(run.out.lines().count(), 1, "{run}");
        }
    }
}

#[test]
fn help_and_version_are_printed_and_are_no_state_that_is_well() {
    let sandbox = Sandbox::new();
    for option in ["--help", "-h"] {
        for run in [sandbox.run(["check", option]), linked(&sandbox, "check_counterpart_clone", &[option])] {
            assert_eq!((run.code, run.err.as_str()), (3, ""), "{run}");
            for word in ["--warning <AGE>", "--critical <AGE>", "--timeout <TIME>", "--destination <DIR|TAG>"]
            {
                assert!(run.out.contains(word), "{word}: {run}");
            }
        }
    }
    let run = sandbox.run(["check", "--version"]);
    assert_eq!((run.code, run.err.as_str()), (3, ""), "{run}");
    assert!(run.out.contains(env!("CARGO_PKG_VERSION")), "{run}");
    // The clone's own help is as it was.
    let run = sandbox.run(["--help"]);
    assert_eq!(run.code, 0, "{run}");
}

#[test]
fn a_link_of_the_plugins_name_is_the_plugin() {
    let sandbox = cloned();
    let destination = sandbox.destination.to_str().unwrap();
    assert_answer(&linked(&sandbox, "check_counterpart_clone", &["-d", destination]), 0, &["completed"]);
    let other = linked(&sandbox, "counterpart_too", &["-d", destination]);
    assert_eq!(other.code, 2, "{other}");
    assert!(other.err.contains("--source"), "{other}");
}

#[test]
fn plain_numbers_are_minutes() {
    let sandbox = cloned();
    let limits = |arguments: &[&str]| performance(&check(&sandbox, arguments))["age"].clone();
    let end = |datum: String| datum.split_once("s;").unwrap().1.to_owned();
    assert_eq!(end(limits(&[])), "93600;180000;0");
    assert_eq!(end(limits(&["-w", "90", "-c", "120"])), "5400;7200;0");
    assert_eq!(end(limits(&["--warning", "2d", "--critical=7d"])), "172800;604800;0");
    assert_eq!(end(limits(&["-w", "1h 30min", "-c", "90min"])), "5400;5400;0");
}

#[test]
fn a_relative_destination_counts_from_where_one_is() {
    let sandbox = cloned();
    let mut command = sandbox.command(["check", "-d", "destination/"]);
    let run = Finished::from(command.current_dir(sandbox.path()).output().unwrap());
    assert_answer(&run, 0, &[&format!("{}: completed", sandbox.destination.display())]);
}

#[test]
fn a_machine_without_a_home_has_no_clone() {
    // The product itself, which must not need a home, a directory of its own, or a PATH.
    let mut command = Command::new(PRODUCT);
    command.args(["check", "-d", "/nonexistent/clone"]).env_clear().stdin(Stdio::null());
    let run = Finished::from(command.output().unwrap());
    assert_answer(
        &run,
        3,
        &["/nonexistent/clone: it does not exist, and this machine has no record of a clone there"],
    );
    assert!(!first(&run).contains(" | "), "{run}");
}

#[test]
fn an_output_that_is_closed_changes_nothing() {
    let sandbox = cloned();
    let destination = sandbox.destination.to_str().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" check -d \"$1\" >&-", FAKE_HOST, destination]);
    let status = command.env("COUNTERPART_FAKE_HOST", sandbox.host()).status().unwrap();
    assert_eq!(status.code(), Some(0));
}
