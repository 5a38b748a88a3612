//! The test run: it shows everything and changes nothing.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::support::sandbox::{Finished, STEM, Sandbox};
use crate::support::tree::{Snapshot, assert_unchanged, snapshot_with_ctime};

fn ends(sandbox: &Sandbox) -> [Snapshot; 2] {
    [&sandbox.source, &sandbox.destination].map(|dir| snapshot_with_ctime(dir))
}

/// Runs with `-t` and more; nothing may change at either end, and no lock may be taken.
#[track_caller]
fn test_run(sandbox: &Sandbox, more: &[&str]) -> Finished {
    let before = ends(sandbox);
    let mut arguments = vec!["-t"];
    arguments.extend(more);
    let finished = sandbox.clone(&arguments);
    let after = ends(sandbox);
    assert_unchanged(&before[0], &after[0]);
    assert_unchanged(&before[1], &after[1]);
    assert!(!sandbox.host().join("lock").exists());
    finished
}

#[test]
fn everything_that_would_change_is_shown() {
    let sandbox = Sandbox::new();
    sandbox.write("directory/new", "content");
    sandbox.write("changed", "new content");
    sandbox.write("mode", "same");
    sandbox.write("same", "same");
    symlink("target", sandbox.source.join("link")).unwrap();
    sandbox.write("two\nlines", "x");
    sandbox.write_destination("changed", "old");
    sandbox.write_destination("mode", "same");
    sandbox.write_destination("same", "same");
    sandbox.write_destination("gone/below", "x");
    sandbox.write_destination(format!("{STEM}id"), "x\n");
    for name in ["mode", "same"] {
        for dir in [&sandbox.source, &sandbox.destination] {
            crate::support::tree::set_mtime(&dir.join(name), 1_000_000_000, 5);
        }
    }
    fs::set_permissions(sandbox.source.join("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    let finished = test_run(&sandbox, &[]);
    finished.assert_code(70).assert_err("");
    for line in [
        "This is a test run: nothing is changed.\n",
        "Would create directory/\n",
        "Would create directory/new\n",
        "Would create link\n",
        "Would create two\\#012lines\n",
        "Would change changed (>f.s",
        "Would change mode (.f...p",
        "Would delete gone/below\n",
        "Would delete gone/\n",
        "Test run: would create 4, change 3 and delete 2 entries, and write 19 B. Nothing was changed.\n",
    ] {
        finished.assert_log(line);
    }
    finished.assert_no_log(" same").assert_no_log("Cloning.").assert_no_log(".counterpart.id");
    // What was told is what happens.
    sandbox.clone(&[]).assert_code(0);
    let finished = sandbox.clone(&["-t"]);
    finished
        .assert_code(70)
        .assert_log("Test run: would create 0, change 0 and delete 0 entries, and write 0 B.");
}

#[test]
fn an_unmarked_destination_is_warned_about() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let warning = "Warning: a real run would be refused with code 76. The destination ";
    test_run(&sandbox, &[]).assert_code(70).assert_no_log(warning);
    sandbox.write_destination("precious", "x");
    let finished = test_run(&sandbox, &[]);
    finished.assert_code(70).assert_err("").assert_log(warning);
    finished.assert_log("would delete or overwrite 1 file and 0 directories there, among them precious.");
    test_run(&sandbox, &["--adopt"]).assert_code(70).assert_no_log(warning);
}

#[test]
fn scripts_are_looked_at_but_not_run() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write("excluded", "content");
    let ran = sandbox.path().join("ran");
    let script = sandbox.script("script", &format!("touch '{}'", ran.display()));
    let excludes = sandbox.path().join("excludes");
    fs::write(&excludes, "excluded\n").unwrap();
    let (script, excludes) = (script.to_str().unwrap(), excludes.to_str().unwrap());
    let finished = test_run(&sandbox, &["-e", excludes, "-p", script, "-o", script, "--strict-scripts"]);
    finished
        .assert_code(70)
        .assert_err("")
        .assert_log("Would create file\n")
        .assert_no_log("Would create excluded");
    assert!(!ran.exists());
    test_run(&sandbox, &["-p", "/nonexistent"]).assert_code(68);
    test_run(&sandbox, &["-o", "/nonexistent"]).assert_code(69);
    test_run(&sandbox, &["-e", "/nonexistent"]).assert_code(67);
    test_run(&sandbox, &["-e", excludes, "-p", "/bin"]).assert_code(68);
    test_run(&sandbox, &["--rsync", "/nonexistent"]).assert_code(85);
    test_run(&sandbox, &["--rsync", "/bin/true"]).assert_code(86);
    assert_eq!(sandbox.markers(), [] as [&str; 0]);
}

#[test]
fn the_ends_are_checked_as_ever() {
    let sandbox = Sandbox::new();
    test_run(&sandbox, &[]).assert_code(65);
    sandbox.write("file", "content");
    fs::remove_dir(&sandbox.destination).unwrap();
    let finished = sandbox.clone(&["-t"]);
    finished.assert_code(66);
    assert!(!sandbox.destination.exists(), "rsync would have made it");
    sandbox
        .run(["-t", "-s", sandbox.source.to_str().unwrap(), "-d", sandbox.source.to_str().unwrap()])
        .assert_code(87);
}

#[test]
fn the_markers_of_the_last_run_stay() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    fs::remove_dir_all(sandbox.host().join("lock")).unwrap();
    test_run(&sandbox, &[]).assert_code(70);
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    fs::write(sandbox.marker("error"), "The last reason.\n").unwrap();
    test_run(&sandbox, &["-p", "/nonexistent"]).assert_code(68);
    assert_eq!(sandbox.markers(), ["completed", "error", "id", "stats"]);
}

#[test]
fn a_failing_dry_run_fails_the_test_run() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.rsync("case \" $* \" in *' --version '*) echo 'rsync  version 3.5.0  protocol version 32'; exit;; esac; exit 12");
    test_run(&sandbox, &[]).assert_code(12);
    sandbox.rsync("case \" $* \" in *' --version '*) echo 'rsync  version 3.5.0  protocol version 32'; exit;; esac; exit 23");
    test_run(&sandbox, &[]).assert_code(70).assert_log("Warning: rsync ended with code 23: ");
}
