//! The first copy, which is ours; rsync looks over it.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::quick::{add_files, let_the_clock_tick, settle, watched_rsync};
use crate::support::audit::{Options, assert_same};
use crate::support::disk::LoopDisk;
use crate::support::sandbox::Sandbox;
use crate::support::scene::{Running, wait_for_files};
use crate::support::tree::{noise, set_mtime};

/// What the log says of it.
const FIRST: &str = ": First copy: ";

fn run(program: &str, arguments: &[&str], path: &Path) {
    let status = Command::new(program).args(arguments).arg(path).status().unwrap();
    assert!(status.success(), "{program} {arguments:?} {}", path.display());
}

/// One of everything that a filesystem can hold, in directories of all rights.
fn add_everything(source: &Path) {
    let dir = source.join("every");
    fs::create_dir(&dir).unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = dir.join(name);
        fs::write(&path, content).unwrap();
        path
    };
    file("empty", b"");
    file("small", &noise(1, 4097));
    file("at the edge", &noise(2, 128 << 10));
    file("over the edge", &noise(3, (128 << 10) + 1));
    file("large", &noise(4, (9 << 20) + 5));
    let setuid = file("setuid", b"#!/bin/sh\n");
    chown(&setuid, Some(1234), Some(4321)).unwrap();
    fs::set_permissions(&setuid, fs::Permissions::from_mode(0o6751)).unwrap();
    fs::set_permissions(file("closed", b"x"), fs::Permissions::from_mode(0o0)).unwrap();
    set_mtime(&file("before 1970", b"x"), -86_401, 999_999_999);
    set_mtime(&file("far", b"x"), 4_000_000_000, 1);
    run("setfattr", &["-n", "user.name", "-v", "value"], &file("attribute", b"x"));
    run("setfacl", &["-m", "u:1234:rw,m::r"], &file("list", b"x"));
    run("setcap", &["cap_net_raw=ep"], &file("capability", b"x"));
    let holes = fs::File::create(dir.join("holes")).unwrap();
    holes.write_all_at(b"middle", 40 << 20).unwrap();
    holes.set_len(100 << 20).unwrap();
    let start = fs::File::create(dir.join("data before a hole")).unwrap();
    start.write_all_at(&noise(5, 300_000), 0).unwrap();
    start.set_len(30 << 20).unwrap();
    fs::File::create(dir.join("nothing but a hole")).unwrap().set_len(5 << 20).unwrap();
    fs::hard_link(dir.join("small"), source.join("0003/linked")).unwrap();
    fs::write(dir.join(std::ffi::OsStr::from_bytes(b"bad \xff\n name")), "x").unwrap();
    symlink("nowhere/\u{fc}", dir.join("link")).unwrap();
    lchown(dir.join("link"), Some(77), Some(78)).unwrap();
    run("touch", &["-h", "-d", "2001-02-03 04:05:06.789"], &dir.join("link"));
    run("mkfifo", &[], &dir.join("fifo"));
    run("sh", &["-c", "mknod \"$0\" c 1 3"], &dir.join("device"));
    let rights = dir.join("of a user");
    fs::create_dir_all(rights.join("within/deeper")).unwrap();
    fs::write(rights.join("within/deeper/file"), "x").unwrap();
    fs::set_permissions(rights.join("within"), fs::Permissions::from_mode(0o1777)).unwrap();
    chown(&rights, Some(1234), Some(1234)).unwrap();
    fs::set_permissions(&rights, fs::Permissions::from_mode(0o2500)).unwrap();
    let defaults = dir.join("default list");
    fs::create_dir_all(defaults.join("a/b")).unwrap();
    run("setfacl", &["-d", "-m", "u:1234:rwx"], &defaults);
    fs::create_dir(dir.join("empty directory")).unwrap();
    for old in ["every/empty directory", "every/of a user", "every", "0001"] {
        set_mtime(&source.join(old), 1_000_000_000, 123_456_789);
    }
}

#[test]
fn a_first_clone_is_copied_by_ourselves_and_rsync_finds_it_exact() {
    let sandbox = Sandbox::new();
    add_files(&sandbox.source);
    add_everything(&sandbox.source);
    let_the_clock_tick();
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("").assert_log(FIRST).assert_log("A full pass follows.");
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    // rsync has copied the hard-linked file alone.
    run.assert_log("Number of regular files transferred: 1\n");
    let record = sandbox.record().unwrap();
    let statistics = &record["statistics"];
    // All but the root, which was there; rsync counts the names of a hard link once.
    let created = statistics["created"].as_u64().unwrap();
    assert_eq!(created + 1, record["census"]["entries"].as_u64().unwrap(), "{record:#}");
    assert_eq!(statistics["created_by_kind"]["links"], 1);
    assert_eq!(statistics["transferred"], statistics["created_by_kind"]["files"].as_u64().unwrap() - 1);
    settle(&sandbox);
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
}

#[test]
fn without_attributes_rsync_does_not_look_for_any() {
    let sandbox = Sandbox::new();
    // In the source, and in the clone of what has not changed there.
    let stray = sandbox.destination.join("0003/00000300");
    let arguments = watched_rsync(
        &sandbox,
        &format!(
            "[ $n -gt 1 ] || {{ setfattr -n user.late -v x 0001/00000100; setfacl -m u:7:r 0002; \
             setfattr -n user.stray -v x '{}'; }}",
            stray.display()
        ),
    );
    add_files(&sandbox.source);
    let_the_clock_tick();
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("").assert_log(": Closing pass 1: 3 entries have changed meanwhile.");
    let given = fs::read_to_string(&arguments).unwrap();
    let transfers: Vec<&str> = given.split("--archive\n").skip(1).collect();
    let looks = |arguments: &str| arguments.contains("--xattrs\n") && arguments.contains("--acls\n");
    // The last is for the root.
    assert_eq!(
        transfers.iter().map(|given| looks(given)).collect::<Vec<_>>(),
        [false, true, true],
        "{given}"
    );
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    fs::remove_file(&arguments).unwrap();
    sandbox.clone(&["--full"]).assert_code(0);
    assert!(looks(&fs::read_to_string(&arguments).unwrap()));
}

#[test]
fn attributes_at_one_end_alone_are_seen() {
    for (is_source, place) in [false, true]
        .into_iter()
        .flat_map(|is_source| ["0001/00000100", "0001", ""].map(|place| (is_source, place)))
    {
        let sandbox = Sandbox::new();
        let arguments = watched_rsync(&sandbox, "");
        add_files(&sandbox.source);
        sandbox.clone(&[]).assert_code(0);
        let end = if is_source { &sandbox.source } else { &sandbox.destination };
        run("setfattr", &["-n", "user.late", "-v", "x"], &end.join(place));
        fs::remove_file(&arguments).unwrap();
        sandbox.clone(&["--full"]).assert_code(0);
        let given = fs::read_to_string(&arguments).unwrap();
        // Of the full pass itself, not of one that puts it right.
        assert!(given.split("--archive\n").nth(1).unwrap().contains("--xattrs\n"), "{place:?}: {given}");
        assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    }
}

#[test]
fn what_is_excluded_is_not_copied_and_another_filesystem_is_not_entered() {
    let sandbox = Sandbox::new();
    add_files(&sandbox.source);
    for path in ["cache/file", "0001/x.tmp", "mounted/below"] {
        let path = sandbox.source.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let list = sandbox.path().join("list");
    fs::write(&list, "/cache\n*.tmp\n").unwrap();
    let_the_clock_tick();
    let run = sandbox.clone(&["-e", list.to_str().unwrap()]);
    run.assert_code(0).assert_err("").assert_log(FIRST);
    for gone in ["cache", "0001/x.tmp"] {
        assert!(!sandbox.destination.join(gone).exists(), "{gone}");
    }
    let skip = ["cache", "0001/x.tmp"].map(Into::into).to_vec();
    assert_same(&sandbox.source, &sandbox.destination, &Options { skip, ..Options::default() });
}

#[test]
fn into_a_directory_of_another_user_only_rsync_copies() {
    let sandbox = Sandbox::new();
    add_files(&sandbox.source);
    chown(&sandbox.destination, Some(1234), None).unwrap();
    chown(&sandbox.source, Some(1234), None).unwrap();
    let_the_clock_tick();
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("").assert_log(": First copy: 0 B copied in ");
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
}

/// Whether a directory that everybody may enter has a file in it that they must not see.
fn leaks(dir: &Path) -> bool {
    let is_open = |dir: &Path| dir.metadata().is_ok_and(|found| found.mode() & 0o005 != 0);
    let has_secrets = |dir: &Path| fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    is_open(dir) && has_secrets(dir) && is_open(dir)
}

#[test]
fn what_a_user_moves_in_the_destination_meanwhile_opens_no_closed_directory() {
    const PAIRS: usize = 40;
    let sandbox = Sandbox::new();
    add_files(&sandbox.source);
    let home = sandbox.source.join("home");
    for pair in 0..PAIRS {
        let (open, closed) = (home.join(format!("open{pair}")), home.join(format!("closed{pair}")));
        fs::create_dir_all(&open).unwrap();
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        for number in 0..100 {
            fs::write(closed.join(format!("secret{number}")), "for root alone").unwrap();
        }
    }
    chown(&home, Some(1234), None).unwrap();
    let_the_clock_tick();
    let copy = sandbox.destination.join("home");
    let mut running = Running::start(&sandbox, &[]);
    let mut exchanged = Vec::new();
    while !running.has_ended() {
        for pair in (0..PAIRS).filter(|pair| !exchanged.contains(pair)).collect::<Vec<_>>() {
            let (open, closed) = (copy.join(format!("open{pair}")), copy.join(format!("closed{pair}")));
            let mode = |path: &Path| path.metadata().map_or(0, |found| found.mode() & 0o777);
            if mode(&open) == 0o755 && mode(&closed) == 0o700 {
                let here = nix::fcntl::AT_FDCWD;
                let exchange = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
                let _ = nix::fcntl::renameat2(here, &open, here, &closed, exchange);
                exchanged.push(pair);
            }
        }
        for pair in &exchanged {
            assert!(!leaks(&copy.join(format!("closed{pair}"))), "{pair}");
        }
    }
    running.finish().assert_code(0).assert_err("");
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
}

#[test]
fn a_first_copy_that_is_killed_or_stopped_is_completed_by_the_next_run() {
    for signal in [Signal::SIGKILL, Signal::SIGINT, Signal::SIGTERM] {
        let sandbox = Sandbox::new();
        add_files(&sandbox.source);
        for number in 0..24_u64 {
            fs::write(sandbox.source.join(format!("large{number}")), noise(number + 1, 4 << 20)).unwrap();
        }
        let_the_clock_tick();
        let running = Running::start(&sandbox, &[]);
        wait_for_files(&sandbox);
        running.signal(signal);
        let run = running.finish();
        assert_ne!(run.code, 0, "{run}");
        assert!(!sandbox.markers().contains(&"completed".to_owned()));
        // What has its name is whole.
        for name in sandbox.names().into_iter().filter(|name| name.as_bytes().starts_with(b"large")) {
            let (source, copy) = (sandbox.source.join(&name), sandbox.destination.join(&name));
            assert!(fs::read(&copy).unwrap() == fs::read(&source).unwrap(), "{name:?}");
        }
        sandbox.clone(&[]).assert_code(0);
        assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    }
}

/// The bytes in use on a filesystem.
fn used(disk: &Path) -> u64 {
    let disk = nix::sys::statvfs::statvfs(disk).unwrap();
    (disk.blocks() - disk.blocks_free()) * disk.fragment_size()
}

#[test]
fn on_one_filesystem_that_can_the_copies_share_their_blocks() {
    for filesystem in ["btrfs", "xfs"] {
        let disk = LoopDisk::new(filesystem, 400, &[], "");
        let sandbox = Sandbox::new();
        let (source, destination) = (disk.path().join("source"), disk.path().join("destination"));
        fs::create_dir_all(&source).unwrap();
        fs::create_dir_all(&destination).unwrap();
        add_files(&source);
        fs::write(source.join("large"), noise(1, 60 << 20)).unwrap();
        run("sync", &["-f"], disk.path());
        let_the_clock_tick();
        let before = used(disk.path());
        let arguments = ["-s", source.to_str().unwrap(), "-d", destination.to_str().unwrap()];
        let run = sandbox.run(arguments);
        run.assert_code(0).assert_err("").assert_log(FIRST);
        assert_same(&source, &destination, &Options::default());
        assert!(used(disk.path()) < before + (40 << 20), "{filesystem}: {} to {}", before, used(disk.path()));
    }
}
