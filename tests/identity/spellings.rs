//! One destination with many spellings: it is remembered, locked and checked as one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use counterpart::fs::location::Location;
use counterpart::marker::Prefix;
use counterpart::state::{State, Store};

use crate::identity::scene::{Plugged, disk, known, sandbox, state, state_file};
use crate::support::mounted::Mounted;
use crate::support::sandbox::{Finished, Sandbox, names_of};

/// A disk's mount point, and other ways to it.
fn spellings(sandbox: &Sandbox) -> Vec<PathBuf> {
    let root = sandbox.path();
    fs::create_dir_all(root.join("other/deep")).unwrap();
    symlink(root, root.join("link")).unwrap();
    symlink("link/other/..", root.join("chain")).unwrap();
    [
        "destination",
        "other/../destination",
        "other/deep/../../destination",
        "link/destination",
        "chain/destination",
        "link/other/../destination",
    ]
    .map(|spelling| root.join(spelling))
    .into()
}

fn clone_to(sandbox: &Sandbox, destination: &Path, more: &[&str]) -> Finished {
    let ends = ["-s".as_ref(), sandbox.source.as_os_str(), "-d".as_ref(), destination.as_os_str()];
    sandbox.run(ends.into_iter().chain(more.iter().map(AsRef::as_ref)))
}

#[test]
fn an_unmounted_disk_is_missed_by_every_spelling() {
    let (sandbox, disk) = (sandbox(), disk("ext4"));
    let spellings = spellings(&sandbox);
    let plugged = Plugged::at(&sandbox.destination, &disk);
    for spelling in &spellings {
        clone_to(&sandbox, spelling, &[]).assert_code(0).assert_err("");
        assert_eq!(state(&sandbox)["destination"], sandbox.destination.to_str().unwrap());
    }
    assert_eq!(known(&sandbox).len(), 1);
    drop(plugged);
    for spelling in &spellings {
        let run = clone_to(&sandbox, spelling, &[]);
        run.assert_code(88).assert_log(" was mounted at ");
        assert!(run.err.contains(spelling.to_str().unwrap()), "it is told as it was typed: {run}");
        clone_to(&sandbox, spelling, &["--skip-if-missing"]).assert_code(0).assert_log("Nothing is cloned");
    }
    assert!(names_of(&sandbox.destination).is_empty());
    state_file(&sandbox);
}

#[test]
fn a_link_of_the_disk_itself_leads_to_the_same_memory_without_the_disk() {
    let (sandbox, disk) = (sandbox(), disk("ext4"));
    let plugged = Plugged::at(&sandbox.destination, &disk);
    fs::create_dir_all(sandbox.destination.join("real/clone")).unwrap();
    symlink("real", sandbox.destination.join("link")).unwrap();
    let spelling = sandbox.destination.join("link/clone");
    clone_to(&sandbox, &spelling, &[]).assert_code(0).assert_err("");
    drop(plugged);
    clone_to(&sandbox, &spelling, &[]).assert_code(66);
    assert_eq!(state(&sandbox)["last"]["exit_code"], 66);
    // Somebody has made the directory below the mount point.
    fs::create_dir_all(&spelling).unwrap();
    clone_to(&sandbox, &spelling, &[]).assert_code(88).assert_log(" was mounted at ");
    assert!(names_of(&spelling).is_empty());
    fs::remove_dir_all(sandbox.destination.join("link")).unwrap();
    let _plugged = Plugged::at(&sandbox.destination, &disk);
    clone_to(&sandbox, &spelling, &[]).assert_code(0).assert_err("");
    assert_eq!(known(&sandbox).len(), 1);
}

#[test]
fn what_an_earlier_version_kept_under_a_spelling_is_found() {
    let (sandbox, disk) = (sandbox(), disk("ext4"));
    let spelling = spellings(&sandbox).remove(1);
    let plugged = Plugged::at(&sandbox.destination, &disk);
    clone_to(&sandbox, &spelling, &[]).assert_code(0);
    let (prefix, store) = (Prefix::default(), Store::new(&sandbox.host().join("state")));
    let mut old = State::parse(&fs::read(state_file(&sandbox)).unwrap()).unwrap();
    fs::remove_file(state_file(&sandbox)).unwrap();
    old.destination = spelling.display().to_string();
    let as_typed = Location { given: spelling.clone(), resolved: spelling.clone(), filesystem: None };
    store.save(&as_typed, &prefix, &old).unwrap();
    drop(plugged);
    clone_to(&sandbox, &spelling, &[]).assert_code(88).assert_log(" was mounted at ");
    assert_eq!(state(&sandbox)["destination"], sandbox.destination.to_str().unwrap());
    // From now on every spelling leads there.
    clone_to(&sandbox, &sandbox.destination, &[]).assert_code(88).assert_log(" was mounted at ");
}

#[test]
fn a_directory_where_a_disk_should_be_is_refused_by_every_spelling() {
    let sandbox = sandbox();
    let mnt = sandbox.host().join("mnt");
    fs::create_dir_all(mnt.join("clone")).unwrap();
    symlink(&mnt, sandbox.path().join("link")).unwrap();
    for spelling in ["link/clone", "host/rsync/../mnt/clone", "host/mnt/clone/../clone"] {
        let run = clone_to(&sandbox, &sandbox.path().join(spelling), &[]);
        run.assert_code(88).assert_log("No disk is mounted at ");
    }
}

#[test]
fn check_and_doctor_know_every_spelling() {
    let sandbox = sandbox();
    let spellings = spellings(&sandbox);
    clone_to(&sandbox, &sandbox.destination, &[]).assert_code(0);
    // Without the markers only the memory is left.
    let _mounted = Mounted::tmpfs(&sandbox.destination);
    for spelling in &spellings {
        let run = sandbox.run(["check".as_ref(), "-d".as_ref(), spelling.as_os_str()]);
        assert_eq!(run.code, 0, "{run}");
        assert!(run.out.contains("according to this machine's records"), "{run}");
        let run = sandbox.run([
            "doctor".as_ref(),
            "-s".as_ref(),
            sandbox.source.as_os_str(),
            "-d".as_ref(),
            spelling.as_os_str(),
        ]);
        assert!(run.out.contains("last run: it succeeded"), "{run}");
    }
    let run = sandbox.run(["check"]);
    assert!(run.out.starts_with(&format!("CLONE OK - {}: ", sandbox.destination.display())), "{run}");
}

#[test]
fn the_record_and_the_metrics_have_the_one_name() {
    let sandbox = sandbox();
    let spelling = spellings(&sandbox).remove(3);
    let metrics = sandbox.path().join("run.prom");
    clone_to(&sandbox, &spelling, &["--metrics-file", metrics.to_str().unwrap()]).assert_code(0);
    let name = sandbox.destination.to_str().unwrap();
    assert_eq!(sandbox.record().unwrap()["destination"], name);
    assert!(fs::read_to_string(metrics).unwrap().contains(&format!("{{destination=\"{name}\"}}")));
}
