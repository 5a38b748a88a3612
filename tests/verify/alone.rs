//! `verify --alone`: a clone is compared with the hashes that were kept of it, when its source is gone.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::status::scene::assert_strict;
use crate::support::disk::LoopDisk;
use crate::support::sandbox::{Finished, STEM, Sandbox, names_of};
use crate::support::tree::{assert_unchanged, hostile_tree, noise, snapshot_with_ctime};
use crate::verify::scene::{cloned, damages, flip, found, next_second, silently, verify};

/// A clone of a few entries with hashes in both places, none of which is taken for unsettled.
fn scene() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::write(sandbox.source.join("big"), noise(1, 300_000)).unwrap();
    sandbox.write("dir/file", "content");
    sandbox.write("dir/sub/deep", "deep");
    symlink("big", sandbox.source.join("link")).unwrap();
    settled(&sandbox, "both");
    sandbox
}

/// Clones until every hash is of a file that had stood still.
fn settled(sandbox: &Sandbox, place: &str) {
    let hashes = format!("--hashes={place}");
    cloned(sandbox, &[&hashes]);
    cloned(sandbox, &[&hashes]);
    next_second();
}

/// The machine has died: its state and the source are gone.
fn machine_dies(sandbox: &Sandbox) {
    fs::remove_dir_all(sandbox.host().join("state")).unwrap();
    fs::remove_dir_all(&sandbox.source).unwrap();
}

fn alone(sandbox: &Sandbox) -> Value {
    found(sandbox, &["--alone"])
}

#[track_caller]
fn assert_found(sandbox: &Sandbox, expected: &[(&str, &[&str])], changed: u64) -> Value {
    let document = alone(sandbox);
    let expected = expected
        .iter()
        .map(|(path, flaws)| ((*path).to_owned(), flaws.iter().map(ToString::to_string).collect()))
        .collect();
    assert_eq!(damages(&document), expected, "{document:#}");
    let code = if expected.is_empty() { 0 } else { 75 };
    assert_eq!(
        (&document["exit_code"], &document["changed_since"]),
        (&code.into(), &changed.into()),
        "{document:#}"
    );
    document
}

fn hashes_of(sandbox: &Sandbox) -> Value {
    sandbox.record().unwrap()["hashes"].clone()
}

#[test]
fn everything_in_a_tree_is_found_as_it_was_and_nothing_is_changed() {
    let (from, to) = (LoopDisk::new("ext4", 96, &[], ""), LoopDisk::new("ext4", 96, &[], ""));
    let mut sandbox = Sandbox::new();
    sandbox.source = from.path().join("tree");
    hostile_tree(&sandbox.source);
    sandbox.destination = to.path().to_owned();
    settled(&sandbox, "both");
    machine_dies(&sandbox);
    let before = snapshot_with_ctime(&sandbox.destination);
    let document = assert_found(&sandbox, &[], 0);
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
    let files = count(to.path(), &|kind| kind.is_file());
    let links = count(to.path(), &|kind| kind.is_symlink());
    assert!(files > 50 && links > 3);
    // Our own files are not among them.
    let is_ours = |name: &std::ffi::OsString| name.to_string_lossy().starts_with(STEM);
    let ours = names_of(to.path()).iter().filter(|name| is_ours(name)).count() as u64;
    assert_eq!(document["files_read"], files - ours, "{document:#}");
    assert_eq!(document["entries"], files - ours + links, "{document:#}");
}

fn count(root: &Path, is_counted: &dyn Fn(fs::FileType) -> bool) -> u64 {
    let mut sum = 0;
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        sum += u64::from(is_counted(kind));
        if kind.is_dir() {
            sum += count(&entry.path(), is_counted);
        }
    }
    sum
}

#[test]
fn rot_is_damage_when_the_machine_has_died() {
    let sandbox = scene();
    machine_dies(&sandbox);
    assert_found(&sandbox, &[], 0);
    flip(&sandbox.destination.join("big"), 200_000..200_001);
    let document = assert_found(&sandbox, &[("big", &["contents"])], 0);
    let damage = json!({
        "path": "big", "flaws": ["contents"], "message": "its contents are not those that were cloned",
        "offset": null, "length": null, "bytes": null
    });
    assert_eq!(document["damages"], json!([damage]));
    assert_eq!((&document["source"], &document["hashes"]["on_clone"]), (&Value::Null, &true.into()));
    let finished = verify(&sandbox, &["--alone"]);
    assert_eq!((finished.code, finished.err.as_str()), (75, ""), "{finished}");
    let lines: Vec<&str> = finished.out.lines().collect();
    assert_eq!(lines[0], "Damaged: big: its contents are not those that were cloned.");
    let start = format!(
        "{}: 4 entries and the contents of 3 files (292.98 KiB) compared with their hashes of 20",
        sandbox.destination.display()
    );
    assert!(lines[1].starts_with(&start) && lines[1].contains(", kept on the clone, in "), "{finished}");
    assert_eq!(lines[2..], ["1 damaged, 0 changed since the clone, 0 not compared."], "{finished}");
}

/// What a disk loses leaves no trace in times, so it is done below the filesystem.
fn lose(disk: &LoopDisk, commands: &[&str]) {
    disk.unmount();
    for command in commands {
        let done = Command::new("debugfs").args(["-w", "-R", command]).arg(disk.image()).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    disk.mount_again();
}

#[test]
fn what_the_disk_has_lost_is_found_in_every_form() {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let mut sandbox = Sandbox::new();
    for name in ["gone", "short", "old", "kind", "whole"] {
        fs::write(sandbox.source.join(name), noise(7, 100_000)).unwrap();
    }
    sandbox.write("dir/a", "a");
    sandbox.write("dir/sub/b", "b");
    symlink("whole", sandbox.source.join("link")).unwrap();
    sandbox.destination = disk.path().to_owned();
    settled(&sandbox, "both");
    machine_dies(&sandbox);
    lose(
        &disk,
        &[
            "unlink gone",
            "unlink dir",
            "set_inode_field short size 5000",
            "set_inode_field old mtime 20200101000000",
            "set_inode_field kind mode 0010644",
            "set_inode_field link block[0] 0x41414141",
        ],
    );
    assert_found(
        &sandbox,
        &[
            ("dir/a", &["missing"]),
            ("dir/sub/b", &["missing"]),
            ("gone", &["missing"]),
            ("kind", &["type"]),
            ("link", &["target"]),
            ("old", &["modified"]),
            ("short", &["contents", "size"]),
        ],
        0,
    );
}

#[test]
fn rot_is_not_hashed_anew() {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let mut sandbox = Sandbox::new();
    let contents = noise(7, 100_000);
    fs::write(sandbox.source.join("rots"), &contents).unwrap();
    sandbox.destination = disk.path().to_owned();
    settled(&sandbox, "both");
    disk.unmount();
    let image = fs::read(disk.image()).unwrap();
    let at = image.windows(512).position(|window| window == &contents[..512]).unwrap();
    let file = fs::File::options().write(true).open(disk.image()).unwrap();
    file.write_all_at(&[!contents[7]], at as u64 + 7).unwrap();
    disk.mount_again();
    sandbox.clone(&["--hashes=both"]).assert_code(0).assert_log("; 0 files were read for it (0 B) in ");
    assert_found(&sandbox, &[("rots", &["contents"])], 0);
}

#[test]
fn what_was_changed_since_is_no_damage_and_what_has_come_is_not_looked_at() {
    let sandbox = scene();
    machine_dies(&sandbox);
    let root = &sandbox.destination;
    fs::write(root.join("dir/file"), "other").unwrap();
    fs::remove_dir_all(root.join("dir/sub")).unwrap();
    fs::remove_file(root.join("link")).unwrap();
    fs::write(root.join("new"), "new").unwrap();
    // Only its inode has changed, and its contents are compared all the same.
    chown(root.join("big"), Some(1), Some(1)).unwrap();
    let document = assert_found(&sandbox, &[], 3);
    assert_eq!((&document["entries"], &document["files_read"]), (&4.into(), &1.into()), "{document:#}");
}

#[test]
fn only_what_is_new_or_has_changed_is_read_for_hashes() {
    let sandbox = scene();
    let files = |value: &Value| value["files_read"].as_u64().unwrap();
    sandbox.clone(&["--hashes=both"]).assert_code(0).assert_log("; 0 files were read for it (0 B) in ");
    assert_eq!((hashes_of(&sandbox)["entries"].as_u64(), files(&hashes_of(&sandbox))), (Some(4), 0));
    fs::write(sandbox.source.join("dir/file"), "another").unwrap();
    sandbox.write("dir/new", "new");
    fs::remove_file(sandbox.source.join("dir/sub/deep")).unwrap();
    let run = sandbox.clone(&["--hashes=both"]);
    run.assert_code(0)
        .assert_err("")
        .assert_log("Hashes are kept of 4 files and links; 2 files were read for it (10 B) in ");
    assert_eq!(
        hashes_of(&sandbox),
        json!({"entries": 4, "files_read": 2, "bytes_read": 10, "on_clone": true})
    );
    let document = assert_found(&sandbox, &[], 0);
    assert_eq!(document["hashes"]["on_clone"], false);
    // Without those of this machine it goes on with the clone's.
    next_second();
    sandbox.clone(&["--hashes=both"]).assert_code(0);
    fs::remove_file(sandbox.state_file("hashes")).unwrap();
    sandbox.clone(&["--hashes=both"]).assert_code(0);
    assert_eq!(files(&hashes_of(&sandbox)), 0);
    let status = sandbox.run(["status"]);
    assert!(
        status.out.contains("Hashes of 4 of its files are kept on this machine and on the clone.\n"),
        "{status}"
    );
}

#[test]
fn without_being_asked_nothing_is_kept_and_here_keeps_nothing_on_the_clone() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    cloned(&sandbox, &[]);
    assert_eq!((sandbox.markers(), hashes_of(&sandbox)), (marks(&["completed", "id", "stats"]), Value::Null));
    let refused = verify(&sandbox, &["--alone"]);
    let sentence = format!(
        "counterpart: The clone in {} cannot be verified: there are no hashes of it, neither on this machine nor on the \
         clone. Clone with --hashes both.\n",
        sandbox.destination.display()
    );
    assert_eq!((refused.code, refused.err, refused.out.as_str()), (66, sentence, ""));
    settled(&sandbox, "here");
    assert_eq!(sandbox.markers(), marks(&["completed", "id", "stats"]));
    assert_eq!(assert_found(&sandbox, &[], 0)["hashes"]["on_clone"], false);
    let hashes = sandbox.state_file("hashes");
    assert_eq!(fs::metadata(&hashes).unwrap().mode() & 0o7777, 0o600);
    let forgotten = sandbox.run(["forget", "-d", sandbox.destination.to_str().unwrap()]);
    assert_eq!(forgotten.code, 0, "{forgotten}");
    assert!(!hashes.exists());
}

fn marks(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn the_clones_own_are_its_owners_alone_and_not_cloned_on() {
    let sandbox = scene();
    assert_eq!(sandbox.markers(), ["completed", "hashes", "id", "stats"]);
    assert_eq!(fs::metadata(sandbox.marker("hashes")).unwrap().mode() & 0o7777, 0o600);
    let next = Sandbox::new();
    let run = next.run([
        "-s",
        sandbox.destination.to_str().unwrap(),
        "-d",
        next.destination.to_str().unwrap(),
        "--adopt",
    ]);
    run.assert_code(0);
    assert_eq!(next.markers(), ["completed", "id", "stats"]);
    // Nor do they change the time of the clone's top.
    let modified = |path: &Path| fs::metadata(path).map(|it| (it.mtime(), it.mtime_nsec())).unwrap();
    assert_eq!(modified(&sandbox.source), modified(&sandbox.destination));
}

#[track_caller]
fn assert_warned(finished: &Finished, paths: &[PathBuf], why: &str) {
    for path in paths {
        let line = format!("counterpart: Warning: the hashes in {} cannot be used: {why}.\n", path.display());
        assert!(finished.err.contains(&line), "{finished}");
    }
}

#[test]
fn hashes_that_are_damaged_or_of_somebody_else_are_not_believed() {
    let sandbox = scene();
    let (here, there) = (sandbox.state_file("hashes"), sandbox.marker("hashes"));
    let damage = |path: &Path| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(b"?", 200).unwrap();
    };
    damage(&here);
    let finished = verify(&sandbox, &["--alone"]);
    assert_eq!(finished.code, 0, "{finished}");
    assert_warned(&finished, std::slice::from_ref(&here), "it is damaged");
    assert!(finished.out.contains(", kept on the clone, in "), "{finished}");
    damage(&there);
    let finished = verify(&sandbox, &["--alone"]);
    assert_eq!((finished.code, finished.out.as_str()), (66, ""), "{finished}");
    assert_warned(&finished, &[here, there.clone()], "it is damaged");
    // The next clone makes new ones.
    sandbox.clone(&["--hashes=both"]).assert_code(0).assert_log(" cannot be used: it is damaged.\n");
    assert_found(&sandbox, &[], 0);
    fs::remove_file(sandbox.state_file("hashes")).unwrap();
    for (owner, mode) in [(1, 0o600), (0, 0o620), (0, 0o602)] {
        chown(&there, Some(owner), Some(0)).unwrap();
        fs::set_permissions(&there, fs::Permissions::from_mode(mode)).unwrap();
        let finished = verify(&sandbox, &["--alone"]);
        assert_eq!(finished.code, 66, "{finished}");
        assert_warned(&finished, std::slice::from_ref(&there), "others could have written it");
    }
    // A link in their place is followed by nobody.
    let elsewhere = sandbox.path().join("elsewhere");
    fs::rename(&there, &elsewhere).unwrap();
    symlink(&elsewhere, &there).unwrap();
    assert_eq!(verify(&sandbox, &["--alone"]).code, 66);
    sandbox.clone(&["--hashes=both"]).assert_code(0);
    assert!(fs::symlink_metadata(&there).unwrap().is_file());
}

#[test]
fn the_hashes_of_another_clone_at_the_same_place_say_nothing() {
    let sandbox = scene();
    let other = sandbox.path().join("other");
    fs::rename(&sandbox.destination, &other).unwrap();
    fs::create_dir(&sandbox.destination).unwrap();
    cloned(&sandbox, &["--adopt"]);
    assert_eq!(verify(&sandbox, &["--alone"]).code, 66);
    cloned(&sandbox, &["--hashes=here"]);
    assert_eq!(hashes_of(&sandbox)["files_read"], 3);
}

#[test]
fn a_clone_that_gets_another_name_keeps_its_hashes() {
    let disk = LoopDisk::new("ext4", 32, &[], "");
    let mut sandbox = Sandbox::new();
    sandbox.tool("blkid", "exec blkid \"$@\"");
    disk.path().clone_into(&mut sandbox.destination);
    sandbox.write("file", "content");
    settled(&sandbox, "here");
    let before = sandbox.state_file("hashes");
    let uuid = disk.tag("UUID");
    for _ in 0..2 {
        let finished = sandbox.run(["verify", "--alone", "-d", &format!("UUID={uuid}")]);
        assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
        assert!(finished.out.contains(", kept on this machine, in "), "{finished}");
        assert_ne!(sandbox.state_file("hashes"), before);
    }
}

#[test]
fn a_part_of_the_files_is_read_with_a_sample() {
    let sandbox = scene();
    for number in 0..400 {
        sandbox.write(format!("many/{number}"), "content");
    }
    settled(&sandbox, "both");
    let document = found(&sandbox, &["--alone", "--sample=10%"]);
    let read = document["files_read"].as_u64().unwrap();
    assert!((10..90).contains(&read), "{document:#}");
    assert_eq!((&document["entries"], &document["sample_percent"]), (&404.into(), &10.0.into()));
}

#[test]
fn an_interrupted_clone_is_compared_with_the_last_complete_one() {
    let sandbox = scene();
    fs::remove_file(sandbox.marker("completed")).unwrap();
    let finished = verify(&sandbox, &["--alone"]);
    let warning = "counterpart: Warning: the clone is not complete: what has changed since the last complete one is not \
                   compared.\n";
    assert_eq!((finished.code, finished.err.as_str()), (0, warning), "{finished}");
    assert!(finished.out.ends_with("0 damaged, 0 changed since the clone, 0 not compared.\n"), "{finished}");
}

#[test]
fn what_needs_the_source_is_not_had_without_it() {
    let sandbox = scene();
    for option in ["--repair", "-s/", "-e/dev/null", "--bootable", "--filesystems=all"] {
        let finished = verify(&sandbox, &["--alone", option]);
        assert_eq!((finished.code, finished.out.as_str()), (2, ""), "{finished}");
        assert!(finished.err.contains("cannot be used with"), "{finished}");
    }
    // A directory that was never cloned to, as the mount point of a disk that is not there.
    let empty = sandbox.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let finished = sandbox.run(["verify", "--alone", "-d", empty.to_str().unwrap()]);
    let sentence = format!(
        "counterpart: The clone in {} cannot be verified: nothing there says that it is one; mount its disk.\n",
        empty.display()
    );
    assert_eq!((finished.code, finished.out.as_str(), finished.err.as_str()), (66, "", sentence.as_str()));
}

#[test]
fn a_mounted_filesystem_does_not_stand_for_what_it_covers() {
    let sandbox = scene();
    let covering = LoopDisk::new("ext4", 16, &[], "");
    let at = sandbox.destination.join("dir");
    let mount = |arguments: &[&Path]| {
        assert!(Command::new("mount").arg("--bind").args(arguments).status().unwrap().success());
    };
    mount(&[covering.path(), &at]);
    let finished = verify(&sandbox, &["--alone"]);
    assert!(Command::new("umount").arg(&at).status().unwrap().success());
    assert_eq!(finished.code, 66, "{finished}");
    for path in ["dir/file", "dir/sub/deep"] {
        let line = format!("Not compared: {path} (clone): another filesystem is mounted there.\n");
        assert!(finished.out.contains(&line), "{finished}");
    }
}

#[test]
fn what_a_user_puts_in_the_place_of_an_entry_leads_nowhere() {
    let sandbox = scene();
    let (root, outside) = (&sandbox.destination, sandbox.path().join("outside"));
    fs::rename(root.join("dir"), &outside).unwrap();
    symlink(&outside, root.join("dir")).unwrap();
    fs::remove_file(root.join("big")).unwrap();
    nix::unistd::mkfifo(&root.join("big"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let document = assert_found(&sandbox, &[], 3);
    assert_eq!(document["files_read"], 0, "{document:#}");
    // Nor does a run read through them for its hashes.
    let sandbox = scene();
    fs::remove_file(sandbox.source.join("link")).unwrap();
    symlink("/etc/passwd", sandbox.source.join("link")).unwrap();
    sandbox.clone(&["--hashes=both"]).assert_code(0).assert_log("; 0 files were read for it (0 B) in ");
}

#[test]
fn it_counts_as_a_reading_of_everything() {
    let sandbox = scene();
    alone(&sandbox);
    let checked = sandbox.run(["check", "-d", sandbox.destination.to_str().unwrap()]);
    assert!(
        checked.code == 0 && checked.out.contains("; every part of it was read again within "),
        "{checked}"
    );
    silently(&sandbox.destination.join("big"), |path| {
        fs::File::options().write(true).open(path).unwrap().write_all_at(b"?", 17).unwrap();
    });
    assert_found(&sandbox, &[("big", &["contents"])], 0);
    let checked = sandbox.run(["check", "-d", sandbox.destination.to_str().unwrap()]);
    assert_eq!(checked.code, 2, "{checked}");
}

#[test]
fn the_schema_is_exact() {
    let sandbox = scene();
    let changes = [
        ("/source", json!(1)),
        ("/hashes", json!({})),
        ("/hashes/on_clone", json!(1)),
        ("/hashes/at/epoch", json!("1")),
    ];
    assert_strict("verify.schema.json", &alone(&sandbox), &changes);
}
