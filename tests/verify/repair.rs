//! `--repair`: what is damaged becomes as the source has it, and nothing else is touched.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::support::faulty::FaultyFuse;
use crate::support::sandbox::Sandbox;
use crate::support::tree::{assert_unchanged, set_mtime, snapshot};
use crate::verify::scene::{assert_damages, cloned, flip, found, silently, verify};

fn scene(options: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["a/one", "a/two", "a/three", "b/four", "b/c/five", "b/c/six", "# seven", "top"] {
        sandbox.write(name, &format!("the content of {name}"));
    }
    symlink("a/one", sandbox.source.join("link")).unwrap();
    for (name, other) in [("b/linked", "b/c/linked"), ("b/also linked", "b/c/also linked")] {
        sandbox.write(name, "linked");
        fs::hard_link(sandbox.source.join(name), sandbox.source.join(other)).unwrap();
    }
    for name in ["a/twin", "a/other twin"] {
        sandbox.write(name, "twins");
        set_mtime(&sandbox.source.join(name), 1_700_000_000, 5);
    }
    cloned(&sandbox, options);
    sandbox
}

#[test]
fn every_kind_of_damage_is_repaired_exactly() {
    let sandbox = scene(&[]);
    let before = snapshot(&sandbox.destination);
    let completed = fs::metadata(sandbox.marker("completed")).unwrap();
    let at = |name: &str| sandbox.destination.join(name);
    flip(&at("a/one"), 3..5);
    silently(&at("a/two"), |path| fs::write(path, "").unwrap());
    fs::set_permissions(at("a/three"), fs::Permissions::from_mode(0o6777)).unwrap();
    silently(&at("b/c"), |path| fs::remove_dir_all(path).unwrap());
    silently(&at("# seven"), |path| fs::remove_file(path).unwrap());
    silently(&at("a/extra"), |path| {
        fs::create_dir(path).unwrap();
        fs::write(path.join("file"), "x").unwrap();
    });
    silently(&at("link"), |path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        fs::write(path.join("file"), "x").unwrap();
    });
    flip(&at("b/linked"), 0..1);
    silently(&at("a/twin"), |path| {
        fs::remove_file(path).unwrap();
        fs::hard_link(path.with_file_name("other twin"), path).unwrap();
    });
    xattr::set(at("top"), "user.damage", b"x").unwrap();
    set_mtime(&sandbox.destination, 1, 0);
    let finished = verify(&sandbox, &["--repair"]);
    assert_eq!((finished.code, finished.err.as_str()), (83, ""), "{finished}");
    assert!(finished.out.ends_with(" not compared.\nAll of it is repaired.\n"), "{finished}");
    assert_unchanged(&before, &snapshot(&sandbox.destination));
    let now = fs::metadata(sandbox.marker("completed")).unwrap();
    assert_eq!((now.mtime(), now.mtime_nsec()), (completed.mtime(), completed.mtime_nsec()));
    assert_damages(&sandbox, &[]);
    let whole = verify(&sandbox, &["--repair"]);
    assert!(whole.code == 0 && !whole.out.contains("repaired"), "{whole}");
    // The next clone has nothing to do.
    assert_eq!(sandbox.clone(&[]).code, 0);
}

#[test]
fn split_hard_links_are_one_file_again() {
    let sandbox = scene(&[]);
    silently(&sandbox.destination.join("b/c/linked"), |path| {
        let copy = path.with_file_name("third");
        assert!(std::process::Command::new("cp").arg("-a").args([path, &copy]).status().unwrap().success());
        fs::rename(copy, path).unwrap();
    });
    assert_eq!(verify(&sandbox, &["--repair"]).code, 83);
    let inode = |name: &str| fs::metadata(sandbox.destination.join(name)).unwrap().ino();
    assert_eq!(inode("b/linked"), inode("b/c/linked"));
    assert_damages(&sandbox, &[]);
}

#[test]
fn what_has_changed_since_the_clone_is_left_to_the_next() {
    let sandbox = scene(&[]);
    sandbox.write("a/two", "changed since");
    sandbox.write("a/new", "new");
    flip(&sandbox.destination.join("a/one"), 0..1);
    let document = found(&sandbox, &["--repair"]);
    assert_eq!((&document["exit_code"], &document["damaged"]), (&83.into(), &1.into()), "{document:#}");
    assert_eq!(fs::read_to_string(sandbox.destination.join("a/two")).unwrap(), "the content of a/two");
    assert!(!sandbox.destination.join("a/new").exists());
    assert_eq!(fs::read_to_string(sandbox.destination.join("a/one")).unwrap(), "the content of a/one");
}

/// The files of this name below a directory.
fn named(root: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(named(&path, name));
        } else if path.ends_with(name) {
            found.push(path);
        }
    }
    found
}

#[test]
fn what_a_repair_replaces_goes_into_the_safety_net() {
    let sandbox = scene(&["--safety-net"]);
    flip(&sandbox.destination.join("a/one"), 0..2);
    let damaged = fs::read(sandbox.destination.join("a/one")).unwrap();
    silently(&sandbox.destination.join("a/extra"), |path| fs::write(path, "extra").unwrap());
    assert_eq!(verify(&sandbox, &["--repair", "--safety-net"]).code, 83);
    let nets = sandbox.marker("safety-net");
    let kept = |name: &str| named(&nets, name).iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>();
    assert_eq!((kept("one"), kept("extra")), (vec![damaged], vec![b"extra".to_vec()]));
    assert_damages(&sandbox, &[]);
}

#[test]
fn a_source_that_cannot_be_read_overwrites_no_copy() {
    let fuse = FaultyFuse::new();
    let mut sandbox = Sandbox::new();
    sandbox.source = fuse.path();
    for name in ["bad", "gone", "good"] {
        sandbox.write(name, &format!("the content of {name}"));
    }
    cloned(&sandbox, &[]);
    fuse.tell("fail /bad\nfail /gone\n");
    let at = |name: &str| sandbox.destination.join(name);
    fs::set_permissions(at("bad"), fs::Permissions::from_mode(0o600)).unwrap();
    flip(&at("good"), 0..1);
    let document = found(&sandbox, &["--repair"]);
    assert_eq!((&document["exit_code"], &document["not_compared"]), (&83.into(), &2.into()), "{document:#}");
    assert_eq!(fs::read_to_string(at("bad")).unwrap(), "the content of bad");
    assert_eq!(fs::read_to_string(at("good")).unwrap(), "the content of good");
    // What is in neither of the two cannot come back.
    silently(&at("gone"), |path| fs::remove_file(path).unwrap());
    flip(&at("good"), 0..1);
    let document = found(&sandbox, &["--repair"]);
    assert_eq!(document["exit_code"], 75, "{document:#}");
    assert_eq!(document["repair"]["damages"][0]["path"], "gone", "{document:#}");
    assert_eq!(document["repair"]["damaged"], 1, "{document:#}");
    assert_eq!(fs::read_to_string(at("good")).unwrap(), "the content of good");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
}

/// Whatever ends it then, even the power.
#[test]
fn a_clone_does_not_look_complete_while_it_is_repaired() {
    let sandbox = scene(&[]);
    flip(&sandbox.destination.join("a/one"), 3..5);
    let seen = sandbox.path().join("seen");
    sandbox.rsync(&format!(
        "case \" $* \" in *' --files-from=- '*) for at; do :; done; ls -A \"$at\" >'{}' ;; esac\nexec /usr/bin/rsync \"$@\"",
        seen.display()
    ));
    assert_eq!(verify(&sandbox, &["--repair"]).code, 83);
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("counterpart.stats") && !seen.contains("counterpart.completed"), "{seen}");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
}

#[test]
fn a_repair_that_is_killed_leaves_no_clone_that_looks_complete() {
    let sandbox = scene(&[]);
    flip(&sandbox.destination.join("a/one"), 0..1);
    sandbox.rsync("case \" $* \" in *' --files-from=- '*) kill -9 $$ ;; esac\nexec /usr/bin/rsync \"$@\"");
    let finished = verify(&sandbox, &["--repair"]);
    assert!(
        finished.code == 137 && finished.out.starts_with("Damaged: a/one: 1 byte differs,"),
        "{finished}"
    );
    assert!(finished.err.lines().any(|line| line.contains("signal 9")), "{finished}");
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    fs::remove_file(sandbox.host().join("rsync/rsync")).unwrap();
    cloned(&sandbox, &[]);
    assert_damages(&sandbox, &[]);
}
