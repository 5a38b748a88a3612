//! btrfs subvolumes: rsync enters none of them, and deletes nothing in them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::disk::LoopDisk;
use crate::support::sandbox::Sandbox;
use crate::view::scene::names;

fn subvolume(path: &Path) {
    let made = Command::new("btrfs").args(["-q", "subvolume", "create"]).arg(path).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

fn record(sandbox: &Sandbox) -> String {
    sandbox.record().unwrap()["warnings"].to_string()
}

#[test]
fn a_nested_subvolume_of_the_source_is_named_and_what_the_clone_holds_there_stays() {
    let disk = LoopDisk::new("btrfs", 115, &["--mixed"], "");
    let mut sandbox = Sandbox::new();
    disk.path().clone_into(&mut sandbox.source);
    fs::create_dir(sandbox.source.join("a")).unwrap();
    subvolume(&sandbox.source.join("a/nested"));
    sandbox.write("a/nested/file", "of the subvolume");
    let run = sandbox.clone(&[]);
    let point = sandbox.source.join("a/nested");
    let warning = format!("{} is another filesystem (a subvolume) and is not cloned.", point.display());
    run.assert_code(0).assert_log(&warning).assert_no_log("stays as it is");
    assert!(record(&sandbox).contains("(a subvolume)"));
    assert_eq!(names(&sandbox.destination.join("a/nested")), [] as [&str; 0]);
    // What is there from before it became a subvolume is not deleted, and not passed over in silence.
    fs::write(sandbox.destination.join("a/nested/stale"), "").unwrap();
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_log(&format!("in place of {} stays as it is.", point.display()));
    assert!(record(&sandbox).contains("stays as it is"));
    assert_eq!(names(&sandbox.destination.join("a/nested")), ["stale"]);
}

#[test]
fn a_subvolume_of_the_destination_is_named_since_rsync_deletes_nothing_in_it() {
    let disk = LoopDisk::new("btrfs", 115, &["--mixed"], "");
    let mut sandbox = Sandbox::new();
    disk.path().clone_into(&mut sandbox.destination);
    sandbox.write("a/file", "content");
    sandbox.clone(&[]).assert_code(0).assert_no_warning();
    fs::remove_dir_all(sandbox.destination.join("a")).unwrap();
    subvolume(&sandbox.destination.join("a"));
    fs::write(sandbox.destination.join("a/stale"), "").unwrap();
    let run = sandbox.clone(&[]);
    let warning =
        format!("{} is a filesystem or a subvolume of its own", sandbox.destination.join("a").display());
    run.assert_code(0).assert_log(&warning);
    assert!(record(&sandbox).contains("subvolume of its own"));
    assert_eq!(names(&sandbox.destination.join("a")), ["file", "stale"]);
}
