//! Every kind of change is found and copied by a list.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::Path;
use std::process::Command;

use crate::quick::{add_files, assert_quick, cloned, prepare, settle};
use crate::support::audit::{Options, assert_same};
use crate::support::disk::LoopDisk;
use crate::support::faulty::FaultyFuse;
use crate::support::sandbox::{Sandbox, names_of};
use crate::support::tree::{many_files, set_mtime};

/// Writes other content of the same size, and gives the file its old time.
fn forge(path: &Path) {
    let found = fs::metadata(path).unwrap();
    let mut content = fs::read(path).unwrap();
    content[0] ^= 0xff;
    fs::write(path, content).unwrap();
    set_mtime(path, found.mtime(), found.mtime_nsec());
}

#[test]
fn every_kind_of_change_is_copied() {
    let sandbox = cloned();
    let source = &sandbox.source;
    symlink("target", source.join("link")).unwrap();
    sandbox.write("becomes a directory", "x");
    sandbox.write("becomes a file/below/deep", "x");
    sandbox.write("0003/moved/away", "x");
    settle(&sandbox);

    sandbox.write("new/deep/down/file", "content");
    fs::create_dir_all(source.join("empty/directory")).unwrap();
    fs::remove_dir_all(source.join("0001")).unwrap();
    fs::remove_file(source.join("0002/00000200")).unwrap();
    fs::write(source.join("0002/00000201"), "longer content").unwrap();
    fs::set_permissions(source.join("0002/00000202"), fs::Permissions::from_mode(0o4711)).unwrap();
    lchown(source.join("0002/00000203"), Some(1234), Some(4321)).unwrap();
    set_mtime(&source.join("0002/00000204"), 1_000_000_000, 123_456_789);
    let set = |tool: &str, arguments: &[&str]| {
        let status = Command::new(tool).args(arguments).arg(source.join("0002/00000205")).status().unwrap();
        assert!(status.success(), "{tool}");
    };
    set("setfacl", &["-m", "u:1000:rw"]);
    set("setfattr", &["-n", "user.name", "-v", "value"]);
    fs::remove_file(source.join("link")).unwrap();
    symlink("tarjet", source.join("link")).unwrap();
    fs::remove_file(source.join("becomes a directory")).unwrap();
    sandbox.write("becomes a directory/with", "content");
    fs::remove_dir_all(source.join("becomes a file")).unwrap();
    sandbox.write("becomes a file", "content");
    fs::rename(source.join("0003/moved"), source.join("0004/moved")).unwrap();
    fs::set_permissions(source, fs::Permissions::from_mode(0o711)).unwrap();
    nix::unistd::mkfifo(&source.join("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert_quick(&sandbox, &[]);
}

#[test]
fn odd_names_are_copied_and_deleted() {
    let sandbox = cloned();
    let names: [&[u8]; 12] = [
        b"#comment",
        b";comment",
        b"-option",
        b" blank ",
        b"new\nline",
        b"\xff\xfe",
        b"*",
        b"[a]",
        b"a\\b",
        b"~",
        b"...",
        b"+ rule",
    ];
    for name in names {
        let name = OsStr::from_bytes(name);
        fs::write(sandbox.source.join(name), "x").unwrap();
        fs::create_dir(sandbox.source.join("0001").join(name)).unwrap();
        fs::write(sandbox.source.join("0001").join(name).join(name), "x").unwrap();
    }
    assert_quick(&sandbox, &[]);
    for name in names {
        let name = OsStr::from_bytes(name);
        fs::remove_file(sandbox.source.join(name)).unwrap();
        fs::remove_dir_all(sandbox.source.join("0001").join(name)).unwrap();
    }
    assert_quick(&sandbox, &[]);
}

#[test]
fn content_under_its_old_size_and_time_is_found_on_both_sides() {
    let sandbox = cloned();
    forge(&sandbox.source.join("0001/00000100"));
    let run = assert_quick(&sandbox, &[]);
    run.assert_log(
        "1 files have other contents than their copies of the same size and time: copying them.\n",
    );
    // The clone was damaged.
    forge(&sandbox.destination.join("0002/00000200"));
    let run = assert_quick(&sandbox, &[]);
    run.assert_log(
        "1 files have other contents than their copies of the same size and time: copying them.\n",
    );
    // Only the time of the last change is another.
    let path = sandbox.source.join("0003/00000300");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_quick(&sandbox, &[]).assert_no_log("files have other contents");
}

#[test]
fn whatever_was_done_to_the_clone_is_undone() {
    let sandbox = cloned();
    let clone = &sandbox.destination;
    fs::remove_dir_all(clone.join("0001")).unwrap();
    sandbox.write_destination("planted/deep/file", "x");
    fs::set_permissions(clone.join("0002"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::rename(clone.join("0003/00000300"), clone.join("0003/renamed")).unwrap();
    fs::remove_file(clone.join("0004/00000400")).unwrap();
    symlink("/etc/passwd", clone.join("0004/00000400")).unwrap();
    fs::hard_link(clone.join("0005/00000500"), clone.join("0005/second")).unwrap();
    assert_quick(&sandbox, &[]);
}

#[test]
fn groups_of_hard_links_change_in_every_way() {
    let sandbox = cloned();
    let source = &sandbox.source;
    let link = |from: &str, to: &str| fs::hard_link(source.join(from), source.join(to)).unwrap();
    for name in ["a", "b", "c", "d", "e"] {
        sandbox.write(name, name);
        link(name, &format!("0001/{name}"));
        link(name, &format!("0002/{name}"));
    }
    settle(&sandbox);
    // A name more, a name less, another content, and a group that falls apart.
    link("a", "0003/a");
    fs::remove_file(source.join("0001/b")).unwrap();
    fs::write(source.join("c"), "changed").unwrap();
    fs::remove_file(source.join("0001/d")).unwrap();
    fs::write(source.join("0001/d"), "d").unwrap();
    let found = fs::metadata(source.join("d")).unwrap();
    set_mtime(&source.join("0001/d"), found.mtime(), found.mtime_nsec());
    // Two groups become one.
    for name in ["e", "0001/e", "0002/e"] {
        fs::remove_file(source.join(name)).unwrap();
        link("a", name);
    }
    assert_quick(&sandbox, &[]);
    // In the clone, a group was broken and another one joined.
    let clone = &sandbox.destination;
    fs::remove_file(clone.join("0002/a")).unwrap();
    fs::copy(clone.join("a"), clone.join("0002/a")).unwrap();
    fs::remove_file(clone.join("0002/c")).unwrap();
    fs::hard_link(clone.join("b"), clone.join("0002/c")).unwrap();
    assert_quick(&sandbox, &[]);
}

#[test]
fn exclusions_that_come_and_go_are_differences() {
    let sandbox = cloned();
    let excludes = sandbox.path().join("excludes");
    fs::write(&excludes, "/0001\n*0207\n").unwrap();
    let excludes = excludes.to_str().unwrap();
    let run = sandbox.clone(&["-e", excludes]);
    run.assert_code(0).assert_err("").assert_log(": Full pass: the destination holds what is excluded.\n");
    assert!(!sandbox.destination.join("0001").exists());
    assert!(!sandbox.destination.join("0002/00000207").exists());
    // What is left out may change.
    sandbox.write("0001/new", "x");
    sandbox.clone(&["-e", excludes]).assert_code(0).assert_err("").assert_log(": Quick pass: ");
    assert!(!sandbox.destination.join("0001").exists());
    sandbox.clone(&[]).assert_code(0).assert_err("");
    crate::support::audit::assert_same(
        &sandbox.source,
        &sandbox.destination,
        &crate::support::audit::Options::default(),
    );
}

#[test]
fn a_name_that_is_no_longer_excluded_is_linked_to_the_others() {
    let sandbox = Sandbox::new();
    add_files(&sandbox.source);
    sandbox.write("0001/a", "content");
    fs::hard_link(sandbox.source.join("0001/a"), sandbox.source.join("0002/excluded")).unwrap();
    let excludes = sandbox.path().join("excludes");
    fs::write(&excludes, "/0002/excluded\n").unwrap();
    let excludes = excludes.to_str().unwrap();
    let runs: Vec<_> = (0..4).map(|_| sandbox.clone(&["-e", excludes])).collect();
    runs[3].assert_code(0).assert_log(": Quick pass: 0 of ");
    // Nothing of the file itself has changed.
    assert_quick(&sandbox, &[]);
}

#[test]
fn a_safety_net_takes_what_a_list_deletes_and_replaces() {
    let sandbox = cloned();
    fs::remove_dir_all(sandbox.source.join("0001")).unwrap();
    fs::write(sandbox.source.join("0002/00000200"), "other content").unwrap();
    let old = fs::read(sandbox.destination.join("0002/00000200")).unwrap();
    sandbox.clone(&["--safety-net"]).assert_code(0).assert_err("").assert_log(": Quick pass: ");
    let nets = sandbox.marker("safety-net");
    let net = nets.join(&names_of(&nets)[0]);
    assert_eq!(fs::read(net.join("0002/00000200")).unwrap(), old);
    assert_eq!(fs::read_dir(net.join("0001")).unwrap().count(), 100);
}

#[test]
fn the_roots_own_properties_are_copied_and_kept() {
    let sandbox = cloned();
    set_mtime(&sandbox.source, 1_500_000_000, 5);
    assert_quick(&sandbox, &[]);
    sandbox.write("0001/in a directory", "x");
    assert_quick(&sandbox, &[]);
    let time = |path: &Path| {
        let found = fs::metadata(path).unwrap();
        (found.mtime(), found.mtime_nsec())
    };
    assert_eq!(time(&sandbox.destination), (1_500_000_000, 5));
}

#[test]
fn every_filesystem_that_stamps_changes_is_quick() {
    for kind in ["ext4", "xfs", "btrfs"] {
        let disk = LoopDisk::new(kind, 320, &[], "");
        let mut sandbox = Sandbox::new();
        sandbox.destination = disk.path().into();
        prepare(&sandbox);
        sandbox.write("0001/new", "x");
        assert_quick(&sandbox, &[]);
    }
}

#[test]
fn a_filesystem_that_nobody_vouches_for_is_not() {
    let fuse = FaultyFuse::new();
    let mut sandbox = Sandbox::new();
    sandbox.source = fuse.path();
    add_files(&sandbox.source);
    for _ in 0..2 {
        sandbox.clone(&[]).assert_code(0).assert_log(
            ": Full pass: no quick pass is made here, since the source's filesystem is not known to stamp every change.\n",
        );
    }
}

#[test]
fn a_full_pass_reads_what_the_index_doubts_as_well() {
    let sandbox = cloned();
    forge(&sandbox.source.join("0001/00000100"));
    for number in 0..300 {
        sandbox.write(format!("more/{number}"), "content");
    }
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("").assert_log(": Full pass: more than an eighth of the entries differ.\n");
    run.assert_log(
        "1 files have other contents than their copies of the same size and time: copying them.\n",
    );
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
}

/// To rsync they are the same files with other attributes.
#[test]
fn files_of_one_size_and_time_that_changed_places_are_copied_whatever_their_modes() {
    for (pass, more) in [(": Quick pass: ", 0), (": Full pass: more than an eighth", 600)] {
        let sandbox = cloned();
        let paths = ["0001/one", "0001/other"].map(|name| sandbox.source.join(name));
        for (path, (content, mode)) in paths.iter().zip([("aaaa", 0o600), ("bbbb", 0o644)]) {
            fs::write(path, content).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            set_mtime(path, 1_700_000_000, 0);
        }
        settle(&sandbox);
        let between = sandbox.source.join("0001/between");
        for (from, to) in [(&paths[0], &between), (&paths[1], &paths[0]), (&between, &paths[1])] {
            fs::rename(from, to).unwrap();
        }
        many_files(&sandbox.source.join("more"), more, 10);
        sandbox.clone(&[]).assert_code(0).assert_err("").assert_log(pass);
        assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    }
}
