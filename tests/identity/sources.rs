//! A changed source: its disk is not mounted, or another one is.

use std::fs;

use crate::identity::scene::{Plugged, disk, refused_with, run, sandbox, state, state_file, uuid};
use crate::support::disk::supported;
use crate::support::mounted::Mounted;
use crate::support::nobody;
use crate::support::sandbox::Sandbox;
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

/// A sandbox whose source is an empty mount point with a stray file.
fn stray() -> Sandbox {
    let sandbox = sandbox();
    sandbox.write("stray", "the disk belongs here");
    fs::remove_file(sandbox.source.join("file")).unwrap();
    sandbox
}

/// Refused with 76 and these words; nothing at the destination changes.
#[track_caller]
fn refused(sandbox: &Sandbox, says: &[&str]) {
    let start = format!("counterpart: The source {} has changed: ", sandbox.source.display());
    let before = snapshot_with_ctime(&sandbox.destination);
    let known = state(sandbox)["disks"].clone();
    for more in [&[][..], &["--adopt"]] {
        let run = sandbox.clone(more);
        run.assert_code(76);
        assert!(run.err.starts_with(&start) && run.err.lines().count() == 1, "{run}");
        for words in says.iter().chain(&["If the source is right, run once with --allow-shrink."]) {
            assert!(run.err.contains(words), "{words:?} is not in {run}");
        }
    }
    assert_eq!(state(sandbox)["disks"], known);
    let tried = "Warning: a real run would be refused with code 76. The source ";
    sandbox.clone(&["-t"]).assert_code(70).assert_log(tried);
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
}

#[test]
fn a_source_whose_disk_is_not_mounted_is_refused_however_little_it_held() {
    for kind in ["ext4", "xfs", "btrfs"].into_iter().filter(|kind| supported(kind)) {
        let (sandbox, disk) = (stray(), disk(kind));
        let point = sandbox.source.display().to_string();
        let plugged = Plugged::at(&sandbox.source, &disk);
        sandbox.write("photo", "content");
        sandbox.clone(&[]).assert_code(0).assert_err("");
        let told =
            format!("the filesystem {} was mounted at {point} at the last clone, and now", uuid(&disk));
        drop(plugged);
        refused(&sandbox, &[&told, "Mount its disk."]);
        // The clone itself knows it, too.
        let memory = fs::read(state_file(&sandbox)).unwrap();
        fs::remove_file(state_file(&sandbox)).unwrap();
        let id = sandbox.read_marker("id");
        assert!(id.ends_with(&format!("Source Filesystem: {}\nSource Mount Point: {point}\n", uuid(&disk))));
        let run = sandbox.clone(&[]);
        run.assert_code(76).assert_log(&told);
        let plugged = Plugged::at(&sandbox.source, &disk);
        sandbox.clone(&[]).assert_code(0).assert_err("");
        drop(plugged);
        fs::write(state_file(&sandbox), memory).unwrap();
        // Accepted once, it is right from then on.
        sandbox.clone(&["--allow-shrink"]).assert_code(0).assert_err("");
        sandbox.clone(&[]).assert_code(0).assert_err("");
        assert!(sandbox.destination.join("stray").exists() && !sandbox.destination.join("photo").exists());
        assert_ne!(state(&sandbox)["disks"][0]["source_mount_point"], point.as_str());
    }
}

#[test]
fn another_disk_in_the_place_of_the_source_is_refused() {
    let (sandbox, one, other) = (stray(), disk("ext4"), disk("ext4"));
    let plugged = Plugged::at(&sandbox.source, &one);
    sandbox.write("photo", "content");
    sandbox.clone(&[]).assert_code(0);
    drop(plugged);
    let _plugged = Plugged::at(&sandbox.source, &other);
    sandbox.write("film", "content");
    let told = format!(
        "it lay on the filesystem {} at the last clone, and now it lies on the filesystem {}.",
        uuid(&one),
        uuid(&other)
    );
    refused(&sandbox, &[&told]);
    sandbox.clone(&["--allow-shrink"]).assert_code(0).assert_err("");
    sandbox.clone(&[]).assert_code(0).assert_err("");
}

#[test]
fn a_source_whose_filesystem_cannot_be_found_out_is_refused() {
    let (sandbox, disk) = (stray(), disk("ext4"));
    let _plugged = Plugged::at(&sandbox.source, &disk);
    sandbox.write("photo", "content");
    sandbox.clone(&[]).assert_code(0);
    // The destination lies on the tests' own disk, which has no UUID or loses it in the same way.
    for broken in ["exit 2", r"printf '%s\n' 'ID_FS_UUID_ENC=a\x20b'", "kill -9 $$"] {
        sandbox.tool(
            "blkid",
            &format!("case \"$*\" in *{}) {broken} ;; esac; exec blkid \"$@\"", disk.device().display()),
        );
        let told = format!("it lay on the filesystem {} at the last clone, and on which one", uuid(&disk));
        refused(&sandbox, &[&told]);
    }
    sandbox.tool("blkid", "exec blkid \"$@\"");
    sandbox.clone(&[]).assert_code(0).assert_err("");
}

#[test]
fn a_destination_whose_filesystem_cannot_be_found_out_is_refused() {
    let (sandbox, disk) = (sandbox(), disk("ext4"));
    let _plugged = Plugged::at(&sandbox.destination, &disk);
    sandbox.clone(&[]).assert_code(0);
    sandbox.tool("blkid", "exit 2");
    let told = format!(
        "its id was assigned on the filesystem {}, and which filesystem is there now cannot be determined. If this is the right disk, run once with --adopt.",
        uuid(&disk)
    );
    refused_with(&sandbox, 88, &[], &[&told]);
    // A disk that is accepted so is another one from then on, and needs no leave again.
    sandbox.clone(&["--adopt", "--allow-shrink"]).assert_code(0).assert_err("");
    sandbox.clone(&[]).assert_code(0).assert_err("");
}

#[test]
fn snapshots_of_each_night_are_no_other_source() {
    // The image of a disk has its UUID, as a snapshot of a volume has.
    let (sandbox, disk) = (stray(), disk("ext4"));
    let plugged = Plugged::at(&sandbox.source, &disk);
    sandbox.write("photo", "content");
    run("sync", &["-f".as_ref(), sandbox.source.as_os_str()]);
    drop(plugged);
    for night in 0..3 {
        let image = sandbox.path().join(format!("snapshot{night}"));
        run("cp", &["--sparse=always".as_ref(), disk.image().as_os_str(), image.as_os_str()]);
        let _plugged = Plugged::image(&sandbox.source, &image);
        sandbox.clone(&[]).assert_code(0).assert_err("");
    }
}

#[test]
fn subvolumes_of_each_night_are_no_other_source() {
    if !supported("btrfs") {
        return;
    }
    let (mut sandbox, disk) = (sandbox(), disk("btrfs"));
    let point = sandbox.path().join("point");
    fs::create_dir(&point).unwrap();
    let _plugged = Plugged::at(&point, &disk);
    let command = |arguments: &[&str], paths: &[&std::path::Path]| {
        let words = arguments.iter().map(AsRef::as_ref).chain(paths.iter().map(|path| path.as_os_str()));
        run("btrfs", &words.collect::<Vec<_>>());
    };
    command(&["subvolume", "create"], &[&point.join("data")]);
    fs::write(point.join("data/photo"), "content").unwrap();
    sandbox.source = sandbox.path().join("latest");
    for night in 0..3 {
        let snapshot = point.join(format!("night{night}"));
        command(&["subvolume", "snapshot", "-r"], &[&point.join("data"), &snapshot]);
        let _ = fs::remove_file(&sandbox.source);
        std::os::unix::fs::symlink(&snapshot, &sandbox.source).unwrap();
        sandbox.clone(&[]).assert_code(0).assert_err("");
        assert_eq!(sandbox.names(), ["photo"]);
    }
}

#[test]
fn a_source_without_a_uuid_is_known_by_its_mount_point() {
    let sandbox = stray();
    for _ in 0..3 {
        let _mounted = Mounted::tmpfs(&sandbox.source);
        sandbox.write("file", "content");
        sandbox.clone(&[]).assert_code(0).assert_err("");
    }
    refused(&sandbox, &["another filesystem was mounted at "]);
}

#[test]
fn the_same_filesystem_seen_as_a_mount_and_as_a_directory_is_the_same_source() {
    let (mut sandbox, disk) = (sandbox(), disk("ext4"));
    let point = sandbox.path().join("point");
    fs::create_dir(&point).unwrap();
    let _plugged = Plugged::at(&point, &disk);
    sandbox.source = point.join("data");
    sandbox.write("file", "content");
    let bound = Mounted::bind(&sandbox.source, &sandbox.source);
    sandbox.clone(&[]).assert_code(0).assert_err("");
    drop(bound);
    sandbox.clone(&[]).assert_code(0).assert_err("");
}

#[test]
fn without_root_the_mount_point_alone_tells_of_the_source() {
    let (sandbox, disk) = (stray(), disk("ext4"));
    let plugged = Plugged::at(&sandbox.source, &disk);
    sandbox.write("photo", "content");
    fs::remove_dir(sandbox.source.join("lost+found")).unwrap();
    sandbox.clone(&[]).assert_code(0);
    nobody::give(&sandbox.source);
    nobody::give(&sandbox.destination);
    fs::remove_dir_all(sandbox.host().join("lock")).unwrap();
    fs::remove_dir_all(sandbox.host().join("log")).unwrap();
    nobody::clone(&sandbox, &[]).assert_code(0).assert_err("");
    drop(plugged);
    nobody::clone(&sandbox, &[]).assert_code(76).assert_log(" was mounted at ");
}

#[test]
fn a_source_of_an_earlier_version_is_learned() {
    let (sandbox, disk) = (stray(), disk("ext4"));
    let _plugged = Plugged::at(&sandbox.source, &disk);
    sandbox.write("photo", "content");
    sandbox.clone(&[]).assert_code(0);
    let id = sandbox.read_marker("id");
    let old: Vec<&str> = id.lines().filter(|line| !line.starts_with("Source ")).collect();
    fs::write(sandbox.marker("id"), old.join("\n") + "\n").unwrap();
    let mut memory = state(&sandbox);
    let known = memory["disks"][0].as_object_mut().unwrap();
    known.remove("source_filesystem");
    known.remove("source_mount_point");
    fs::write(state_file(&sandbox), memory.to_string()).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(sandbox.read_marker("id"), id);
}
