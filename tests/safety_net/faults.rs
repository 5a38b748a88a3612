//! Failures of a net: nothing that should be kept is lost.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::safety_net::scene::{nets, nets_dir, only_net};
use crate::support::audit::dir::Dir;
use crate::support::disk::LoopDisk;
use crate::support::sandbox::{Finished, Sandbox, wait_until};
use crate::support::tree;

/// The contents of a file that is either still at its place or in one of the nets.
fn kept(sandbox: &Sandbox, name: &str) -> Vec<Vec<u8>> {
    let dirs = nets(sandbox).into_iter().map(|net| nets_dir(sandbox).join(net));
    dirs.chain([sandbox.destination.clone()]).filter_map(|dir| fs::read(dir.join(name)).ok()).collect()
}

#[test]
fn a_disk_without_room_for_old_and_new_is_74_and_the_old_is_kept() {
    for kind in ["ext4", "xfs"] {
        let size = if kind == "xfs" { 300 } else { 32 };
        let disk = LoopDisk::new(kind, size, &[], "");
        let mut sandbox = Sandbox::new();
        sandbox.destination = disk.path().join("clone");
        fs::create_dir(&sandbox.destination).unwrap();
        let megabytes = if kind == "xfs" { 150 } else { 18 };
        let (old, new) = (tree::noise(1, megabytes << 20), tree::noise(2, megabytes << 20));
        for name in ["a", "b"] {
            fs::write(sandbox.source.join(name), &old[..old.len() / 2]).unwrap();
        }
        sandbox.clone(&[]).assert_code(0);
        for name in ["a", "b"] {
            fs::write(sandbox.source.join(name), &new[..=new.len() / 2]).unwrap();
        }
        let run = sandbox.clone(&["--safety-net"]);
        run.assert_code(74);
        assert_eq!(sandbox.markers(), ["error", "id", "safety-net", "stats"], "{run}");
        for name in ["a", "b"] {
            assert!(
                kept(&sandbox, name).iter().any(|found| *found == old[..old.len() / 2]),
                "{kind}: {name}"
            );
        }
    }
}

#[test]
fn a_net_for_which_there_is_no_inode_is_74() {
    let disk = LoopDisk::new("ext4", 16, &["-N", "64"], "");
    let mut sandbox = Sandbox::new();
    sandbox.destination = disk.path().into();
    // The net needs an inode for each directory on the way before the first of these gives its own back.
    let path = (0..20).fold("gone".to_owned(), |path, number| format!("{path}/{number}")) + "/file";
    sandbox.write(&path, "content");
    sandbox.write("stays", "content");
    sandbox.clone(&[]).assert_code(0);
    let fillers: Vec<String> = (0..64).map(|number| format!("filler {number}")).collect();
    for name in &fillers {
        let _ = fs::write(sandbox.destination.join(name), "");
    }
    for name in fillers.iter().filter(|name| sandbox.destination.join(name).exists()).skip(8) {
        sandbox.write(name, "");
    }
    for name in &fillers[..8] {
        fs::remove_file(sandbox.destination.join(name)).unwrap();
    }
    fs::remove_dir_all(sandbox.source.join("gone")).unwrap();
    let run = sandbox.clone(&["--safety-net"]);
    run.assert_code(74).assert_log("No space left on device (28)");
    assert_eq!(kept(&sandbox, &path), [b"content"], "{run}");
}

/// The directory that holds a file at the end of a long path.
fn dir_of(root: &Path, path: &Path) -> Dir {
    path.parent()
        .unwrap()
        .components()
        .fold(Dir::open(root).unwrap(), |dir, part| dir.enter(part.as_os_str()).unwrap())
}

#[test]
fn what_has_too_long_a_path_for_a_net_stays_and_the_run_does_not_succeed() {
    // rsync ends at the first file, and passes over a link without a word in its code.
    for (is_link, code) in [(false, 11), (true, 23)] {
        let sandbox = Sandbox::new();
        let path = tree::deep_file(&sandbox.source, "deep", 4060);
        let source = dir_of(&sandbox.source, &path);
        let name = path.file_name().unwrap();
        if is_link {
            fs::remove_file(source.at(name)).unwrap();
            symlink("old", source.at(name)).unwrap();
        }
        sandbox.write("stays", "content");
        sandbox.clone(&[]).assert_code(0);
        fs::remove_file(source.at(name)).unwrap();
        if is_link {
            symlink("new", source.at(name)).unwrap();
        } else {
            fs::write(source.at(name), "newer").unwrap();
        }
        sandbox.clone(&["--safety-net"]).assert_code(code).assert_log("backup filename too long");
        let dir = dir_of(&sandbox.destination, &path);
        let clone = dir.at(name);
        if is_link {
            assert_eq!(fs::read_link(&clone).unwrap(), Path::new("old"));
        } else {
            assert_eq!(fs::read_to_string(&clone).unwrap(), "deep");
        }
        assert_eq!(nets(&sandbox), [] as [&str; 0]);
        sandbox.clone(&[]).assert_code(0);
    }
}

#[test]
fn a_run_that_fails_keeps_its_net_and_the_next_one_has_another() {
    let sandbox = Sandbox::new();
    for name in ["a", "stays"] {
        sandbox.write(name, "first");
    }
    sandbox.clone(&[]).assert_code(0);
    sandbox
        .rsync("/usr/bin/rsync \"$@\"; code=$?; case \" $* \" in *' --stats '*) exit 23 ;; esac; exit $code");
    sandbox.write("a", "second one");
    sandbox.clone(&["--safety-net"]).assert_code(23);
    let first = only_net(&sandbox);
    assert_eq!(fs::read_to_string(first.join("a")).unwrap(), "first");
    fs::remove_file(sandbox.host().join("rsync/rsync")).unwrap();
    fs::remove_file(sandbox.source.join("a")).unwrap();
    sandbox.clone(&["--safety-net"]).assert_code(0);
    assert_eq!(nets(&sandbox).len(), 2);
    assert_eq!(kept(&sandbox, "a"), [&b"first"[..], b"second one"]);
}

#[test]
fn a_run_that_fails_without_having_taken_anything_leaves_no_net() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.rsync("case \" $* \" in *' --stats '*) exit 11 ;; esac; exec /usr/bin/rsync \"$@\"");
    sandbox.clone(&["--safety-net"]).assert_code(11);
    assert_eq!(nets(&sandbox), [] as [&str; 0]);
    sandbox.rsync("case \" $* \" in *' --stats '*) exec /nowhere/rsync ;; esac; exec /usr/bin/rsync \"$@\"");
    assert_ne!(sandbox.clone(&["--safety-net"]).code, 0);
    assert_eq!(nets(&sandbox), [] as [&str; 0]);
}

#[test]
fn an_interrupted_run_keeps_what_it_has_taken_with_its_properties() {
    let sandbox = Sandbox::new();
    sandbox.write("aa/empty/file", "content");
    fs::remove_file(sandbox.source.join("aa/empty/file")).unwrap();
    sandbox.write("aa/file", "content");
    sandbox.write("stays", "content");
    tree::set_mtime(&sandbox.source.join("aa/empty"), 1_234_567_890, 5);
    tree::set_mtime(&sandbox.source.join("aa"), 1_234_567_891, 5);
    sandbox.clone(&[]).assert_code(0);
    fs::remove_dir_all(sandbox.source.join("aa")).unwrap();
    fs::write(sandbox.source.join("zz"), tree::noise(1, 8 << 20)).unwrap();
    sandbox.rsync("case \" $* \" in *' --stats '*) exec /usr/bin/rsync --bwlimit=200 \"$@\" ;; esac\nexec /usr/bin/rsync \"$@\"");
    let mut command = sandbox.command(sandbox.arguments(["--safety-net"]));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let is_taken = || !sandbox.destination.join("aa").exists();
    assert!(wait_until(is_taken));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let run = Finished::from(child.wait_with_output().unwrap());
    run.assert_code(20).assert_log("What was deleted or overwritten is in the safety net");
    let net = only_net(&sandbox);
    let original = crate::safety_net::scene::beside(&sandbox, "original").join("aa");
    fs::create_dir_all(original.join("empty")).unwrap();
    fs::write(original.join("file"), "content").unwrap();
    for (name, seconds) in [("empty", 1_234_567_890), ("", 1_234_567_891)] {
        tree::set_mtime(&original.join(name), seconds, 5);
    }
    let file = fs::metadata(net.join("aa/file")).unwrap();
    tree::set_mtime(&original.join("file"), file.mtime(), file.mtime_nsec());
    crate::support::audit::assert_same(
        &original,
        &net.join("aa"),
        &crate::support::audit::Options::default(),
    );
}
