//! A destination inside the source is excluded from the copy automatically.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::support::audit::{Options, assert_same};
use crate::support::mounted::Mounted;
use crate::support::sandbox::{Finished, Sandbox};

const MESSAGE: &str = "The destination lies inside the source and is left out of the copy.";

fn run(sandbox: &Sandbox, destination: &Path, more: &[&str]) -> Finished {
    let mut arguments = sandbox.arguments(more);
    arguments[3] = destination.into();
    sandbox.run(arguments)
}

/// The clone equals the source, without the destination's own path.
fn assert_clone(sandbox: &Sandbox, destination: &Path, left_out: &Path) {
    let options = Options { skip: vec![left_out.to_owned()], one_file_system: true, ..Options::default() };
    assert_same(&sandbox.source, destination, &options);
}

/// Clones into this path below the source, twice, and audits both times.
#[track_caller]
fn clones_into(relative: &OsStr, excludes: Option<&str>) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write("backup/beside", "content");
    let relative = PathBuf::from(relative);
    let destination = sandbox.source.join(&relative);
    fs::create_dir_all(&destination).unwrap();
    let path = sandbox.path().join("excludes");
    fs::write(&path, excludes.unwrap_or("")).unwrap();
    let more = if excludes.is_some() { vec!["-e", path.to_str().unwrap()] } else { vec![] };
    for _ in 0..2 {
        run(&sandbox, &destination, &more).assert_code(0).assert_err("").assert_log(MESSAGE);
        assert!(!destination.join(&relative).exists(), "{}", relative.display());
        // A directory's time changes with what is made in it.
        let options = Options { skip: vec![relative.clone()], root_mtime: false, ..Options::default() };
        assert_same(&sandbox.source, &destination, &options);
    }
}

#[test]
fn on_the_same_filesystem() {
    clones_into(OsStr::new("clone"), None);
    clones_into(OsStr::new("backup/deep/clone"), None);
}

#[test]
fn whatever_its_path_holds() {
    for name in [
        "a*b", "a?b", "[ab]", "[!a]", "a[", "]a", "a\nb", "a\\b", "a\\", "\\*", "a b ", " - x", "# x", "; x",
        "**", "***", "a*b\\c", "!", "H x",
    ] {
        clones_into(OsStr::new(name), None);
    }
    clones_into(OsStr::from_bytes(b"back*up\\/\xff\n[x]"), None);
}

#[test]
fn whatever_the_users_file_says() {
    clones_into(OsStr::new("clone"), Some("!\n"));
    clones_into(OsStr::new("a*[b]\\c"), Some("!\n+ *\n"));
    clones_into(OsStr::new("clone"), Some("+ /clone\n+ clone/**\n"));
}

#[test]
fn only_that_directory_is_left_out() {
    let sandbox = Sandbox::new();
    for twin in ["a*b", "axb", "deep/a*b", "a*bc"] {
        sandbox.write(format!("{twin}/file"), "content");
    }
    let destination = sandbox.source.join("a*b");
    fs::remove_file(destination.join("file")).unwrap();
    run(&sandbox, &destination, &[]).assert_code(0);
    for twin in ["axb", "deep/a*b", "a*bc"] {
        assert!(destination.join(twin).join("file").exists(), "{twin}");
    }
}

#[test]
fn as_a_mount_point_whose_directory_is_cloned_empty() {
    for name in ["disk", "a*[b]\nc\\"] {
        let sandbox = Sandbox::new();
        sandbox.write("file", "content");
        let point = sandbox.source.join("mnt").join(name);
        fs::create_dir_all(&point).unwrap();
        let mounted = Mounted::tmpfs(&point);
        for _ in 0..2 {
            run(&sandbox, &point, &[]).assert_code(0).assert_err("").assert_log(MESSAGE);
            let inner = point.join("mnt").join(name);
            assert!(inner.is_dir(), "a booting system mounts something there");
            assert_eq!(fs::read_dir(&inner).unwrap().count(), 0);
            assert_clone(&sandbox, &point, &Path::new("mnt").join(name));
        }
        drop(mounted);
    }
}

#[test]
fn as_a_directory_on_a_mounted_disk() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let point = sandbox.source.join("mnt");
    fs::create_dir(&point).unwrap();
    let mounted = Mounted::tmpfs(&point);
    let destination = point.join("clone");
    fs::create_dir(&destination).unwrap();
    fs::write(point.join("beside"), "content").unwrap();
    for _ in 0..2 {
        run(&sandbox, &destination, &[]).assert_code(0).assert_err("");
        assert_eq!(fs::read_dir(destination.join("mnt")).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(destination.join("file")).unwrap(), "content");
    }
    drop(mounted);
}

#[test]
fn a_source_that_holds_nothing_else_is_empty() {
    let mut sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    let clone = sandbox.source.join("clone");
    fs::rename(&sandbox.destination, &clone).unwrap();
    sandbox.destination = clone;
    fs::remove_file(sandbox.source.join("file")).unwrap();
    sandbox.clone(&[]).assert_code(65).assert_log("is empty");
    assert_eq!(sandbox.names(), ["file"], "what was cloned is still there");
}
