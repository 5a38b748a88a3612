//! Links that are separated.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;

use crate::links::{MOMENT, PARTED, assert_exact, file, inode, link, options, part, transferred};
use crate::support::disk::LoopDisk;
use crate::support::nobody;
use crate::support::other_rsyncs::with_each;
use crate::support::sandbox::{Sandbox, names_of};
use crate::support::tree::set_mtime;

fn secret_among_public(sandbox: &Sandbox, version: &str) {
    file(&sandbox.source.join("public"), "content", MOMENT);
    link(&sandbox.source, "public", "secret");
    sandbox.clone(&[]).assert_code(0).assert_no_log(PARTED);
    assert_eq!(inode(sandbox.destination.join("public")), inode(sandbox.destination.join("secret")));
    part(&sandbox.source.join("secret"), 0o600);

    sandbox.clone(&[]).assert_code(0).assert_err("").assert_log(&format!("]: 1{PARTED}\n"));
    let mode = |name| fs::metadata(sandbox.destination.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("public"), mode("secret")), (0o644, 0o600));
    assert_exact(sandbox, &options(version));
}

#[test]
fn a_copy_that_became_secret_is_secret_with_every_rsync() {
    with_each(|sandbox, version| secret_among_public(sandbox, version));
}

#[test]
fn a_copy_that_became_secret_is_secret_on_every_filesystem() {
    for kind in ["ext4", "xfs", "btrfs"] {
        let disk = LoopDisk::new(kind, 320, &[], "");
        let mut sandbox = Sandbox::new();
        sandbox.destination = disk.path().into();
        secret_among_public(&sandbox, "3.5.0");
    }
}

#[test]
fn groups_are_parted_into_groups_by_every_rsync() {
    with_each(|sandbox, version| {
        let source = sandbox.source.clone();
        fs::create_dir_all(source.join("in/side")).unwrap();
        file(&source.join("one"), "content", MOMENT);
        for name in ["two", "in/three", "in/side/four", "in/side/five"] {
            link(&source, "one", name);
        }
        file(&source.join("in/right"), "stays", MOMENT);
        link(&source, "in/right", "right");
        sandbox.clone(&[]).assert_code(0);
        let right = inode(sandbox.destination.join("right"));

        // Five names become two, two and one.
        part(&source.join("two"), 0o640);
        fs::remove_file(source.join("in/side/four")).unwrap();
        link(&source, "two", "in/side/four");
        part(&source.join("in/three"), 0o400);
        let run = sandbox.clone(&[]);
        run.assert_code(0).assert_err("").assert_log(&format!("]: 1{PARTED}\n"));
        assert_eq!(transferred(sandbox), 3, "{run}");
        let inodes = ["one", "two", "in/three"].map(|name| inode(sandbox.destination.join(name)));
        assert!(inodes[0] != inodes[1] && inodes[1] != inodes[2] && inodes[0] != inodes[2], "{inodes:?}");
        assert_eq!(inode(sandbox.destination.join("in/side/four")), inodes[1]);
        assert_eq!(inode(sandbox.destination.join("in/side/five")), inodes[0]);
        assert_eq!(inode(sandbox.destination.join("right")), right);
        assert_exact(sandbox, &options(version));
    });
}

type Make = fn(&Path);

/// What has no contents.
const WITHOUT_CONTENTS: [(&str, Make); 5] = [
    ("link", |path| symlink("public", path).unwrap()),
    ("fifo", |path| mkfifo(path, Mode::from_bits_truncate(0o644)).unwrap()),
    ("socket", |path| drop(UnixListener::bind(path).unwrap())),
    ("character", |path| {
        mknod(path, SFlag::S_IFCHR, Mode::from_bits_truncate(0o644), makedev(1, 3)).unwrap();
    }),
    ("block", |path| mknod(path, SFlag::S_IFBLK, Mode::from_bits_truncate(0o644), makedev(7, 0)).unwrap()),
];

#[test]
fn links_and_special_files_are_parted_by_every_rsync() {
    with_each(|sandbox, version| {
        let source = &sandbox.source;
        for (name, make) in WITHOUT_CONTENTS {
            make(&source.join(name));
            set_mtime(&source.join(name), MOMENT, 0);
            link(source, name, &format!("{name}, parted"));
            link(source, name, &format!("{name}, third"));
        }
        sandbox.clone(&[]).assert_code(0);
        for (name, _) in WITHOUT_CONTENTS {
            let parted = source.join(format!("{name}, parted"));
            part(&parted, 0o600);
            lchown(&parted, Some(1000), Some(1000)).unwrap();
        }
        sandbox.clone(&[]).assert_code(0).assert_err("").assert_log(&format!("]: 5{PARTED}\n"));
        for (name, _) in WITHOUT_CONTENTS {
            let of = |suffix: &str| inode(sandbox.destination.join(format!("{name}{suffix}")));
            assert_ne!(of(""), of(", parted"), "{name}");
            assert_eq!(of(""), of(", third"), "{name}");
        }
        assert_exact(sandbox, &options(version));
    });
}

/// The time that the file is given must not make rsync take it for yet another one.
#[test]
fn no_other_content_is_taken_for_the_files() {
    for moment in [MOMENT, 1, 0, -5] {
        let sandbox = Sandbox::new();
        let names = ["same", "too", "x", "y", "z"];
        file(&sandbox.source.join("same"), "content", moment);
        for name in &names[1..] {
            link(&sandbox.source, "same", name);
        }
        sandbox.clone(&[]).assert_code(0);
        part(&sandbox.source.join("too"), 0o600);
        for (name, time) in names[2..].iter().zip([-1, 1, -2]) {
            fs::remove_file(sandbox.source.join(name)).unwrap();
            file(&sandbox.source.join(name), &format!("other {name}"), moment + time);
        }
        sandbox.clone(&[]).assert_code(0).assert_err("").assert_log(PARTED);
        assert_exact(&sandbox, &options("3.5.0"));
    }
}

#[test]
fn names_with_any_bytes_and_deep_ones_are_parted_with_few_open_files() {
    use std::process::{Command, Stdio};

    let sandbox = Sandbox::new();
    for chain in ["a", "b", "c"] {
        let mut dir = sandbox.source.clone();
        for level in 0..150 {
            dir.push(chain);
            fs::create_dir_all(dir.join("beside/below")).unwrap();
            file(&dir.join(format!("{level} \n\u{e9}")), "content", MOMENT);
            link(&dir, &format!("{level} \n\u{e9}"), "beside/below/*");
        }
    }
    sandbox.clone(&[]).assert_code(0);
    for chain in ["a", "b", "c"] {
        let mut dir = sandbox.source.clone();
        for _ in 0..150 {
            dir.push(chain);
            part(&dir.join("beside/below/*"), 0o600);
        }
    }
    let mut command = Command::new("/usr/bin/prlimit");
    command.arg("--nofile=256").arg(crate::support::sandbox::FAKE_HOST).args(sandbox.arguments([""; 0]));
    command.env("COUNTERPART_FAKE_HOST", sandbox.host()).stdin(Stdio::null());
    let run = crate::support::sandbox::Finished::from(command.output().unwrap());
    run.assert_code(0).assert_err("").assert_log(&format!("]: 450{PARTED}\n"));
    assert_exact(&sandbox, &options("3.5.0"));
}

#[test]
fn both_old_names_go_into_a_safety_net() {
    let sandbox = Sandbox::new();
    file(&sandbox.source.join("public"), "content", MOMENT);
    link(&sandbox.source, "public", "secret");
    sandbox.clone(&["--safety-net"]).assert_code(0);
    part(&sandbox.source.join("secret"), 0o600);
    sandbox.clone(&["--safety-net"]).assert_code(0).assert_err("").assert_log(PARTED);
    let nets = sandbox.marker("safety-net");
    // The file of the nets' ages stands beside it.
    let net = names_of(&nets).into_iter().find(|name| name != "ages.json").unwrap();
    let net = nets.join(net);
    assert_eq!(names_of(&net), ["public", "secret"]);
    for name in ["public", "secret"] {
        assert_eq!(fs::read_to_string(net.join(name)).unwrap(), "content");
        let seconds = fs::metadata(net.join(name)).unwrap().modified().unwrap();
        let seconds = seconds.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(seconds, u64::try_from(MOMENT - 1).unwrap(), "{name}");
    }
    assert_exact(&sandbox, &options("3.5.0"));
    // What lies in the net is none of the clone's.
    link(&sandbox.destination, "public", ".me.jedda.counterpart.safety-net/link");
    assert_exact(&sandbox, &options("3.5.0"));
}

#[test]
fn an_ordinary_users_links_are_parted() {
    let sandbox = Sandbox::new();
    file(&sandbox.source.join("public"), "content", MOMENT);
    link(&sandbox.source, "public", "secret");
    symlink("public", sandbox.source.join("link")).unwrap();
    link(&sandbox.source, "link", "another link");
    nobody::give(&sandbox.source);
    nobody::give(&sandbox.destination);
    nobody::clone(&sandbox, &[]).assert_code(0);
    part(&sandbox.source.join("secret"), 0o600);
    part(&sandbox.source.join("link"), 0);
    set_mtime(&sandbox.source.join("link"), MOMENT, 0);
    nobody::clone(&sandbox, &[]).assert_code(0).assert_err("").assert_log(&format!("]: 2{PARTED}\n"));
    crate::support::audit::assert_same(&sandbox.source, &sandbox.destination, &options("3.5.0"));
    nobody::clone(&sandbox, &[]).assert_code(0).assert_err("").assert_no_log(PARTED);
    assert_eq!(transferred(&sandbox), 0);
}
