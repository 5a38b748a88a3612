//! The first clone to a directory that is not empty.

use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::sandbox::{STEM, Sandbox};
use crate::support::tree::{assert_unchanged, snapshot, snapshot_with_ctime};

/// The run ends with 76, naming these numbers and examples, and the destination is as it was.
#[track_caller]
fn refused(sandbox: &Sandbox, files: u64, dirs: u64, examples: &str) {
    refused_with(sandbox, &[], files, dirs, examples);
}

fn counted(number: u64, thing: &str) -> String {
    let plural = if thing == "file" { "files" } else { "directories" };
    format!("{number} {}", if number == 1 { thing } else { plural })
}

#[track_caller]
fn refused_with(sandbox: &Sandbox, more: &[&str], files: u64, dirs: u64, examples: &str) {
    let before = snapshot_with_ctime(&sandbox.destination);
    let finished = sandbox.clone(more);
    let sentence = format!(
        "The destination {} has no Counterpart marker, and this clone would delete or overwrite {} and {} there, among them {examples}. If it is the right disk, run once with --adopt.",
        sandbox.destination.display(),
        counted(files, "file"),
        counted(dirs, "directory")
    );
    finished.assert_code(76).assert_err(&format!("counterpart: {sentence}\n"));
    finished.assert_log(&format!("Error: {sentence}"));
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
}

#[test]
fn what_would_be_lost_is_counted_and_the_first_five_are_named() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write_destination("only", "x");
    refused(&sandbox, 1, 0, "only");
    fs::create_dir(sandbox.destination.join("directory")).unwrap();
    for name in ["a", "b", "c", "d", "e", "f"] {
        sandbox.write_destination(format!("directory/{name}"), "x");
    }
    let before = snapshot_with_ctime(&sandbox.destination);
    let finished = sandbox.clone(&[]);
    finished.assert_code(76);
    assert!(
        finished.err.contains("would delete or overwrite 7 files and 1 directory there, among them "),
        "{finished}"
    );
    let (_, named) = finished.err.split_once("among them ").unwrap();
    let (named, _) = named.split_once(". If").unwrap();
    assert_eq!(named.split(", ").count(), 5, "{named}");
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
}

#[test]
fn names_are_escaped_when_shown() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write_destination("two\nlines\x1b[2J", "x");
    refused(&sandbox, 1, 0, "two\\#012lines\\#033[2J");
}

#[test]
fn a_file_that_gives_way_to_anything_counts() {
    for kind in ["link", "fifo", "directory", "other"] {
        let sandbox = Sandbox::new();
        sandbox.write_destination("name", "precious");
        let name = sandbox.source.join("name");
        match kind {
            "link" => symlink("nowhere", name).unwrap(),
            "fifo" => mkfifo(&name, Mode::from_bits_truncate(0o644)).unwrap(),
            "directory" => fs::create_dir(name).unwrap(),
            _ => fs::write(name, "other content").unwrap(),
        }
        refused(&sandbox, 1, 0, "name");
    }
}

#[test]
fn a_directory_that_gives_way_to_a_file_counts() {
    let sandbox = Sandbox::new();
    sandbox.write("name", "file");
    sandbox.write_destination("name/below", "precious");
    let before = snapshot(&sandbox.destination);
    let finished = sandbox.clone(&[]);
    finished.assert_code(76);
    assert!(finished.err.contains("name/below"), "{finished}");
    assert_unchanged(&before, &snapshot(&sandbox.destination));
}

#[test]
fn a_link_with_another_target_counts() {
    let sandbox = Sandbox::new();
    symlink("new", sandbox.source.join("link")).unwrap();
    symlink("old", sandbox.destination.join("link")).unwrap();
    refused(&sandbox, 1, 0, "link");
}

#[test]
fn what_the_source_has_as_well_is_no_loss() {
    let sandbox = Sandbox::new();
    for (dir, seconds) in [(&sandbox.source, 1_000_000_000), (&sandbox.destination, 1_000_000_000)] {
        fs::create_dir(dir.join("directory")).unwrap();
        fs::write(dir.join("directory/file"), "content").unwrap();
        crate::support::tree::set_mtime(&dir.join("directory/file"), seconds, 0);
    }
    fs::create_dir(sandbox.destination.join("lost+found")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(sandbox.names(), ["directory", "lost+found"]);
}

#[test]
fn adopt_allows_it_once_and_then_it_is_ours() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write_destination("old", "x");
    sandbox.clone(&["--adopt"]).assert_code(0).assert_err("");
    assert_eq!(sandbox.names(), ["file"]);
    sandbox.write_destination("new", "x");
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(sandbox.names(), ["file"]);
}

#[test]
fn each_owning_marker_of_ours_or_the_default_is_leave_enough() {
    for (prefix, owner) in
        [("me.jedda", "me.jedda"), ("org.example", "org.example"), ("org.example", "me.jedda")]
    {
        for suffix in ["id", "completed", "stats"] {
            let sandbox = Sandbox::new();
            sandbox.write("file", "content");
            sandbox.write_destination("old", "x");
            sandbox.write_destination(format!(".{owner}.counterpart.{suffix}"), "x\n");
            sandbox.clone(&["-g", prefix]).assert_code(0).assert_err("");
            assert!(!sandbox.destination.join("old").exists());
        }
    }
}

#[test]
fn other_markers_are_none() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write_destination("old", "x");
    sandbox.write_destination(format!("{STEM}error"), "The last reason.\n");
    refused(&sandbox, 1, 0, "old");
    symlink("old", sandbox.marker("id")).unwrap();
    symlink("/etc/passwd", sandbox.marker("completed")).unwrap();
    fs::create_dir(sandbox.marker("stats")).unwrap();
    refused(&sandbox, 1, 0, "old");
    // Somebody else's mark says nothing about us, and would be deleted.
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write_destination(".org.example.counterpart.id", "x\n");
    refused(&sandbox, 1, 0, ".org.example.counterpart.id");
}

#[test]
fn an_error_of_the_default_prefix_is_nobodys_loss() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write_destination(format!("{STEM}error"), "The last reason.\n");
    sandbox.clone(&["-g", "org.example"]).assert_code(0).assert_err("");
    assert_eq!(sandbox.names().len(), 1 + 4);
}

#[test]
fn the_refusal_comes_after_the_pre_clone_script_which_may_change_the_source() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write_destination("old", "x");
    let ran = sandbox.path().join("ran");
    let script = |which: &str| {
        let script = sandbox.script(which, &format!("printf {which} >>'{}'", ran.display()));
        script.to_str().unwrap().to_owned()
    };
    let (pre, post) = (script("pre"), script("post"));
    refused_with(&sandbox, &["-p", &pre, "-o", &post], 1, 0, "old");
    assert_eq!(fs::read_to_string(&ran).unwrap(), "pre");
}

#[test]
fn what_the_users_file_excludes_is_deleted_and_counts() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write_destination("excluded", "x");
    let excludes = sandbox.path().join("excludes");
    fs::write(&excludes, "excluded\n").unwrap();
    refused_with(&sandbox, &["-e", excludes.to_str().unwrap()], 1, 0, "excluded");
}

#[test]
fn an_interrupted_first_clone_is_known_as_ours() {
    let sandbox = crate::support::fakes::sandbox("exit 30");
    sandbox.clone(&[]).assert_code(30);
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    sandbox.write_destination("half", "x");
    fs::remove_file(sandbox.host().join("rsync/rsync")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(sandbox.names(), ["file"]);
}
