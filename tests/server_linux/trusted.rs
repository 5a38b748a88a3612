//! Paths that only root and one account can have arranged.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use counterpart::fs::{peer, trusted};

use crate::support::sandbox::Sandbox;

/// The account of a server, and a stranger.
const ACCOUNT: u32 = 4711;
const STRANGER: u32 = 4712;

/// A directory of the account below one of root's.
fn place(sandbox: &Sandbox) -> std::path::PathBuf {
    let place = sandbox.path().join("service");
    fs::create_dir_all(place.join("run")).unwrap();
    for path in [&place, &place.join("run")] {
        chown(path, Some(ACCOUNT), Some(ACCOUNT)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(place.join("run/file"), "real").unwrap();
    place
}

#[track_caller]
fn assert_refused(path: &Path, why: &str) {
    let error = trusted::find(path, ACCOUNT).map(|found| found.path().to_owned()).unwrap_err();
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn each_part_of_a_path_is_looked_at() {
    let sandbox = Sandbox::of_servers();
    let place = place(&sandbox);
    let file = place.join("run/file");
    assert!(trusted::find(&file, ACCOUNT).unwrap().is_file());
    assert!(trusted::find(&file, STRANGER).is_err());
    for part in [file.clone(), place.join("run"), place.clone(), sandbox.path().to_owned()] {
        let mode = fs::metadata(&part).unwrap().permissions();
        for (changed, why) in [
            (0o757, "everybody can write to "),
            (0o1777, "everybody can write to "),
            (0o775, "a group can write to "),
        ] {
            chown(&part, None, Some(STRANGER)).unwrap();
            fs::set_permissions(&part, fs::Permissions::from_mode(changed)).unwrap();
            assert_refused(&file, why);
        }
        fs::set_permissions(&part, mode).unwrap();
        chown(&part, Some(STRANGER), None).unwrap();
        assert_refused(&file, "belongs to the user 4712");
        chown(&part, Some(ACCOUNT), None).unwrap();
        assert!(trusted::find(&file, ACCOUNT).is_ok(), "{part:?}");
    }
    assert_refused(&place.join("run/none"), "No such file");
    assert_refused(&place.join("run/file/below"), "Not a directory");
    assert_refused(Path::new("relative"), "relative");
    assert_refused(Path::new("/"), "directory entry");
}

#[test]
fn links_of_the_two_are_followed_and_no_others() {
    let sandbox = Sandbox::of_servers();
    let place = place(&sandbox);
    for (name, target) in [("one", "service/run"), ("two", "./one/../run/../../one")] {
        symlink(target, sandbox.path().join(name)).unwrap();
    }
    symlink(sandbox.path().join("two"), place.join("three")).unwrap();
    let found = trusted::find(&place.join("three/file"), ACCOUNT).unwrap();
    assert_eq!(found.path(), place.join("run/file"));
    std::os::unix::fs::lchown(sandbox.path().join("one"), Some(STRANGER), None).unwrap();
    assert_refused(&place.join("three/file"), "one belongs to ");
    symlink("loop", sandbox.path().join("loop")).unwrap();
    assert_refused(&sandbox.path().join("loop"), "symbolic links");
    // What leads through a place that everybody can write to leads anywhere.
    let open = sandbox.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    symlink(place.join("run"), open.join("link")).unwrap();
    assert_refused(&open.join("link/file"), "everybody can write to ");
}

#[test]
fn what_was_checked_is_what_is_used() {
    let sandbox = Sandbox::of_servers();
    let place = place(&sandbox);
    let found = trusted::find(&place.join("run/file"), ACCOUNT).unwrap();
    let socket = UnixListener::bind(place.join("run/socket")).unwrap();
    let reached = trusted::find(&place.join("run/socket"), ACCOUNT).unwrap();

    // Everything above is exchanged for what a stranger has prepared.
    let evil = sandbox.path().join("evil");
    fs::create_dir_all(evil.join("run")).unwrap();
    fs::write(evil.join("run/file"), "evil").unwrap();
    let _evil = UnixListener::bind(evil.join("run/socket")).unwrap();
    fs::rename(&place, sandbox.path().join("aside")).unwrap();
    fs::rename(&evil, &place).unwrap();

    let text = std::io::read_to_string(found.open().unwrap()).unwrap();
    assert_eq!(text, "real");
    peer::listener(&reached, Duration::from_secs(5)).unwrap();
    socket.set_nonblocking(true).unwrap();
    assert!(socket.accept().is_ok(), "the one that was checked was reached");

    // In the directory itself only the two can exchange anything, and what is no longer the same is not opened.
    let aside = sandbox.path().join("aside/run");
    fs::rename(aside.join("file"), aside.join("old")).unwrap();
    fs::write(aside.join("file"), "other").unwrap();
    assert!(found.open().unwrap_err().to_string().contains("was replaced"));
    fs::remove_file(aside.join("file")).unwrap();
    symlink("old", aside.join("file")).unwrap();
    assert!(found.open().is_err(), "a link is not followed");
}

#[test]
fn a_queue_that_is_full_is_not_waited_for_without_end() {
    let sandbox = Sandbox::of_servers();
    let place = place(&sandbox);
    let path = place.join("run/socket");
    let code = "import socket, sys, time\ns = socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen(0)\n\
                c = [socket.socket(socket.AF_UNIX) for _ in range(9)]\n\
                [x.setblocking(False) for x in c]\n[x.connect_ex(sys.argv[1]) for x in c]\nprint('full', flush=True)\ntime.sleep(600)";
    let mut command = Command::new("python3");
    command.args(["-c", code]).arg(&path).stdout(std::process::Stdio::piped());
    let mut process = crate::support::killed::Killed(command.spawn().unwrap());
    let mut line = String::new();
    let mut out = std::io::BufReader::new(process.0.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    let found = trusted::find(&path, ACCOUNT).unwrap();
    let error = peer::listener(&found, Duration::from_millis(300)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
}
