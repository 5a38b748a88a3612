//! A clone that is as its source says so, whatever the source holds, and verifying it leaves no trace.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::disk::LoopDisk;
use crate::support::sandbox::Sandbox;
use crate::support::tree::{assert_unchanged, hostile_tree, many_files, snapshot_with_ctime};
use crate::verify::scene::{assert_damages, cloned, found, verify};

#[test]
fn a_tree_with_everything_in_it_is_equal_to_its_clone() {
    let (from, to) = (LoopDisk::new("ext4", 96, &[], ""), LoopDisk::new("ext4", 96, &[], ""));
    let mut sandbox = Sandbox::new();
    sandbox.source = from.path().join("tree");
    hostile_tree(&sandbox.source);
    sandbox.destination = to.path().to_owned();
    cloned(&sandbox, &[]);
    let before = [&sandbox.source, &sandbox.destination].map(|root| snapshot_with_ctime(root));
    let host = snapshot_with_ctime(&sandbox.host());
    let document = assert_damages(&sandbox, &[]);
    assert_eq!(document["changed_since"], 0, "{document:#}");
    assert_eq!(document["not_compared"], 0, "{document:#}");
    assert!(document["files_read"].as_u64().unwrap() > 50, "{document:#}");
    let after = [&sandbox.source, &sandbox.destination].map(|root| snapshot_with_ctime(root));
    for (before, after) in before.iter().zip(&after) {
        assert_unchanged(before, after);
    }
    // Only what this machine remembers of the clone changes on it.
    let changes = host.changes(&snapshot_with_ctime(&sandbox.host()));
    assert!(!changes.is_empty() && changes.iter().all(|change| change.starts_with("state")), "{changes:#?}");
}

#[test]
fn the_last_lines_say_what_was_compared() {
    let sandbox = Sandbox::new();
    sandbox.write("directory/one", "content");
    sandbox.write("two", "");
    cloned(&sandbox, &[]);
    let finished = verify(&sandbox, &[]);
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
    let lines: Vec<&str> = finished.out.lines().collect();
    let start = format!(
        "{}: 4 entries and the contents of 2 files (7 B) compared with ",
        sandbox.destination.display()
    );
    assert!(lines[0].starts_with(&start) && lines[0].contains("; the clone was begun on 2"), "{finished}");
    assert_eq!(lines[1], "0 damaged, 0 changed since the clone, 0 not compared.", "{finished}");
    assert_eq!(lines.len(), 2, "{finished}");
    assert!(verify(&sandbox, &["--full"]).out.ends_with(&format!("{}\n", lines[1])));
}

#[test]
fn what_the_clone_leaves_out_is_left_out() {
    let sandbox = Sandbox::new();
    sandbox.write("kept", "content");
    sandbox.write("cache/file", "content");
    let patterns = sandbox.path().join("patterns");
    fs::write(&patterns, "cache\n*.tmp\n").unwrap();
    let exclude = ["-e", patterns.to_str().unwrap()];
    cloned(&sandbox, &exclude);
    // Somebody has put what is excluded into the clone, too.
    fs::create_dir(sandbox.destination.join("cache")).unwrap();
    fs::write(sandbox.destination.join("x.tmp"), "x").unwrap();
    let root = fs::metadata(&sandbox.source).unwrap();
    let time = std::fs::FileTimes::new().set_modified(root.modified().unwrap());
    fs::File::open(&sandbox.destination).unwrap().set_times(time).unwrap();
    let document = found(&sandbox, &exclude);
    assert_eq!((&document["damaged"], &document["entries"]), (&0.into(), &2.into()), "{document:#}");
    // Without its exclusions the clone lacks what they exclude.
    let all: [(&str, &[&str]); 3] =
        [("cache", &["modified"]), ("cache/file", &["missing"]), ("x.tmp", &["extra"])];
    assert_damages(&sandbox, &all);
}

#[test]
fn our_own_files_are_no_part_of_a_clone() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    cloned(&sandbox, &["--safety-net"]);
    sandbox.write("file", "other content");
    cloned(&sandbox, &["--safety-net"]);
    assert_damages(&sandbox, &[]);
}

#[test]
fn a_sample_reads_its_share_and_compares_the_rest_by_properties() {
    let sandbox = Sandbox::new();
    many_files(&sandbox.source, 400, 100);
    symlink("target", sandbox.source.join("link")).unwrap();
    cloned(&sandbox, &[]);
    let all = found(&sandbox, &["--sample", "100%"]);
    let whole = found(&sandbox, &[]);
    assert_eq!(all["files_read"], whole["files_read"]);
    let half = found(&sandbox, &["--sample", "50%"]);
    let read = half["files_read"].as_u64().unwrap();
    assert!((100..300).contains(&read), "{half:#}");
    assert_eq!((&half["entries"], &half["sample_percent"]), (&whole["entries"], &50.0.into()), "{half:#}");
    let none = found(&sandbox, &["--sample", "0.001%"]);
    assert!(none["files_read"].as_u64().unwrap() < 5, "{none:#}");
    // A property is compared whether or not the file is read.
    std::os::unix::fs::lchown(sandbox.destination.join("link"), Some(5), Some(6)).unwrap();
    let none = found(&sandbox, &["--sample", "0.001%"]);
    assert_eq!(none["damages"][0]["path"], "link", "{none:#}");
}
