//! The source and the destination.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

use nix::fcntl::{Flock, FlockArg};

use crate::doctor::patient::{Told, ask, ask_for, assert_foretold, doctor, healthy};
use crate::support::disk::{LoopDisk, OwnerlessFuse, supported};
use crate::support::mounted::Mounted;
use crate::support::sandbox::{FAKE_HOST, Finished, wait_until};

#[test]
fn a_source_that_is_no_source_is_what_a_clone_meets() {
    let sandbox = healthy();
    fs::remove_file(sandbox.source.join("file")).unwrap();
    assert_foretold(&sandbox, &[], 65).assert(
        "source",
        &[
            "FAIL  source: The source @/source is empty; a clone of it would delete everything at the destination. Is the \
             volume mounted? (65)",
            "      To do: check `-s`: is its disk mounted, does the directory hold anything?",
        ],
    );
    fs::remove_dir(&sandbox.source).unwrap();
    assert_foretold(&sandbox, &[], 65);
}

#[test]
fn a_destination_that_cannot_be_written_is_what_a_clone_meets() {
    let sandbox = healthy();
    fs::remove_dir(&sandbox.destination).unwrap();
    assert_foretold(&sandbox, &[], 66).assert(
        "destination",
        &[
            "FAIL  destination: The destination @/destination cannot be written: it does not exist, and Counterpart does not create it. Perhaps its disk is not mounted. (66)",
            "      To do: check `-d`: it must be an existing, writable directory and not a symbolic link",
        ],
    );
    symlink(&sandbox.source, &sandbox.destination).unwrap();
    assert_foretold(&sandbox, &[], 66);
    fs::remove_file(&sandbox.destination).unwrap();
    fs::create_dir(&sandbox.destination).unwrap();
    let _mounted = Mounted::bind_read_only(&sandbox.destination, &sandbox.destination);
    assert_foretold(&sandbox, &[], 66);
}

#[test]
fn every_failure_is_told_and_the_first_is_the_end() {
    let sandbox = healthy();
    let more = [
        "-e",
        "/nonexistent/e",
        "-p",
        "/nonexistent/p",
        "-o",
        "/nonexistent/o",
        "-B",
        "--rsync",
        "/nonexistent/r",
    ];
    fs::remove_dir(&sandbox.destination).unwrap();
    fs::remove_file(sandbox.source.join("file")).unwrap();
    let told = assert_foretold(&sandbox, &more, 85);
    let codes: Vec<&str> = told
        .lines
        .iter()
        .filter(|line| line.starts_with("FAIL"))
        .map(|line| line.rsplit_once('(').unwrap().1.trim_end_matches(')'))
        .collect();
    assert_eq!(codes, ["85", "65", "66", "67", "68", "69", "92", "93"]);
    // One after the other is repaired, and the clone goes as far as the doctor says.
    let rest = &more[..7];
    assert_foretold(&sandbox, rest, 65);
    sandbox.write("file", "content");
    assert_foretold(&sandbox, rest, 66);
    fs::create_dir(&sandbox.destination).unwrap();
    assert_foretold(&sandbox, rest, 67);
    assert_foretold(&sandbox, &rest[2..], 68);
    assert_foretold(&sandbox, &rest[4..], 69);
    assert_foretold(&sandbox, &rest[6..], 92);
}

#[test]
fn one_end_alone_is_judged_by_itself() {
    let sandbox = healthy();
    let (source, destination) = (sandbox.source.to_str().unwrap(), sandbox.destination.to_str().unwrap());
    let told = ask_for(&sandbox, ["-s", source]);
    told.assert_code(0)
        .assert_well_but_for(&["schedule"])
        .assert("destination", &[])
        .assert("free space", &[]);
    told.assert("source", &["OK    source: @/source can be read and is a directory of data."]);
    let told = ask_for(&sandbox, ["-d", destination]);
    told.assert_code(0).assert_well_but_for(&["schedule"]).assert("source", &[]).assert("both ends", &[]);
    told.assert("destination", &["OK    destination: @/destination can be written."]);
    assert_eq!(ask_for(&sandbox, ["-d", "/nonexistent"]).code, 66);
    assert_eq!(ask_for(&sandbox, ["-s", "/nonexistent"]).code, 65);
    let excludes = sandbox.path().join("excludes");
    fs::write(&excludes, "x\n").unwrap();
    let told = ask_for(&sandbox, ["-d", destination, "-e", excludes.to_str().unwrap()]);
    told.assert_code(0).assert("exclusions", &["OK    exclusions: @/excludes can be read."]);
}

#[test]
fn ends_inside_each_other_are_what_a_clone_meets() {
    let mut sandbox = healthy();
    sandbox.destination = sandbox.path().to_owned();
    assert_foretold(&sandbox, &[], 87);
    sandbox.destination.clone_from(&sandbox.source);
    assert_foretold(&sandbox, &[], 87).assert(
        "both ends",
        &[
            "FAIL  both ends: The source and the destination are the same directory, @/source. Check -s and -d. (87)",
            "      To do: check `-s` and `-d`",
        ],
    );
    sandbox.write("inner/x", "");
    sandbox.destination = sandbox.source.join("inner");
    ask(&sandbox, &["--adopt"]).assert_code(0).assert(
        "both ends",
        &["OK    both ends: the destination lies inside the source and is left out of the copy."],
    );
}

#[test]
fn a_destination_without_owners_is_what_a_clone_meets() {
    let mut sandbox = healthy();
    if supported("vfat") {
        let disk = LoopDisk::new("vfat", 16, &[], "");
        sandbox.destination = disk.path().to_owned();
        assert_foretold(&sandbox, &[], 90);
    }
    // Of this one the system tells nothing: a clone tries it, which the doctor does not.
    let fuse = OwnerlessFuse::new();
    sandbox.destination = fuse.path();
    ask(&sandbox, &[]).assert_code(0).assert(
        "ownership",
        &[
            "WARN  ownership: the system does not report whether the destination preserves file ownership.",
            "      To do: A clone probes it with a temporary file, and exits with 90 if the owner is lost.",
        ],
    );
    sandbox.clone(&[]).assert_code(90);
}

#[test]
fn a_clone_under_way_is_what_another_one_meets() {
    let sandbox = healthy();
    let (started, go_on) = (sandbox.path().join("started"), sandbox.path().join("go on"));
    let script = sandbox.script(
        "wait",
        &format!("echo >'{}'; while [ ! -e '{}' ]; do sleep 0.05; done", started.display(), go_on.display()),
    );
    let child = sandbox.start(&["-p", script.to_str().unwrap()]);
    assert!(wait_until(|| started.exists()));
    assert_foretold(&sandbox, &[], 80).assert(
        "both ends",
        &[
            "FAIL  both ends: Another Counterpart is cloning to @/destination. Wait for it to finish. (80)",
            "      To do: wait for it to finish; the rsync of a killed run may still be at work",
        ],
    );
    fs::write(go_on, "").unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    // Its lock's file is still there, and nobody holds it.
    let told = ask(&sandbox, &[]);
    told.assert_code(0);
    assert!(told.of_topic("both ends")[0].starts_with("OK  "), "{told:?}");
}

#[test]
fn a_lock_that_anybody_can_take_is_none() {
    let sandbox = healthy();
    let take = || Flock::lock(fs::File::open(&sandbox.destination).unwrap(), FlockArg::LockExclusiveNonblock);
    let held = take().unwrap();
    // With and without the lock's own file, which the clone makes.
    for _ in 0..2 {
        let told = ask(&sandbox, &[]);
        told.assert_code(0);
        assert!(told.of_topic("both ends")[0].starts_with("OK  "), "{told:?}");
        sandbox.clone(&[]).assert_code(0);
    }
    // Where the lock cannot be anywhere else, it counts for the doctor as it does for the clone.
    let lock = sandbox.host().join("lock");
    let read_only = Mounted::bind_read_only(&lock, &lock);
    assert_foretold(&sandbox, &[], 80);
    drop(held);
    ask(&sandbox, &[]).assert_code(0);
    drop(read_only);
    fs::remove_dir_all(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o700)).unwrap();
    let _read_only = Mounted::bind_read_only(&lock, &lock);
    let _held = take().unwrap();
    assert_foretold(&sandbox, &[], 80);
}

#[test]
fn locks_that_cannot_be_listed_are_not_taken_for_free() {
    let sandbox = healthy();
    sandbox.clone(&[]).assert_code(0);
    // What nobody can read from its beginning takes the list's place.
    let hide = "mount --bind /proc/1/mem /proc/locks && exec \"$0\" \"$@\"";
    let mut command = Command::new("/usr/bin/unshare");
    command.args(["-m", "/bin/sh", "-c", hide, FAKE_HOST]).args(doctor(sandbox.arguments([] as [&str; 0])));
    let output = command.env("COUNTERPART_FAKE_HOST", sandbox.host()).stdin(Stdio::null()).output().unwrap();
    let told = Told::of(&sandbox, &Finished::from(output));
    told.assert_code(1);
    let line = told.of_topic("both ends")[0].to_owned();
    assert!(line.contains("whether the lock in @/host/lock is held cannot be determined: "), "{line}");
}

#[test]
fn a_filesystem_below_the_source_is_warned_of() {
    let sandbox = healthy();
    let point = sandbox.source.join("a b");
    fs::create_dir(&point).unwrap();
    let disk = LoopDisk::new("ext4", 8, &[], "");
    let _mounted = Mounted::bind(disk.path(), &point);
    let told = ask(&sandbox, &[]);
    told.assert_code(0).assert_well_but_for(&["other filesystems", "schedule"]).assert(
        "other filesystems",
        &[
            "WARN  other filesystems: @/source/a b is another filesystem (ext4) and is not cloned. Clone it in a separate run if it matters.",
            "      To do: Clone it in a separate run, or do without it; docs/guide.md, \"One filesystem\".",
        ],
    );
    assert_eq!(
        ask_for(&sandbox, ["-s", sandbox.source.to_str().unwrap()]).of_topic("other filesystems").len(),
        2
    );
}

#[test]
fn a_directory_that_only_others_may_write_is_told_without_root() {
    let sandbox = healthy();
    crate::support::nobody::give(&sandbox.source);
    fs::set_permissions(&sandbox.destination, fs::Permissions::from_mode(0o755)).unwrap();
    let arguments = crate::doctor::patient::doctor(sandbox.arguments(["--allow-non-root"]));
    let told = crate::doctor::patient::Told::of(&sandbox, &crate::support::nobody::run(&sandbox, arguments));
    told.assert_code(66);
    crate::support::nobody::clone(&sandbox, &[]).assert_code(66);
}

#[test]
fn another_disk_than_before_is_what_a_clone_meets() {
    let mut sandbox = healthy();
    sandbox.clone(&[]).assert_code(0);
    ask(&sandbox, &[]).assert_code(0);
    let other = sandbox.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("file"), "").unwrap();
    sandbox.source = other;
    let told = assert_foretold(&sandbox, &[], 88);
    assert!(told.of_topic("both ends")[0].starts_with("FAIL  both ends: "), "{told:?}");
    let told = ask_for(&sandbox, ["-d", sandbox.destination.to_str().unwrap()]);
    assert!([0, 88].contains(&told.code), "{told:?}");
}

#[test]
fn a_source_that_has_shrunk_is_what_a_clone_meets() {
    let sandbox = healthy();
    for number in 0..1100 {
        sandbox.write(format!("directory/{number}"), "");
    }
    sandbox.clone(&[]).assert_code(0);
    fs::remove_dir_all(sandbox.source.join("directory")).unwrap();
    let told = assert_foretold(&sandbox, &[], 76);
    assert!(told.of_topic("free space")[0].starts_with("FAIL  free space: "), "{told:?}");
    ask(&sandbox, &["--allow-shrink"]).assert_code(0);
}
