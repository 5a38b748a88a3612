//! The root check, and a clone without root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::nobody::{self, NOBODY};
use crate::support::sandbox::Sandbox;
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

#[test]
fn without_root_the_run_ends_with_1_before_anything_else() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    nobody::give(&sandbox.source);
    nobody::give(&sandbox.destination);
    nobody::give(&sandbox.host());
    let before = [&sandbox.source, &sandbox.destination].map(|dir| snapshot_with_ctime(dir));
    let finished = nobody::run(&sandbox, sandbox.arguments([] as [&str; 0]));
    assert_eq!(finished.code, 1, "{finished}");
    assert_eq!(finished.out, "", "there is no log yet");
    finished.assert_err(
        "counterpart: Counterpart must be run as root. Use sudo, or --allow-non-root for a clone without owners and \
         special files.\n",
    );
    let after = [&sandbox.source, &sandbox.destination].map(|dir| snapshot_with_ctime(dir));
    assert_unchanged(&before[0], &after[0]);
    assert_unchanged(&before[1], &after[1]);
    assert!(!sandbox.host().join("log").exists());
    assert!(!sandbox.host().join("lock").exists());
}

#[test]
fn allowed_without_root_the_clone_is_made_and_the_log_tells_what_is_missing() {
    let sandbox = Sandbox::new();
    sandbox.write("directory/file", "content");
    sandbox.write("roots", "content");
    nobody::give(&sandbox.source.join("directory"));
    nobody::give(&sandbox.destination);
    mkfifo(&sandbox.source.join("fifo"), Mode::from_bits_truncate(0o644)).unwrap();
    let finished = nobody::clone(&sandbox, &[]);
    finished.assert_code(0).assert_err("");
    finished.assert_log(
        "Warning: not root: ownership and special files (devices, FIFOs, sockets) are not cloned.",
    );
    assert_eq!(sandbox.names(), ["directory", "roots"], "{finished}");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    assert_eq!(fs::metadata(sandbox.destination.join("roots")).unwrap().uid(), NOBODY);
    assert_eq!(fs::read_to_string(sandbox.destination.join("directory/file")).unwrap(), "content");
}

#[test]
fn with_root_the_option_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.clone(&["--allow-non-root"]).assert_code(0).assert_err("").assert_no_log("not root");
}

#[test]
fn an_unreadable_source_is_65_without_root() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    nobody::give(&sandbox.destination);
    fs::set_permissions(&sandbox.source, fs::Permissions::from_mode(0o700)).unwrap();
    let finished = nobody::clone(&sandbox, &[]);
    finished.assert_code(65).assert_err(&format!(
        "counterpart: The source {} cannot be read: Permission denied. Check -s; is the volume mounted?\n",
        sandbox.source.display()
    ));
    assert_eq!(sandbox.markers(), ["error"]);
}

#[test]
fn a_destination_without_rights_is_66_without_root() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let before = snapshot_with_ctime(&sandbox.destination);
    let finished = nobody::clone(&sandbox, &[]);
    finished.assert_code(66).assert_err(&format!(
        "counterpart: The destination {} cannot be written: Permission denied.\n",
        sandbox.destination.display()
    ));
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
}

#[test]
fn an_unreadable_excludes_file_is_67_without_root() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    nobody::give(&sandbox.destination);
    let excludes = sandbox.path().join("excludes");
    fs::write(&excludes, "x\n").unwrap();
    fs::set_permissions(&excludes, fs::Permissions::from_mode(0o600)).unwrap();
    let finished = nobody::clone(&sandbox, &["-e", excludes.to_str().unwrap()]);
    finished.assert_code(67).assert_err(&format!(
        "counterpart: The excludes file {} cannot be read: Permission denied. Check -e.\n",
        excludes.display()
    ));
    assert_eq!(sandbox.markers(), [] as [&str; 0]);
}

#[test]
fn a_file_that_this_user_cannot_read_is_23_and_named() {
    let sandbox = Sandbox::new();
    sandbox.write("open", "content");
    sandbox.write("closed", "content");
    fs::set_permissions(sandbox.source.join("closed"), fs::Permissions::from_mode(0o600)).unwrap();
    nobody::give(&sandbox.destination);
    let finished = nobody::clone(&sandbox, &[]);
    finished
        .assert_code(23)
        .assert_log("Failing paths:")
        .assert_log(&format!("  {}", sandbox.source.join("closed").display()));
    assert_eq!(sandbox.names(), ["open"]);
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
}

/// Every rsync from 3.1.3 to 3.5.1 waits for ever for such a file if its recursion is incremental.
#[test]
fn a_changed_file_of_several_names_that_cannot_be_opened_is_23_and_no_hang() {
    let sandbox = Sandbox::new();
    sandbox.write("b", "old");
    fs::hard_link(sandbox.source.join("b"), sandbox.source.join("c")).unwrap();
    nobody::give(&sandbox.source.join("b"));
    nobody::give(&sandbox.destination);
    let limit = ["--stall-timeout", "20s"];
    nobody::clone(&sandbox, &limit).assert_code(0);
    fs::write(sandbox.source.join("b"), "new contents").unwrap();
    fs::set_permissions(sandbox.source.join("b"), fs::Permissions::from_mode(0o000)).unwrap();
    let finished = nobody::clone(&sandbox, &limit);
    finished.assert_code(23).assert_log("Failing paths:");
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    fs::set_permissions(sandbox.source.join("b"), fs::Permissions::from_mode(0o600)).unwrap();
    nobody::clone(&sandbox, &limit).assert_code(0);
    assert_eq!(fs::read_to_string(sandbox.destination.join("c")).unwrap(), "new contents");
}

#[test]
fn statistics_that_cannot_be_read_refuse_the_clone() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    nobody::give(&sandbox.source);
    nobody::give(&sandbox.destination);
    nobody::clone(&sandbox, &[]).assert_code(0);
    let stats = sandbox.marker("stats");
    std::os::unix::fs::lchown(&stats, Some(0), Some(0)).unwrap();
    fs::set_permissions(&stats, fs::Permissions::from_mode(0o600)).unwrap();
    let told = format!(
        "Whether the source {} has shrunk cannot be determined: the statistics of the last clone cannot be read (Permission \
         denied). If the source is right, run once with --allow-shrink.",
        sandbox.source.display()
    );
    let before = snapshot_with_ctime(&sandbox.destination);
    nobody::clone(&sandbox, &[]).assert_code(76).assert_err(&format!("counterpart: {told}\n"));
    nobody::clone(&sandbox, &["--adopt"]).assert_code(76);
    let warned = format!("Warning: a real run would be refused with code 76. {told}");
    nobody::clone(&sandbox, &["-t"]).assert_code(70).assert_log(&warned);
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
    nobody::clone(&sandbox, &["--allow-shrink"]).assert_code(0).assert_err("");
    nobody::clone(&sandbox, &[]).assert_code(0).assert_err("");
}
