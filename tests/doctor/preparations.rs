//! Exclusions, scripts, the password and the first clone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::doctor::patient::{ask, ask_for, assert_foretold, healthy};
use crate::support::sandbox::STEM;

#[test]
fn the_exclusions_in_force_are_listed() {
    let sandbox = healthy();
    let file = sandbox.path().join("excludes");
    fs::write(&file, "# a comment\n\n*.part\n; another\n+ /keep\x1b\n").unwrap();
    ask(&sandbox, &["-e", file.to_str().unwrap()]).assert_code(0).assert(
        "exclusions",
        &[
            "OK    exclusions: 0 built-in patterns and 2 of yours are in force.",
            "        yours: *.part",
            "        yours: + /keep\\#033",
        ],
    );
    fs::write(&file, "x\n".repeat(60)).unwrap();
    let told = ask(&sandbox, &["-e", file.to_str().unwrap()]);
    let lines = told.of_topic("exclusions");
    assert_eq!((lines.len(), lines[51]), (52, "        and 10 more of yours"));
    fs::write(&file, "!\n*.part\n").unwrap();
    ask(&sandbox, &["-e", file.to_str().unwrap()]).assert_code(0).assert(
        "exclusions",
        &[
            "WARN  exclusions: the excludes file holds a lone \"!\", which clears the built-in exclusions.",
            "      To do: Correct the file, unless that is what you want.",
            "OK    exclusions: 0 built-in patterns and 1 of yours are in force.",
            "        yours: *.part",
        ],
    );
    fs::write(&file, "*.part \n").unwrap();
    let told = ask(&sandbox, &["-e", file.to_str().unwrap()]);
    assert_eq!(
        told.of_topic("exclusions")[..2],
        [
            "WARN  exclusions: the excludes file may not do what it should: line 1: the blanks around it belong to the \
             pattern.",
            "      To do: Correct the file, unless that is what you want.",
        ]
    );
    assert_foretold(&sandbox, &["-e", "/nonexistent"], 67);
    assert_foretold(&sandbox, &["-e", sandbox.source.to_str().unwrap()], 67);
}

#[test]
fn the_built_in_exclusions_of_a_system_are_listed() {
    let sandbox = healthy();
    // Without a destination nothing is counted.
    let told = ask_for(&sandbox, ["-s", "/"]);
    let lines = told.of_topic("exclusions");
    assert_eq!(lines[0], "OK    exclusions: 9 built-in patterns and 0 of yours are in force.");
    assert_eq!(
        (lines.len(), lines[1], lines[9]),
        (10, "        built-in: /dev/*", "        built-in: /swapfile")
    );
}

#[test]
fn scripts_are_looked_at_and_not_run() {
    let sandbox = healthy();
    let ran = sandbox.path().join("ran");
    let script = sandbox.script("script", &format!("echo >'{}'", ran.display()));
    let script = script.to_str().unwrap();
    ask(&sandbox, &["-p", script, "-o", script])
        .assert_code(0)
        .assert("pre-clone script", &["OK    pre-clone script: @/script can be executed."])
        .assert("post-clone script", &["OK    post-clone script: @/script can be executed."]);
    assert!(!ran.exists());
    fs::set_permissions(script, fs::Permissions::from_mode(0o644)).unwrap();
    assert_foretold(&sandbox, &["-p", script], 68).assert(
        "pre-clone script",
        &[
            "FAIL  pre-clone script: The pre-clone script @/script cannot be executed: it has no execute permission; chmod \
             +x it. (68)",
            "      To do: check `-p`: `chmod +x` it and give it a `#!` line whose interpreter exists",
        ],
    );
    assert_foretold(&sandbox, &["-o", script], 69);
}

#[test]
fn the_password_is_looked_for() {
    let sandbox = healthy();
    let told = assert_foretold(&sandbox, &["-B"], 92);
    assert_eq!(
        told.of_topic("password")[0],
        "FAIL  password: No password for the server backup: none is stored in \
         @/host/credstore.encrypted/me.jedda.counterpart or @/host/credstore/me.jedda.counterpart. Store one with: \
         counterpart setpass -g me.jedda (92)"
    );
    let store = sandbox.host().join("credstore");
    fs::create_dir(&store).unwrap();
    let file = store.join("me.jedda.counterpart");
    fs::write(&file, "secret words").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    ask(&sandbox, &[]).assert_code(0).assert(
        "password",
        &["OK    password: one for a server backup is stored, but no server backup was requested."],
    );
    let told = assert_foretold(&sandbox, &["-B"], 93);
    told.assert(
        "password",
        &["OK    password: the password of the server backup is stored and can be read."],
    );
    assert!(!told.lines.join("\n").contains("secret words"));
    let told = assert_foretold(&sandbox, &["-b", "secret words"], 93);
    told.assert(
        "password",
        &[
            "WARN  password: -b exposes the password to every user in the process list. Use setpass and -B instead.",
            "      To do: Run counterpart setpass once, and use -B instead of -b.",
        ],
    );
    assert!(!told.lines.join("\n").contains("secret words"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_foretold(&sandbox, &["-B"], 92);
}

#[test]
fn the_first_clone_to_a_disk_that_holds_something_is_foretold() {
    let sandbox = healthy();
    sandbox.write_destination("precious", "x");
    assert_foretold(&sandbox, &[], 76).assert(
        "first clone",
        &[
            "FAIL  first clone: The destination @/destination has no Counterpart marker, and this clone would delete or \
             overwrite 1 file and 0 directories there, among them precious. If it is the right disk, run once with --adopt. \
             (76)",
            "      To do: make sure that this is the right disk, and that the source is all there and its disk mounted; \
             then allow it once with `--adopt` or `--allow-shrink`, as the message says",
        ],
    );
    ask(&sandbox, &["--adopt"]).assert_code(0).assert(
        "first clone",
        &[
            "WARN  first clone: the destination has no Counterpart marker, and --adopt lets a clone delete what it \
             holds.",
            "      To do: Make sure that it is the right disk. Give --adopt once, by hand, and never in a job.",
        ],
    );
    // A test run would show the same and end with 70; the doctor speaks of the clone.
    ask(&sandbox, &["-t"]).assert_code(76);
    assert!(sandbox.destination.join("precious").exists());
    sandbox.write("precious", "x");
    sandbox.write_destination(format!("{STEM}id"), "x\n");
    ask(&sandbox, &[])
        .assert_code(0)
        .assert("first clone", &["OK    first clone: the destination is known as a clone."]);
}

#[test]
fn a_first_clone_that_loses_nothing_needs_no_leave() {
    let sandbox = healthy();
    sandbox.write_destination("file", "content");
    crate::support::tree::set_mtime(&sandbox.source.join("file"), 1_000_000_000, 5);
    crate::support::tree::set_mtime(&sandbox.destination.join("file"), 1_000_000_000, 5);
    ask(&sandbox, &[]).assert_code(0).assert(
        "first clone",
        &["OK    first clone: the destination has no Counterpart marker, and a clone would delete nothing there."],
    );
    sandbox.clone(&[]).assert_code(0);
}
