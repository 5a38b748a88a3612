//! What is cloned: everything on every filesystem that belongs to it, exactly.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::mount::{MntFlags, umount2};

use crate::filesystems::scene::{At, Machine, names};

#[test]
fn all_filesystems_become_one_clone_and_the_next_run_is_idle() {
    let machine = Machine::large("xfs");
    let run = machine.clone_all();
    for point in ["boot", "home"] {
        run.assert_log(&format!("{} (", machine.source(point).display()));
        run.assert_log("is part of this clone.");
    }
    run.assert_no_log("is not cloned").assert_no_warning();
    machine.assert_whole();
    // What mkfs has made has times of whole seconds, and is certain only two seconds later.
    let is_idle = (0..20).any(|_| machine.clone_all().out.contains(": Quick pass: 0 of "));
    assert!(is_idle);
    machine.assert_whole();
}

#[test]
fn a_quick_pass_crosses_from_one_filesystem_into_the_other() {
    let machine = Machine::large("ext4");
    machine.clone_all();
    machine.sandbox.write("home/user/file", "changed in another length");
    machine.sandbox.write("boot/new", "new");
    fs::remove_file(machine.source("boot/vmlinuz")).unwrap();
    fs::remove_dir_all(machine.source("usr")).unwrap();
    fs::create_dir(machine.source("usr")).unwrap();
    machine.sandbox.write("home/usr/moved", "moved");
    let run = machine.sandbox.clone(&["--filesystems", "all", "--allow-shrink"]);
    run.assert_code(0).assert_err("");
    machine.assert_whole();
    machine.sandbox.write("home/user/file", "again");
    machine.sandbox.write("etc/new", "new");
    let run = machine.clone_all();
    run.assert_log(": Quick pass: ");
    machine.assert_whole();
}

/// A file with two names and this inode number, on the filesystem of this directory.
fn linked(dir: &Path, inode: Option<u64>, content: &str) -> u64 {
    let name = dir.join("linked");
    for number in 0.. {
        fs::write(&name, content).unwrap();
        let found = fs::metadata(&name).unwrap().ino();
        if inode.is_none_or(|inode| inode == found) {
            break;
        }
        assert!(inode > Some(found), "{found} is too high");
        fs::rename(&name, dir.join(format!("filler {number}"))).unwrap();
    }
    let found = fs::metadata(&name).unwrap();
    // The same time and size, too.
    File::options().write(true).open(&name).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    fs::hard_link(&name, dir.join("other name")).unwrap();
    found.ino()
}

#[test]
fn hard_links_with_equal_inode_numbers_on_two_filesystems_stay_apart() {
    let machine = Machine::large("ext4");
    for number in 0..40 {
        machine.sandbox.write(format!("etc/{number}"), "");
    }
    let inode = linked(&machine.source("etc"), None, "one of root");
    assert_eq!(linked(&machine.source("boot"), Some(inode), "one of boot"), inode);
    machine.clone_all();
    machine.assert_whole();
    // A quick pass that has to link names together again.
    for dir in ["etc", "boot"] {
        fs::hard_link(machine.source(dir).join("linked"), machine.source(dir).join("third")).unwrap();
    }
    machine.clone_all().assert_log(": Quick pass: ");
    machine.assert_whole();
    let ino = |path: &str| fs::metadata(machine.copy(path)).unwrap().ino();
    assert_eq!(ino("etc/third"), ino("etc/linked"));
    assert_eq!(ino("boot/third"), ino("boot/linked"));
    assert_ne!(ino("etc/third"), ino("boot/third"));
    assert_eq!(fs::read_to_string(machine.copy("boot/third")).unwrap(), "one of boot");
}

#[test]
fn what_is_mounted_or_unmounted_during_the_run_changes_nothing() {
    let machine = Machine::new("ext4");
    let home = machine.source("home");
    let cover = At::adopt(&machine.source("boot"));
    fs::create_dir(machine.source("later")).unwrap();
    let later = At::adopt(&machine.source("later"));
    let body = format!(
        "umount -l '{}' && mount -t tmpfs tmpfs '{}' && touch '{}' && mount -t tmpfs tmpfs '{}' && touch '{}'",
        home.display(),
        machine.source("boot").display(),
        machine.source("boot/on top").display(),
        machine.source("later").display(),
        machine.source("later/on top").display(),
    );
    let script = machine.sandbox.script("script", &body);
    let run = machine.sandbox.clone(&["--filesystems", "all", "-p", script.to_str().unwrap()]);
    run.assert_code(0);
    assert_eq!(names(&home), [] as [&str; 0], "the script has unmounted it");
    assert_eq!(names(&machine.source("boot")), ["on top"]);
    drop((cover, later));
    umount2(&machine.source("boot"), MntFlags::MNT_DETACH).unwrap();
    let _boot = At::disk(&machine.boot_disk, "ext4", &machine.source("boot"), "");
    let _home = At::disk(&machine.home_disk, "ext4", &home, "");
    machine.assert_whole();
}

#[test]
fn patterns_and_the_safety_net_reach_across() {
    let machine = Machine::new("ext4");
    machine.sandbox.write("home/user/cache/file", "excluded");
    machine.sandbox.write("home/user/gone", "kept for a while");
    let excludes = machine.sandbox.path().join("excludes");
    fs::write(&excludes, "/home/*/cache\n").unwrap();
    let options = ["--filesystems", "all", "--safety-net", "-e", excludes.to_str().unwrap()];
    machine.sandbox.clone(&options).assert_code(0).assert_err("");
    assert_eq!(names(&machine.copy("home/user")), ["file", "gone"]);
    fs::remove_file(machine.source("home/user/gone")).unwrap();
    machine.sandbox.clone(&options).assert_code(0).assert_err("");
    assert_eq!(names(&machine.copy("home/user")), ["file"]);
    let nets = machine.sandbox.marker("safety-net");
    let net = nets.join(names(&nets).first().unwrap());
    let kept = names(&nets).iter().any(|name| nets.join(name).join("home/user/gone").exists());
    assert!(kept, "{:?}", names(&net));
}

#[test]
fn a_filesystem_inside_another_one_is_cloned_with_it() {
    let mut machine = Machine::new("ext4");
    // Below /home, not below the root.
    machine.boot = None;
    let inner = At::disk(&machine.boot_disk, "ext4", &machine.source("home/user/inner"), "");
    let run = machine.clone_all();
    run.assert_log(&format!("{} (ext4) is part of this clone.", machine.source("home/user/inner").display()));
    machine.assert_whole();
    assert!(machine.copy("home/user/inner/vmlinuz").exists());
    drop(inner);
}
