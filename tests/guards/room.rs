//! A clone that cannot fit, and disks short of space.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::disk::{LoopDisk, Tmpfs};
use crate::support::sandbox::{Finished, STEM, Sandbox};
use crate::support::scene::{assert_clone, assert_failure, dir, text, tool};
use crate::support::tree::{assert_unchanged, many_files, noise, snapshot};

fn sandbox_on(destination: &Path) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.destination = destination.into();
    sandbox
}

/// A file in the source that has so many MiB set aside, without anything being written.
fn set_aside(sandbox: &Sandbox, name: &str, mib: u32) {
    let path = sandbox.source.join(name);
    tool("fallocate", &[OsStr::new("-l"), OsStr::new(&format!("{mib}MiB")), path.as_os_str()]);
}

/// A file in the source of so many MiB that cannot be made smaller.
fn fill(sandbox: &Sandbox, name: &str, mib: usize) {
    fs::write(sandbox.source.join(name), noise(name.len() as u64, mib << 20)).unwrap();
}

/// Asserts the refusal for want of room, of which `room` is part.
#[track_caller]
fn assert_no_room(sandbox: &Sandbox, run: &Finished, lack: &str, markers: &[&str]) {
    let sentence = run.err.strip_prefix("counterpart: ").unwrap_or(&run.err).trim_end();
    assert_failure(sandbox, run, 74, sentence, markers);
    let start = format!("The destination {} is too small for this clone: {lack}", text(&sandbox.destination));
    assert!(sentence.starts_with(&start), "{run}");
    let end = ". Nothing was copied. Make room there, exclude more, or use a larger disk; --no-space-check lets rsync \
               try.";
    assert!(sentence.ends_with(end), "{run}");
    run.assert_no_log("Cloning.");
}

#[test]
fn too_small_a_disk_is_74_before_anything_is_written() {
    for (kind, mib) in [("ext4", 64), ("xfs", 320), ("btrfs", 120)] {
        let disk = LoopDisk::new(kind, mib, &[], "");
        let sandbox = sandbox_on(disk.path());
        set_aside(&sandbox, "large", 400);
        let before = sandbox.names();
        let run = sandbox.clone(&[]);
        assert_no_room(
            &sandbox,
            &run,
            "400.00 MiB have to be written; the destination has room for ",
            &["error"],
        );
        assert_eq!(sandbox.names(), before, "{kind}");
    }
}

#[test]
fn a_clone_that_has_outgrown_its_disk_keeps_yesterdays_files() {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let sandbox = sandbox_on(disk.path());
    fill(&sandbox, "a", 10);
    sandbox.clone(&[]).assert_code(0);
    set_aside(&sandbox, "large", 200);
    fs::remove_file(sandbox.source.join("a")).unwrap();
    let run = sandbox.clone(&[]);
    assert_no_room(&sandbox, &run, "200.00 MiB have to be written; ", &["error", "id", "stats"]);
    assert_eq!(sandbox.names(), ["a", "lost+found"]);
    // Nothing but rsync knows that what was set aside becomes a hole.
    sandbox.clone(&["--no-space-check"]).assert_code(0).assert_err("");
    assert_eq!(sandbox.names(), ["large", "lost+found"]);
}

#[test]
fn without_the_check_rsync_finds_out() {
    let disk = LoopDisk::new("ext4", 24, &[], "");
    let sandbox = sandbox_on(disk.path());
    fill(&sandbox, "large", 40);
    sandbox.clone(&[]).assert_code(74).assert_log(" is too small for this clone: ");
    let run = sandbox.clone(&["--no-space-check"]);
    run.assert_code(74).assert_log("No space left on device (28)").assert_log(" is full: ");
}

#[test]
fn what_the_clone_replaces_counts_as_room() {
    for below in [false, true] {
        let disk = LoopDisk::new("ext4", 64, &[], "");
        let at = if below { dir(disk.path(), "clone") } else { disk.path().to_owned() };
        let sandbox = sandbox_on(&at);
        fill(&sandbox, "a", 35);
        sandbox.clone(&[]).assert_code(0);
        // Another file of the same size: both at once would not fit, but the first is deleted before.
        fs::rename(sandbox.source.join("a"), sandbox.source.join("b")).unwrap();
        sandbox.clone(&[]).assert_code(0).assert_err("");
        assert_clone(&sandbox);
    }
}

#[test]
fn a_changed_file_needs_room_beside_its_old_copy() {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let sandbox = sandbox_on(disk.path());
    fill(&sandbox, "image", 40);
    sandbox.clone(&[]).assert_code(0);
    fs::write(sandbox.source.join("image"), noise(2, 40 << 20)).unwrap();
    let run = sandbox.clone(&[]);
    let lack = "the largest file that has changed and its old copy, which is kept until the new one is whole, take 80.00 MiB; ";
    assert_no_room(&sandbox, &run, lack, &["error", "id", "stats"]);
    // A small one fits.
    fs::write(sandbox.source.join("image"), noise(3, 5 << 20)).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_clone(&sandbox);
}

#[test]
fn what_is_written_in_place_needs_no_second_copy_and_all_else_does() {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let sandbox = sandbox_on(disk.path());
    fill(&sandbox, "image", 40);
    fill(&sandbox, "other", 2);
    sandbox.clone(&[]).assert_code(0);
    let change = |seed| {
        fs::write(sandbox.source.join("image"), noise(seed, 40 << 20)).unwrap();
        fs::write(sandbox.source.join("other"), noise(seed + 1, 2 << 20)).unwrap();
    };
    change(10);
    sandbox.clone(&["--inplace"]).assert_code(0).assert_err("").assert_log("Writing in place: 2 files.");
    assert_clone(&sandbox);
    // Who may read it is another, so it is replaced: what may be written in place beside it makes no room for that.
    change(20);
    fs::set_permissions(sandbox.source.join("image"), fs::Permissions::from_mode(0o600)).unwrap();
    let run = sandbox.clone(&["--inplace"]);
    let lack = "the largest file that has changed and its old copy, which is kept until the new one is whole, take 80.00 MiB; ";
    assert_no_room(&sandbox, &run, lack, &["error", "id", "stats"]);
}

#[test]
fn what_was_deleted_just_now_is_room() {
    // btrfs tells it as free only after some seconds, unless it is asked to write.
    let disk = LoopDisk::new("btrfs", 115, &["--mixed"], "");
    let sandbox = sandbox_on(&dir(disk.path(), "clone"));
    fs::write(disk.path().join("beside"), noise(1, 70 << 20)).unwrap();
    tool("sync", &[OsStr::new("-f"), disk.path().as_os_str()]);
    fill(&sandbox, "a", 50);
    sandbox.clone(&[]).assert_code(74);
    fs::remove_file(disk.path().join("beside")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("");
}

#[test]
fn what_stands_beside_the_clone_is_no_room() {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let sandbox = sandbox_on(&dir(disk.path(), "clone"));
    fs::write(disk.path().join("beside"), noise(1, 30 << 20)).unwrap();
    fill(&sandbox, "a", 20);
    sandbox.clone(&[]).assert_code(0);
    fill(&sandbox, "b", 40);
    let run = sandbox.clone(&[]);
    assert_no_room(&sandbox, &run, "40.00 MiB have to be written; ", &["error", "id", "stats"]);
    let room = run.err.split("has room for ").nth(1).unwrap().split('.').next().unwrap();
    assert!((5..20).contains(&room.parse::<u32>().unwrap()), "{run}");
    assert_eq!(sandbox.names(), ["a"]);
    // The same need on the whole disk, without the clone that would be set apart there.
    fs::remove_file(sandbox.destination.join(format!("{STEM}id"))).unwrap();
    let sandbox_root = sandbox_on(disk.path());
    fill(&sandbox_root, "b", 40);
    sandbox_root.clone(&["--adopt"]).assert_code(0);
}

#[test]
fn too_few_inodes_are_74_before_anything_is_written() {
    let disk = LoopDisk::new("ext4", 32, &["-N", "128"], "");
    let sandbox = sandbox_on(disk.path());
    many_files(&sandbox.source, 200, 10);
    let run = sandbox.clone(&[]);
    let lack = "201 files and directories have to be created; the destination has ";
    assert_no_room(&sandbox, &run, lack, &["error"]);
    // As many names, but few files.
    fs::remove_dir_all(sandbox.source.join("0000")).unwrap();
    sandbox.write("0", "content");
    for number in 1..200 {
        fs::hard_link(sandbox.source.join("0"), sandbox.source.join(number.to_string())).unwrap();
    }
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_clone(&sandbox);
}

#[test]
fn inodes_that_are_made_as_needed_are_not_compared() {
    for (kind, mib) in [("xfs", 320), ("btrfs", 120)] {
        let disk = LoopDisk::new(kind, mib, &[], "");
        let sandbox = sandbox_on(disk.path());
        many_files(&sandbox.source, 200, 10);
        sandbox.clone(&[]).assert_code(0).assert_err("");
    }
}

#[test]
fn holes_and_further_names_need_no_room() {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let sandbox = sandbox_on(disk.path());
    fs::File::create(sandbox.source.join("holes")).unwrap().set_len(512 << 20).unwrap();
    fill(&sandbox, "names", 20);
    for number in 0..5 {
        fs::hard_link(sandbox.source.join("names"), sandbox.source.join(number.to_string())).unwrap();
    }
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_clone(&sandbox);
}

#[test]
fn a_destination_that_compresses_is_not_judged() {
    let disk = LoopDisk::new("btrfs", 120, &[], "compress=zstd");
    let sandbox = sandbox_on(disk.path());
    fs::write(sandbox.source.join("text"), "the same again and again\n".repeat(6 << 20)).unwrap();
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("");
    run.assert_log(
        "Whether the clone fits is not checked: it cannot be determined on the destination's filesystem.\n",
    );
}

#[test]
fn memory_without_a_limit_is_not_judged() {
    let memory = Tmpfs::new("size=0");
    let sandbox = sandbox_on(memory.path());
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0).assert_log("Whether the clone fits is not checked: ");
}

#[test]
fn what_is_left_out_needs_no_room() {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let sandbox = sandbox_on(disk.path());
    sandbox.write("file", "content");
    set_aside(&sandbox, "large", 200);
    let file = sandbox.path().join("patterns");
    fs::write(&file, "/large\n").unwrap();
    sandbox.clone(&["-e", &text(&file)]).assert_code(0).assert_err("").assert_no_warning();
    fs::write(&file, "l?[a-r]ge\n").unwrap();
    sandbox.clone(&["-e", &text(&file)]).assert_code(0).assert_err("").assert_no_warning();
    sandbox.clone(&[]).assert_code(74);
    // A line that some rsyncs skip makes a warning of the refusal.
    fs::write(&file, format!("/{}large\n", "*".repeat(4200))).unwrap();
    let run = sandbox.clone(&["-e", &text(&file)]);
    run.assert_code(0).assert_err("");
    run.assert_log(
        ": Warning: the clone may not fit, unless your exclusions leave out enough: 200.00 MiB have to be written; ",
    );
    run.assert_no_log("Nothing was copied");
}

#[test]
fn a_test_run_only_warns() {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let sandbox = sandbox_on(disk.path());
    set_aside(&sandbox, "large", 200);
    let before = snapshot(disk.path());
    let run = sandbox.clone(&["-t"]);
    run.assert_code(70).assert_err("").assert_log("Would create large\n");
    run.assert_log(": Warning: a real run would be refused with code 74. The destination ");
    assert_unchanged(&before, &snapshot(disk.path()));
}

#[test]
fn a_shrunken_source_comes_before_want_of_room() {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let sandbox = sandbox_on(disk.path());
    many_files(&sandbox.source, 1200, 10);
    sandbox.clone(&[]).assert_code(0);
    for number in 0..3 {
        fs::remove_dir_all(sandbox.source.join(format!("{number:04}"))).unwrap();
    }
    set_aside(&sandbox, "large", 200);
    sandbox.clone(&[]).assert_code(76);
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    sandbox.clone(&["--allow-shrink"]).assert_code(74);
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
}

#[test]
fn a_short_disk_of_the_log_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let (short, ample) = (Tmpfs::new("size=60m"), Tmpfs::new("size=80m"));
    // A directory that is yet to be made counts for the disk that it will be on.
    let log = text(&short.path().join("new/log"));
    let run = sandbox.clone(&["--log-dir", &log]);
    run.assert_code(0).assert_err("");
    run.assert_log(&format!(
        ": Warning: the disk of the log directory {log} has only 60.00 MiB left of 60.00 MiB.\n"
    ));
    let run = sandbox.clone(&["--log-dir", &text(ample.path())]);
    run.assert_code(0).assert_no_log("has only");
}

#[test]
fn a_short_disk_of_the_server_backup_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let disk = Tmpfs::new("size=200m");
    let backup = text(disk.path());
    let arguments = ["-t", "-b", "secret", "--backup-dir", &backup];
    sandbox.clone(&arguments).assert_code(70).assert_no_log("has only");
    // A new dump of this size would not fit beside the old one.
    fs::write(disk.path().join("Postgres.bz2"), vec![b'x'; 110 << 20]).unwrap();
    let run = sandbox.clone(&arguments);
    run.assert_code(70);
    run.assert_log(&format!(
        ": Warning: the disk of the server backup directory {backup} has only 90.00 MiB left of 200.00 MiB.\n"
    ));
    // Nobody asks for it without a server backup.
    sandbox.clone(&["-t"]).assert_code(70).assert_no_log("has only");
}
