//! Disks that alternate, or are swapped, unmounted, reformatted or copied.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::identity::scene::{
    Plugged, disk, id, known, lines_of_destination, refused, run, sandbox, state, uuid,
};
use crate::support::disk::{LoopDisk, supported};
use crate::support::mounted::Mounted;
use crate::support::sandbox::{Sandbox, marks_of, names_of, wait_until};
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

#[track_caller]
fn clones(sandbox: &Sandbox) {
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(fs::read_to_string(sandbox.destination.join("file")).unwrap(), "content");
}

#[test]
fn the_first_success_names_the_disk_there_and_here() {
    for kind in ["ext4", "xfs", "btrfs"].into_iter().filter(|kind| supported(kind)) {
        let (sandbox, disk) = (sandbox(), disk(kind));
        let _plugged = Plugged::at(&sandbox.destination, &disk);
        clones(&sandbox);
        let uuid = uuid(&disk);
        assert_eq!(uuid.len(), 36, "{uuid}");
        let source = sandbox.source.display().to_string();
        let lines = lines_of_destination(&sandbox);
        assert_eq!(
            lines[1..],
            [format!("Filesystem: {uuid}"), format!("Source: testhost:{source}")],
            "{kind}"
        );
        let state = state(&sandbox);
        let [known] = state["disks"].as_array().unwrap().as_slice() else { panic!("{state}") };
        assert_eq!(known["id"], lines[0].as_str());
        assert_eq!(known["filesystem"], uuid.as_str());
        assert_eq!(known["mount_point"], sandbox.destination.to_str().unwrap());
        assert_eq!([&known["host"], &known["source"]], ["testhost", source.as_str()]);
        assert!(known["first_seen"]["epoch"].as_i64() <= known["last_seen"]["epoch"].as_i64());
    }
}

#[test]
fn known_disks_take_turns_and_a_strangers_clone_is_refused() {
    let sandbox = sandbox();
    let (one, other, strange) = (disk("ext4"), disk("btrfs"), disk("ext4"));
    for disk in [&one, &other, &one, &one, &other] {
        let _plugged = Plugged::at(&sandbox.destination, disk);
        clones(&sandbox);
    }
    let ids = known(&sandbox);
    assert_eq!(ids.len(), 2);
    // The clone of the same directory that another job made somewhere else: neither its id nor its disk is known here.
    let elsewhere = sandbox.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let plugged = Plugged::at(&elsewhere, &strange);
    sandbox
        .run(["-s".as_ref(), sandbox.source.as_os_str(), "-d".as_ref(), elsewhere.as_os_str()])
        .assert_code(0);
    drop(plugged);
    fs::remove_file(
        fs::read_dir(sandbox.host().join("state"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.to_str().unwrap().contains("elsewhere"))
            .unwrap(),
    )
    .unwrap();
    let _plugged = Plugged::at(&sandbox.destination, &strange);
    let here = id(&sandbox);
    let told = format!(
        "there is {here} on filesystem {}, but the disks known here are: {} on filesystem",
        uuid(&strange),
        ids[1]
    );
    refused(&sandbox, &[&told, &ids[0], "If this is the right disk, run once with --adopt"]);
    sandbox.clone(&["--adopt"]).assert_code(0).assert_err("");
    assert_eq!(id(&sandbox), here, "a clone of the same source keeps its id");
    assert_eq!(known(&sandbox), [ids[0].clone(), ids[1].clone(), here]);
    clones(&sandbox);
}

#[test]
fn a_fresh_disk_follows_the_rule_of_the_first_clone() {
    let sandbox = sandbox();
    let (one, empty, full) = (disk("ext4"), disk("ext4"), disk("xfs"));
    let plugged = Plugged::at(&sandbox.destination, &one);
    clones(&sandbox);
    drop(plugged);
    let plugged = Plugged::at(&sandbox.destination, &empty);
    clones(&sandbox);
    drop(plugged);
    assert_eq!(known(&sandbox).len(), 2);
    let _plugged = Plugged::at(&sandbox.destination, &full);
    fs::write(sandbox.destination.join("precious"), "mine").unwrap();
    sandbox.clone(&[]).assert_code(76);
    assert_eq!(names_of(&sandbox.destination), ["precious"]);
    assert_eq!(known(&sandbox).len(), 2, "a refused disk is not learned");
}

#[test]
fn a_disk_that_is_not_mounted_is_missed() {
    for kind in ["ext4", "xfs", "btrfs"].into_iter().filter(|kind| supported(kind)) {
        let (sandbox, disk) = (sandbox(), disk(kind));
        let plugged = Plugged::at(&sandbox.destination, &disk);
        clones(&sandbox);
        let id = id(&sandbox);
        drop(plugged);
        let point = sandbox.destination.display();
        let told = format!("{id} on filesystem {} was mounted at {point} at the last clone", uuid(&disk));
        refused(&sandbox, &[&told, "Mount the disk"]);
        assert!(names_of(&sandbox.destination).is_empty());
        sandbox.clone(&["-t"]).assert_code(70).assert_log("a real run would end with 88. The destination ");
        let _plugged = Plugged::at(&sandbox.destination, &disk);
        clones(&sandbox);
        assert_eq!(known(&sandbox), [id]);
    }
}

#[test]
fn a_directory_of_a_disk_is_missed_with_it() {
    let (mut sandbox, disk) = (sandbox(), disk("ext4"));
    let point = sandbox.path().join("point");
    sandbox.destination = point.join("clone");
    fs::create_dir_all(&sandbox.destination).unwrap();
    let plugged = Plugged::at(&point, &disk);
    fs::create_dir(&sandbox.destination).unwrap();
    clones(&sandbox);
    drop(plugged);
    refused(&sandbox, &[&format!("was mounted at {} at the last clone", point.display())]);
    // Adopted, the directory is the destination from now on, and the disk can come back as well.
    sandbox.clone(&["--adopt"]).assert_code(0).assert_err("");
    clones(&sandbox);
    let _plugged = Plugged::at(&point, &disk);
    clones(&sandbox);
    assert_eq!(known(&sandbox).len(), 2);
}

#[test]
fn an_old_clone_in_the_directory_below_does_not_stand_in_for_the_disk() {
    let (sandbox, disk) = (sandbox(), disk("ext4"));
    clones(&sandbox);
    let plugged = Plugged::at(&sandbox.destination, &disk);
    clones(&sandbox);
    drop(plugged);
    refused(&sandbox, &["at the last clone, and now the directory lies on the filesystem of "]);
}

#[test]
fn the_same_filesystem_seen_as_a_mount_and_as_a_directory_is_the_same() {
    let (mut sandbox, disk) = (sandbox(), disk("ext4"));
    let point = sandbox.path().join("point");
    fs::create_dir(&point).unwrap();
    let _plugged = Plugged::at(&point, &disk);
    sandbox.destination = point.join("clone");
    fs::create_dir(&sandbox.destination).unwrap();
    // As a service does that shows its directories as mounts of their own.
    let bound = Mounted::bind(&sandbox.destination, &sandbox.destination);
    clones(&sandbox);
    assert_eq!(state(&sandbox)["disks"][0]["mount_point"], sandbox.destination.to_str().unwrap());
    drop(bound);
    clones(&sandbox);
    assert_eq!(known(&sandbox).len(), 1);
}

#[test]
fn a_network_disk_without_a_uuid_is_known_by_its_id_and_its_mount() {
    let sandbox = sandbox();
    let mounted = Mounted::tmpfs(&sandbox.destination);
    clones(&sandbox);
    assert_eq!(lines_of_destination(&sandbox).len(), 2, "no line of the filesystem");
    clones(&sandbox);
    drop(mounted);
    refused(&sandbox, &["on filesystem without a known UUID was mounted at "]);
}

#[test]
fn a_clone_that_was_copied_to_another_disk_is_another_disk() {
    let sandbox = sandbox();
    let (one, copy) = (disk("ext4"), disk("xfs"));
    let plugged = Plugged::at(&sandbox.destination, &one);
    clones(&sandbox);
    let first = id(&sandbox);
    run(
        "cp",
        &["-a", &format!("{}/.", sandbox.destination.display()), copy.path().to_str().unwrap()]
            .map(AsRef::as_ref),
    );
    drop(plugged);
    let plugged = Plugged::at(&sandbox.destination, &copy);
    assert_eq!(id(&sandbox), first);
    let told = format!(
        "its id was assigned on the filesystem {}, and now there is {first} on filesystem {}: a copy, or a disk that was reformatted. If this is the right disk, run once with --adopt.",
        uuid(&one),
        uuid(&copy)
    );
    refused(&sandbox, &[&told]);
    sandbox.clone(&["--adopt"]).assert_code(0).assert_err("");
    let second = id(&sandbox);
    assert_ne!(second, first, "two disks with one id could not be told apart");
    drop(plugged);
    let _plugged = Plugged::at(&sandbox.destination, &one);
    clones(&sandbox);
    assert_eq!(known(&sandbox), [second, first]);
}

#[test]
fn the_image_of_a_disk_is_that_disk_unless_it_gets_a_uuid_of_its_own() {
    // With checksums of its metadata a new UUID would need a check first.
    let (sandbox, disk) = (sandbox(), LoopDisk::new("ext4", 64, &["-O", "^metadata_csum"], ""));
    let plugged = Plugged::at(&sandbox.destination, &disk);
    clones(&sandbox);
    run("sync", &["-f".as_ref(), disk.path().as_os_str()]);
    drop(plugged);
    let image = sandbox.path().join("image");
    run("cp", &["--sparse=always".as_ref(), disk.image().as_os_str(), image.as_os_str()]);
    let plugged = Plugged::image(&sandbox.destination, &image);
    clones(&sandbox);
    drop(plugged);
    assert!(wait_until(|| is_idle(&image)), "the image is still in use");
    run(
        "tune2fs",
        &["-f", "-U", "random"].map(OsStr::new).into_iter().chain([image.as_os_str()]).collect::<Vec<_>>(),
    );
    let _plugged = Plugged::image(&sandbox.destination, &image);
    refused(&sandbox, &["its id was assigned on the filesystem "]);
}

/// Whether no loop device has the image any more: a mount that has gone may take a moment to let go of it.
fn is_idle(image: &Path) -> bool {
    let listed = std::process::Command::new("losetup").arg("-j").arg(image).output().unwrap();
    listed.status.success() && listed.stdout.is_empty()
}

#[test]
fn an_interrupted_first_clone_to_a_second_disk_is_known() {
    let sandbox = sandbox();
    let (one, other) = (disk("ext4"), disk("ext4"));
    let plugged = Plugged::at(&sandbox.destination, &one);
    clones(&sandbox);
    drop(plugged);
    let _plugged = Plugged::at(&sandbox.destination, &other);
    sandbox.rsync(
        "case \"$*\" in *--version*) exec /usr/bin/rsync \"$@\" ;; *--dry-run*) exec /usr/bin/rsync \"$@\" ;; esac; exit 30",
    );
    sandbox.clone(&[]).assert_code(30);
    fs::remove_file(sandbox.host().join("rsync/rsync")).unwrap();
    clones(&sandbox);
    assert_eq!(known(&sandbox).len(), 2);
}

#[test]
fn an_id_that_was_lost_is_made_up_for_by_the_filesystem() {
    let sandbox = sandbox();
    let (one, strange) = (disk("ext4"), disk("ext4"));
    let plugged = Plugged::at(&sandbox.destination, &one);
    clones(&sandbox);
    fs::remove_file(sandbox.marker("id")).unwrap();
    clones(&sandbox);
    drop(plugged);
    // A clone of the original's: complete, and without an id.
    fs::write(strange.path().join(".me.jedda.counterpart.completed"), "").unwrap();
    fs::write(strange.path().join("precious"), "mine").unwrap();
    let _plugged = Plugged::at(&sandbox.destination, &strange);
    refused(
        &sandbox,
        &[
            "there is a clone without an id",
            "but the disks known here are: ",
            "If this is the right disk, run once with --adopt.",
        ],
    );
    assert_eq!(marks_of(&sandbox.destination), ["completed"]);
    let before = snapshot_with_ctime(&sandbox.destination);
    sandbox.clone(&["-t"]).assert_code(70).assert_log("Warning: a real run would end with 88. ");
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
    sandbox.clone(&["--adopt"]).assert_code(0).assert_err("");
    clones(&sandbox);
}
