//! The source and the destination: what is refused, with which code, and what that leaves behind.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::mounted::Mounted;
use crate::support::sandbox::{Finished, STEM, Sandbox, marks_of};
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

fn run(sandbox: &Sandbox, source: &Path, destination: &Path) -> Finished {
    sandbox.run(["-s".as_ref(), source.as_os_str(), "-d".as_ref(), destination.as_os_str()])
}

/// A sandbox with a file in the source and one in the destination, and a marker there that says it is ours.
fn accepted() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write_destination("old", "content");
    sandbox.write_destination(format!("{STEM}completed"), "");
    sandbox.write_destination(format!("{STEM}id"), "x\n");
    sandbox
}

/// The run ends with 65, the destination loses nothing but its completion and gets the reason.
#[track_caller]
fn refused_source(sandbox: &Sandbox, source: &Path, why: &str) {
    let finished = run(sandbox, source, &sandbox.destination);
    finished.assert_code(65);
    let sentence = format!("The source {} {why}\n", source.display());
    finished
        .assert_err(&format!("counterpart: {sentence}"))
        .assert_log(&format!("Error: {}", sentence.trim_end()));
    assert_eq!(sandbox.names(), ["old"]);
    assert_eq!(sandbox.markers(), ["error", "id"]);
    assert_eq!(sandbox.read_marker("error"), sentence);
}

#[test]
fn a_source_that_is_no_readable_directory_is_65() {
    let sandbox = accepted();
    let missing = sandbox.path().join("missing");
    refused_source(
        &sandbox,
        &missing,
        "cannot be read: No such file or directory. Check -s; is the volume mounted?",
    );
    let file = sandbox.source.join("file");
    refused_source(&sandbox, &file, "cannot be read: Not a directory. Check -s; is the volume mounted?");
    let dangling = sandbox.path().join("dangling");
    symlink("nowhere", &dangling).unwrap();
    refused_source(
        &sandbox,
        &dangling,
        "cannot be read: No such file or directory. Check -s; is the volume mounted?",
    );
    let fifo = sandbox.path().join("fifo");
    mkfifo(&fifo, Mode::from_bits_truncate(0o644)).unwrap();
    refused_source(&sandbox, &fifo, "cannot be read: Not a directory. Check -s; is the volume mounted?");
}

const EMPTY: &str =
    "is empty; a clone of it would delete everything at the destination. Is the volume mounted?";

#[test]
fn an_empty_source_is_65() {
    let sandbox = accepted();
    fs::remove_file(sandbox.source.join("file")).unwrap();
    refused_source(&sandbox, &sandbox.source.clone(), EMPTY);
    fs::create_dir(sandbox.source.join("lost+found")).unwrap();
    refused_source(&sandbox, &sandbox.source.clone(), EMPTY);
    sandbox.write(format!("{STEM}completed"), "");
    sandbox.write(format!("{STEM}error"), "");
    refused_source(&sandbox, &sandbox.source.clone(), EMPTY);
}

#[test]
fn a_source_that_holds_only_markers_of_another_prefix_is_empty_too() {
    for marker in
        ["org.example.counterpart.id", "org.example.counterpart.completed", "org.example.counterpart.error"]
    {
        let sandbox = accepted();
        fs::remove_file(sandbox.source.join("file")).unwrap();
        sandbox.write(format!(".{marker}"), "");
        refused_source(&sandbox, &sandbox.source.clone(), EMPTY);
    }
    let sandbox = Sandbox::new();
    sandbox.write(format!("{STEM}completed"), "");
    sandbox.write(format!("{STEM}error.tmp-01234567"), "");
    sandbox.write_destination("old", "content");
    sandbox.write_destination(".org.example.counterpart.id", "x\n");
    sandbox.clone(&["-g", "org.example"]).assert_code(65);
    assert_eq!(fs::read_to_string(sandbox.destination.join("old")).unwrap(), "content");
}

/// The run ends with `code`, says exactly this, and nothing at the destination or the source has changed.
#[track_caller]
fn refused(sandbox: &Sandbox, source: &Path, destination: &Path, code: i32, sentence: &str) {
    let log = sandbox.host();
    let inside = log.strip_prefix(sandbox.path()).unwrap();
    let before = snapshot_with_ctime(sandbox.path()).without(inside);
    let finished = run(sandbox, source, destination);
    finished.assert_code(code).assert_err(&format!("counterpart: {sentence}\n"));
    finished.assert_log(&format!("Error: {sentence}"));
    assert_unchanged(&before, &snapshot_with_ctime(sandbox.path()).without(inside));
}

#[test]
fn a_destination_that_is_no_directory_is_66() {
    let sandbox = accepted();
    let dir = sandbox.path();
    let (missing, file, link, dangling) =
        (dir.join("missing"), dir.join("file"), dir.join("link"), dir.join("dangling"));
    fs::write(&file, "").unwrap();
    symlink(&sandbox.destination, &link).unwrap();
    symlink("nowhere", &dangling).unwrap();
    let refused = |destination: &Path, shown: &Path, why: &str| {
        let sentence = format!("The destination {} cannot be written: {why}.", shown.display());
        refused(&sandbox, &sandbox.source, destination, 66, &sentence);
    };
    let is_missing = "it does not exist, and Counterpart does not create it. Perhaps its disk is not mounted";
    refused(&missing, &missing, is_missing);
    refused(&missing.join("below"), &missing.join("below"), is_missing);
    refused(&file, &file, "it is not a directory");
    refused(&file.join("below"), &file.join("below"), "Not a directory");
    let is_link = "it is a symbolic link; give the directory that it points to";
    refused(&link, &link, is_link);
    refused(&link.join(""), &link, is_link);
    refused(&PathBuf::from(format!("{}/./", link.display())), &link, is_link);
    refused(&dangling, &dangling, is_link);
    refused(Path::new("/dev/null"), Path::new("/dev/null"), "it is not a directory");
}

#[test]
fn a_read_only_destination_is_66() {
    let sandbox = accepted();
    let point = sandbox.path().join("point");
    fs::create_dir(&point).unwrap();
    let mounted = Mounted::bind_read_only(&sandbox.destination, &point);
    let sentence = format!("The destination {} cannot be written: it is mounted read-only.", point.display());
    refused(&sandbox, &sandbox.source, &point, 66, &sentence);
    drop(mounted);
}

#[test]
fn an_ordinary_link_above_the_destination_is_followed() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let link = sandbox.path().join("link");
    symlink(sandbox.path(), &link).unwrap();
    run(&sandbox, &sandbox.source, &link.join("destination")).assert_code(0).assert_err("");
    assert_eq!(sandbox.names(), ["file"]);
}

#[test]
fn the_same_directory_at_both_ends_is_87() {
    let sandbox = accepted();
    let (source, link, bind) =
        (sandbox.source.clone(), sandbox.path().join("link"), sandbox.path().join("bind"));
    symlink(&source, &link).unwrap();
    fs::create_dir(&bind).unwrap();
    let mounted = Mounted::bind(&source, &bind);
    let same = |shown: &Path| {
        format!(
            "The source and the destination are the same directory, {}. Check -s and -d.",
            shown.display()
        )
    };
    refused(&sandbox, &source, &source, 87, &same(&source));
    refused(&sandbox, &source, &source.join(""), 87, &same(&source));
    refused(&sandbox, &source.join("../source"), &source, 87, &same(&source));
    refused(&sandbox, &link, &source, 87, &same(&source));
    refused(&sandbox, &source, &bind, 87, &same(&source));
    refused(&sandbox, &bind, &source, 87, &same(&bind));
    drop(mounted);
}

#[test]
fn the_same_empty_directory_at_both_ends_gets_no_marker() {
    let sandbox = Sandbox::new();
    let before = snapshot_with_ctime(&sandbox.source);
    let finished = run(&sandbox, &sandbox.source, &sandbox.source);
    assert!([65, 87].contains(&finished.code), "{finished}");
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.source));
}

#[test]
fn a_source_inside_the_destination_is_87() {
    let sandbox = accepted();
    let inner = sandbox.destination.join("deep/source");
    fs::create_dir_all(&inner).unwrap();
    fs::write(inner.join("file"), "content").unwrap();
    let sentence = |source: &Path| {
        format!(
            "The source {} lies inside the destination {}; the clone would delete it. Check -s and -d.",
            source.display(),
            sandbox.destination.display()
        )
    };
    refused(&sandbox, &inner, &sandbox.destination, 87, &sentence(&inner));
    let link = sandbox.path().join("link");
    symlink(&inner, &link).unwrap();
    refused(&sandbox, &link, &sandbox.destination, 87, &sentence(&inner));
}

#[test]
fn a_source_mounted_inside_the_destination_is_87() {
    let sandbox = accepted();
    let point = sandbox.destination.join("point");
    fs::create_dir(&point).unwrap();
    let mounted = Mounted::tmpfs(&point);
    fs::write(point.join("file"), "content").unwrap();
    let finished = run(&sandbox, &point, &sandbox.destination);
    finished.assert_code(87);
    assert_eq!(fs::read_to_string(point.join("file")).unwrap(), "content");
    assert_eq!(sandbox.markers(), ["completed", "id"]);
    drop(mounted);
}

#[test]
fn a_failure_before_the_source_writes_to_no_refused_destination() {
    let sandbox = accepted();
    let missing = sandbox.path().join("missing");
    let link = sandbox.path().join("link");
    symlink(&sandbox.destination, &link).unwrap();
    let before = snapshot_with_ctime(&sandbox.destination);
    run(&sandbox, &missing, &link).assert_code(65);
    // A wrong rsync is found before the ends are looked at.
    sandbox.rsync("echo 'rsync  version 2.6.9  protocol version 29'");
    let rsync = sandbox.host().join("rsync/rsync");
    let ends = |destination: &Path| {
        let mut arguments = sandbox.arguments(["--rsync", rsync.to_str().unwrap()]);
        arguments[3] = destination.into();
        arguments
    };
    sandbox.run(ends(&link)).assert_code(86);
    let before_source = snapshot_with_ctime(&sandbox.source);
    sandbox.run(ends(&sandbox.source)).assert_code(86);
    assert_unchanged(&before_source, &snapshot_with_ctime(&sandbox.source));
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
}

#[test]
fn a_wrong_rsync_leaves_its_reason_at_an_accepted_destination_unless_it_was_mistyped() {
    let sandbox = accepted();
    let wrong = sandbox.rsync("echo 'rsync  version 2.6.9  protocol version 29'");
    let with_path = |path: &str| {
        Finished::from(sandbox.command(sandbox.arguments([""; 0])).env("PATH", path).output().unwrap())
    };
    let finished = with_path("");
    let sentence = format!(
        "{} is rsync 2.6.9; Counterpart needs Samba's rsync 3.0.9 or later. Install one with: apt-get install rsync \
         (Debian, Ubuntu) or: dnf install rsync (Fedora).\n",
        wrong.display()
    );
    finished.assert_code(86).assert_err(&format!("counterpart: {sentence}"));
    assert_eq!(sandbox.markers(), ["error", "id"]);
    assert_eq!(sandbox.read_marker("error"), sentence);
    let before = snapshot_with_ctime(&sandbox.destination);
    let missing = sandbox.path().join("missing");
    sandbox.clone(&["--rsync", wrong.to_str().unwrap()]).assert_code(86);
    let finished = sandbox.clone(&["--rsync", missing.to_str().unwrap()]);
    let sentence = format!(
        "rsync was not found (searched: {}). Install one with: apt-get install rsync (Debian, Ubuntu) or: dnf \
         install rsync (Fedora).\n",
        missing.display()
    );
    finished.assert_code(85).assert_err(&format!("counterpart: {sentence}"));
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
    fs::remove_file(&wrong).unwrap();
    let finished = with_path("");
    finished.assert_code(85);
    assert_eq!(sandbox.read_marker("error"), finished.err.strip_prefix("counterpart: ").unwrap());
    assert_eq!(sandbox.names(), ["old"]);
}

#[test]
fn a_destination_in_use_by_another_run_is_80_and_untouched() {
    let sandbox = accepted();
    let script = sandbox.script(
        "slow",
        &format!("echo ready; while [ ! -e '{}/go' ]; do sleep 0.05; done", sandbox.path().display()),
    );
    let mut first = sandbox.start(&["-p", script.to_str().unwrap()]);
    assert!(crate::support::sandbox::wait_until(|| {
        sandbox.logs().iter().any(|log| fs::read_to_string(log).unwrap().contains("script: ready"))
    }));
    let sentence = format!(
        "Another Counterpart is cloning to {}. Wait for it to finish.",
        sandbox.destination.display()
    );
    refused(&sandbox, &sandbox.source, &sandbox.destination, 80, &sentence);
    // A failure that comes before the lock writes nothing either.
    let before = snapshot_with_ctime(&sandbox.destination);
    run(&sandbox, &sandbox.path().join("missing"), &sandbox.destination).assert_code(65);
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
    // Another destination is another lock.
    let other = sandbox.path().join("other");
    fs::create_dir(&other).unwrap();
    run(&sandbox, &sandbox.source, &other).assert_code(0);
    fs::write(sandbox.path().join("go"), "").unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert_eq!(marks_of(&sandbox.destination), ["completed", "id", "stats"]);
}

/// A Mac with a marked destination and a file at either end.
fn mac(version: &str) -> Sandbox {
    let sandbox = Sandbox::mac(version);
    sandbox.write("file", "content");
    sandbox.write_destination("old", "content");
    sandbox.write_destination(format!("{STEM}id"), "x\n");
    sandbox.write_destination(format!("{STEM}completed"), "");
    sandbox
}

#[test]
fn a_volume_that_ignores_ownership_is_90_and_untouched() {
    let sandbox = mac("10.15.7");
    sandbox.tool("vsdbutil", "echo \"Permissions on '$2' are disabled.\"");
    let before = snapshot_with_ctime(&sandbox.destination);
    let finished = sandbox.clone(&[]);
    finished.assert_code(90);
    assert!(
        finished.err.contains("ignores ownership: macOS ignores ownership on this volume."),
        "{finished}"
    );
    sandbox.run(["-s", "/nonexistent", "-d", sandbox.destination.to_str().unwrap()]).assert_code(65);
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
}

#[test]
fn a_sealed_system_volume_is_91_and_writes_nothing() {
    let sandbox = mac("11.2");
    crate::support::fakes::recorder(&sandbox);
    let before = snapshot_with_ctime(&sandbox.destination);
    let finished = run(&sandbox, Path::new("/"), &sandbox.destination);
    finished.assert_code(91).assert_err(
        "counterpart: The source / is a sealed system volume, and no copy of its files can boot. Clone \
         /System/Volumes/Data instead.\n",
    );
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
}
