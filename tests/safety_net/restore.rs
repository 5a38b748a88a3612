//! `counterpart restore`: which net is used, where files go, and that nothing is overwritten.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::Path;

use crate::safety_net::scene::{beside, make_net, nets_dir, restore};
use crate::support::disk::LoopDisk;
use crate::support::sandbox::{Finished, Sandbox, names_of};
use crate::support::tree;

const OLD: &str = "2026-01-01_02-30-00";
const MIDDLE: &str = "2026-01-02_02-30-00";
const NEW: &str = "2026-01-02_02-30-00_2";

/// Three nets; each has `file` with the net's name in it, and some have more.
fn scene() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_destination("file", "the clone's");
    for name in [OLD, MIDDLE, NEW] {
        make_net(&sandbox, name);
    }
    fs::create_dir_all(nets_dir(&sandbox).join(OLD).join("home/anna")).unwrap();
    fs::write(nets_dir(&sandbox).join(OLD).join("home/anna/letter"), "dear").unwrap();
    sandbox
}

#[track_caller]
fn assert_refused(run: &Finished, code: i32, sentence: &str) {
    assert_eq!((run.code, run.out.as_str()), (code, ""), "{run}");
    assert_eq!(run.err, format!("counterpart: {sentence}\n"));
}

fn to(sandbox: &Sandbox, more: &[&str]) -> Finished {
    let dir = sandbox.path().join("to");
    if !dir.exists() {
        fs::create_dir(&dir).unwrap();
    }
    let mut arguments = vec!["--to", dir.to_str().unwrap()];
    arguments.extend(more);
    restore(sandbox, arguments)
}

fn restored(sandbox: &Sandbox, name: &str) -> String {
    fs::read_to_string(sandbox.path().join("to").join(name)).unwrap()
}

#[test]
fn without_a_time_the_newest_net_that_holds_it_is_taken() {
    let sandbox = scene();
    let run = to(&sandbox, &["/file", "home/anna/letter"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run}");
    let dir = sandbox.path().join("to");
    assert_eq!(
        run.out,
        format!(
            "/home/anna/letter of the safety net {OLD} is now {0}/letter.\n/file of the safety net {NEW} is now {0}/file.\n",
            dir.display()
        )
    );
    assert_eq!((restored(&sandbox, "file"), restored(&sandbox, "letter")), (NEW.into(), "dear".into()));
    assert_eq!(names_of(&dir), ["file", "letter"]);
}

#[test]
fn a_time_may_be_given_as_far_as_it_is_clear() {
    for (at, wanted) in [
        ("2026-01-01", OLD),
        ("2026-01-01_02", OLD),
        (OLD, OLD),
        (MIDDLE, MIDDLE),
        (NEW, NEW),
        ("latest", NEW),
    ] {
        let sandbox = scene();
        assert_eq!(to(&sandbox, &["--at", at, "file"]).code, 0, "{at}");
        assert_eq!(restored(&sandbox, "file"), wanted, "{at}");
    }
    let sandbox = scene();
    assert_refused(
        &to(&sandbox, &["--at", "2026-01-02", "file"]),
        2,
        &format!("--at 2026-01-02 matches each of {MIDDLE}, {NEW}; be more specific."),
    );
    assert_refused(
        &to(&sandbox, &["--at", "2025", "file"]),
        65,
        "There is no safety net of 2025; --list shows those that exist.",
    );
    assert_refused(
        &to(&sandbox, &["--at", "latest", "home/anna/letter"]),
        65,
        "/home/anna/letter is not in that safety net; --list /home/anna/letter names those that hold it. \
         Nothing was restored.",
    );
    assert_eq!(names_of(&sandbox.path().join("to")), [] as [&str; 0]);
}

#[test]
fn nothing_is_overwritten_and_all_or_nothing_is_begun() {
    let sandbox = scene();
    let dir = beside(&sandbox, "to");
    fs::write(dir.join("letter"), "mine").unwrap();
    symlink("nowhere", dir.join("file")).unwrap();
    for (path, name) in [("home/anna/letter", "letter"), ("file", "file")] {
        let sentence = format!(
            "{}/{name} exists, and restore overwrites nothing: move it away or name another directory with --to. Nothing was restored.",
            dir.display()
        );
        assert_refused(&to(&sandbox, &["home", path]), 66, &sentence);
    }
    assert_refused(
        &to(&sandbox, &["home", "nowhere"]),
        65,
        &format!(
            "/nowhere is in no safety net at {}; perhaps the clone itself has it. Nothing was restored.",
            sandbox.destination.display()
        ),
    );
    assert_refused(
        &to(&sandbox, &["home", "./home/"]),
        2,
        &format!(
            "Two of the paths would become {}/home: restore them one by one. Nothing was restored.",
            dir.display()
        ),
    );
    assert_eq!(names_of(&dir), ["file", "letter"]);
    assert_eq!(restored(&sandbox, "letter"), "mine");
    assert!(!dir.join("nowhere").exists());
}

#[test]
fn a_whole_net_comes_back_under_its_time() {
    let sandbox = scene();
    for (path, at) in [("/", "latest"), (".", OLD)] {
        assert_eq!(to(&sandbox, &["--at", at, path]).code, 0);
    }
    assert_eq!(names_of(&sandbox.path().join("to")), [OLD, NEW]);
    assert_eq!(restored(&sandbox, &format!("{OLD}/home/anna/letter")), "dear");
    let mode = fs::metadata(sandbox.path().join("to").join(NEW)).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o700, "as closed as the net");
}

#[test]
fn the_current_directory_is_where_it_goes_unless_told_otherwise() {
    let sandbox = scene();
    let here = beside(&sandbox, "here");
    let mut command =
        sandbox.command([OsStr::new("restore"), "-d".as_ref(), "../destination".as_ref(), "file".as_ref()]);
    let run = Finished::from(command.current_dir(&here).output().unwrap());
    assert_eq!(run.code, 0, "{run}");
    assert_eq!(fs::read_to_string(here.join("file")).unwrap(), NEW);
}

#[test]
fn what_cannot_be_used_is_told() {
    let sandbox = scene();
    let missing = sandbox.path().join("missing");
    let dir = missing.to_str().unwrap();
    let run = sandbox.run(["restore", "-d", dir, "file"]);
    assert_refused(&run, 66, &format!("{dir} cannot be read: No such file or directory."));
    let run = restore(&sandbox, ["--to", dir, "file"]);
    assert_refused(&run, 66, &format!("Nothing can be restored to {dir}: No such file or directory."));
    let net = nets_dir(&sandbox).join(OLD);
    let run = restore(&sandbox, ["--to", net.to_str().unwrap(), "home"]);
    assert_refused(
        &run,
        66,
        &format!("Nothing can be restored to {}: it lies inside the safety nets.", net.display()),
    );
    let run = to(&sandbox, &["../file"]);
    assert_refused(&run, 2, "../file holds \"..\", which means nothing in a safety net.");
    let run = to(&sandbox, &[""]);
    assert_eq!(run.code, 2, "{run}");
    let run = restore(&sandbox, [] as [&str; 0]);
    assert_eq!(run.code, 2, "{run}");
    let run = restore(&sandbox, ["--list", "--at", "latest"]);
    assert_eq!(run.code, 2, "{run}");

    let other = restore(&sandbox, ["-g", "org.other", "--to", sandbox.path().to_str().unwrap(), "home"]);
    let sentence =
        format!("There is no safety net at {}. Nothing was restored.", sandbox.destination.display());
    assert_refused(&other, 65, &sentence);
}

#[test]
fn no_link_is_followed_to_what_is_asked_for() {
    let sandbox = scene();
    let victims = beside(&sandbox, "victims");
    fs::write(victims.join("secret"), "secret").unwrap();
    symlink(&victims, nets_dir(&sandbox).join(OLD).join("link")).unwrap();
    let run = to(&sandbox, &["link/secret"]);
    assert_eq!(run.code, 65, "{run}");
    // The link itself is what was saved.
    assert_eq!(to(&sandbox, &["link"]).code, 0);
    assert_eq!(fs::read_link(sandbox.path().join("to/link")).unwrap(), victims);

    let sandbox = scene();
    fs::rename(nets_dir(&sandbox), victims.join("nets")).unwrap();
    symlink(victims.join("nets"), nets_dir(&sandbox)).unwrap();
    let run = to(&sandbox, &["file"]);
    let sentence = format!(
        "{} cannot be read: something that is not a directory has its name; move it away.",
        nets_dir(&sandbox).display()
    );
    assert_refused(&run, 66, &sentence);

    let sandbox = scene();
    lchown(nets_dir(&sandbox), Some(1234), Some(1234)).unwrap();
    assert_eq!(to(&sandbox, &["file"]).code, 66);
}

#[test]
fn the_list_tells_each_net_and_its_size() {
    let sandbox = scene();
    fs::write(nets_dir(&sandbox).join(NEW).join("large"), tree::noise(1, 1 << 20)).unwrap();
    fs::hard_link(nets_dir(&sandbox).join(NEW).join("large"), nets_dir(&sandbox).join(NEW).join("again"))
        .unwrap();
    let run = restore(&sandbox, ["--list"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run}");
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(lines[0], format!("{OLD}  4 entries  8.00 KiB"));
    assert_eq!(lines[1], format!("{MIDDLE}  1 entry  4.00 KiB"));
    assert_eq!(lines[2], format!("{NEW}  3 entries  1.00 MiB"), "{run}");
    assert_eq!(lines.len(), 3);

    let empty = Sandbox::new();
    let run = restore(&empty, ["--list"]);
    assert_eq!(
        (run.code, run.out),
        (0, format!("There is no safety net at {}.\n", empty.destination.display()))
    );
}

#[test]
fn the_list_tells_who_holds_a_path() {
    let sandbox = scene();
    fs::remove_file(nets_dir(&sandbox).join(MIDDLE).join("file")).unwrap();
    let run = restore(&sandbox, ["--list", "file", "home"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run}");
    let lines: Vec<&str> = run.out.lines().map(|line| line.split(", changed ").next().unwrap()).collect();
    assert_eq!(
        lines,
        [
            "/file".to_owned(),
            "  the clone itself  file of 11 B".to_owned(),
            format!("  {NEW}  file of 21 B"),
            format!("  {OLD}  file of 19 B"),
            "/home".to_owned(),
            format!("  {OLD}  directory"),
        ]
    );
    let run = restore(&sandbox, ["--list", "file", "nowhere"]);
    assert_eq!((run.code, run.err.as_str()), (65, "counterpart: /nowhere is in no safety net.\n"), "{run}");
}

#[test]
fn names_of_every_byte_are_found_and_shown_harmlessly() {
    let sandbox = scene();
    let all: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
    let net = nets_dir(&sandbox).join(MIDDLE);
    let mut names: Vec<&[u8]> = all.chunks(100).collect();
    names.extend([&b"-rf"[..], b"--delete", b"a:b", b"host:path", b"*", b" "]);
    for name in &names {
        fs::write(net.join(OsStr::from_bytes(name)), name).unwrap();
    }
    let dir = beside(&sandbox, "to");
    let mut arguments = vec![OsStr::new("--to"), dir.as_os_str(), OsStr::new("--")];
    arguments.extend(names.iter().map(|name| OsStr::from_bytes(name)));
    let run = restore(&sandbox, &arguments);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run}");
    for name in &names {
        assert_eq!(fs::read(dir.join(OsStr::from_bytes(name))).unwrap(), *name);
    }
    assert_eq!(run.out.lines().count(), names.len());
    assert!(!run.out.bytes().any(|byte| byte < b' ' && !b"\t\n".contains(&byte)), "{run}");
}

#[test]
fn a_disk_that_cannot_be_written_can_be_restored_from() {
    let disk = LoopDisk::new("ext4", 24, &[], "");
    let mut sandbox = Sandbox::new();
    sandbox.destination = disk.path().into();
    sandbox.write("file", "content");
    sandbox.write("stays", "content");
    sandbox.clone(&[]).assert_code(0);
    fs::remove_file(sandbox.source.join("file")).unwrap();
    sandbox.clone(&["--safety-net"]).assert_code(0);
    disk.remount_read_only();
    assert_eq!(to(&sandbox, &["file"]).code, 0);
    assert_eq!(restored(&sandbox, "file"), "content");
    disk.remount_writable();
}

#[test]
fn a_target_that_is_full_is_74() {
    let disk = LoopDisk::new("ext4", 8, &[], "");
    let sandbox = scene();
    fs::write(nets_dir(&sandbox).join(NEW).join("large"), tree::noise(1, 16 << 20)).unwrap();
    let run = restore(&sandbox, ["--to", disk.path().to_str().unwrap(), "large"]);
    assert_eq!(run.code, 74, "{run}");
    assert!(run.err.contains("No space left on device (28)"), "{run}");
    assert!(!disk.path().join("large").exists());
    assert!(nets_dir(&sandbox).join(NEW).join("large").exists());
}

#[test]
fn codes_of_rsync_are_passed_on() {
    for (body, code) in [("exit 23", 23), ("exit 11", 11), ("kill -9 $$", 137), ("exit 99", 86)] {
        let sandbox = scene();
        sandbox
            .rsync(&format!("case \" $* \" in *' --version '*) exec /usr/bin/rsync \"$@\" ;; esac\n{body}"));
        let run = to(&sandbox, &["file"]);
        assert_eq!(run.code, code, "{body}: {run}");
        assert!(run.err.ends_with("not everything is restored.\n"), "{run}");
    }
    let sandbox = scene();
    let run = to(&sandbox, &["--rsync", "/nowhere/rsync", "file"]);
    assert_eq!(run.code, 85, "{run}");
}

/// An owner, a mode and a time that nobody would choose by chance.
fn marker(path: &Path) {
    lchown(path, Some(4321), Some(1234)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o6751)).unwrap();
    tree::set_mtime(path, 1_234_567_890, 987_654_321);
}

#[test]
fn directories_on_the_way_have_their_properties_too() {
    let sandbox = Sandbox::new();
    sandbox.write("home/anna/letters/first", "dear");
    sandbox.write("home/anna/letters/second", "dear");
    let dirs = ["home/anna/letters", "home/anna", "home"];
    for dir in dirs {
        marker(&sandbox.source.join(dir));
    }
    sandbox.clone(&[]).assert_code(0);
    fs::remove_file(sandbox.source.join("home/anna/letters/first")).unwrap();
    sandbox.clone(&["--safety-net"]).assert_code(0);
    assert_eq!(to(&sandbox, &["home"]).code, 0);
    for dir in dirs {
        let found = fs::metadata(sandbox.path().join("to").join(dir)).unwrap();
        let properties = (found.uid(), found.gid(), found.mode() & 0o7777, found.mtime(), found.mtime_nsec());
        assert_eq!(properties, (4321, 1234, 0o6751, 1_234_567_890, 987_654_321), "{dir}");
    }
    assert_eq!(names_of(&sandbox.path().join("to/home/anna/letters")), ["first"]);
}
