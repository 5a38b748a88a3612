//! Encrypted directories whose key is missing, on ext4 with fscrypt, and what an automounter shows.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::disk::LoopDisk;
use crate::support::sandbox::{Sandbox, names_of, wait_until};
use crate::support::scene::{assert_clone, text, tool};
use crate::support::tree::{assert_unchanged, snapshot};

/// A disk of which directories can be encrypted with one key.
struct Vault {
    disk: LoopDisk,
    key: String,
}

impl Vault {
    fn new() -> Self {
        let disk = LoopDisk::new("ext4", 64, &["-O", "encrypt"], "");
        let key = add_key(disk.path());
        Self { disk, key }
    }

    fn path(&self) -> &Path {
        self.disk.path()
    }

    /// Makes an encrypted directory.
    fn encrypt(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(&path).unwrap();
        xfs_io(&["-c", &format!("set_encpolicy {}", self.key)], &path);
        path
    }

    fn lock(&self) {
        tool("sync", &[OsStr::new("-f"), self.path().as_os_str()]);
        fs::write("/proc/sys/vm/drop_caches", "2").unwrap();
        // What somebody has open just now stays open, so it may take more than one attempt.
        let is_locked = wait_until(|| {
            xfs_io(&["-c", &format!("rm_enckey {}", self.key)], self.path());
            xfs_io(&["-c", &format!("enckey_status {}", self.key)], self.path()).contains("Absent")
        });
        assert!(is_locked, "the key stays");
    }

    fn unlock(&self) {
        assert_eq!(add_key(self.path()), self.key);
    }
}

fn xfs_io(arguments: &[&str], path: &Path) -> String {
    let mut command = Command::new("/usr/bin/timeout");
    command
        .args(["-k", "5", "600", "xfs_io"])
        .args(arguments)
        .arg(path)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
}

/// Gives the kernel a key for a filesystem and returns its identifier.
fn add_key(path: &Path) -> String {
    let mut command = Command::new("/usr/bin/timeout");
    command
        .args(["-k", "5", "600", "xfs_io", "-c", "add_enckey"])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").spawn().unwrap();
    child.stdin.take().unwrap().write_all(&[b'k'; 64]).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    told.trim_end()
        .rsplit(' ')
        .next()
        .filter(|id| id.len() == 32)
        .unwrap_or_else(|| panic!("no key: {told}"))
        .to_owned()
}

/// A vault with letters in a home, and all of it cloned.
fn cloned() -> (Vault, Sandbox) {
    let vault = Vault::new();
    let home = vault.encrypt("home/alice");
    let mut sandbox = Sandbox::new();
    sandbox.source = vault.path().into();
    for name in ["letters/to bob", "letters/to carol", ".hidden", "photo"] {
        sandbox.write(Path::new("home/alice").join(name), name);
    }
    symlink("photo", home.join("link")).unwrap();
    sandbox.write("home/bob/plain", "plain");
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_clone(&sandbox);
    (vault, sandbox)
}

fn sentence(sandbox: &Sandbox, directory: &str) -> String {
    format!(
        "counterpart: 1 encrypted directory of the source could not be read because the key is not available: {}/{directory}. Everything else was copied, and the clone's earlier copies were kept. Unlock them before the next run.\n",
        text(&sandbox.source)
    )
}

#[test]
fn a_locked_home_keeps_what_the_clone_has() {
    let (vault, sandbox) = cloned();
    let kept = sandbox.destination.join("home/alice");
    let before = snapshot(&kept);
    vault.lock();
    sandbox.write("home/bob/new", "new");
    fs::remove_file(sandbox.source.join("home/bob/plain")).unwrap();
    for _ in 0..2 {
        let run = sandbox.clone(&[]);
        run.assert_code(23).assert_err(&sentence(&sandbox, "home/alice"));
        run.assert_log(": Warning: 1 directory of the source is encrypted and the key is not available, ");
        assert_unchanged(&before, &snapshot(&kept));
        assert_eq!(names_of(&sandbox.destination.join("home/bob")), ["new"], "all else is copied");
        assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    }
    vault.unlock();
    fs::remove_file(sandbox.source.join("home/alice/photo")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_clone(&sandbox);
}

#[test]
fn a_safety_net_takes_nothing_out_of_a_locked_home() {
    let (vault, sandbox) = cloned();
    let kept = sandbox.destination.join("home/alice");
    let before = snapshot(&kept);
    vault.lock();
    sandbox.clone(&["--safety-net"]).assert_code(23);
    assert_unchanged(&before, &snapshot(&kept));
}

#[test]
fn what_is_locked_at_the_first_clone_is_not_pretended() {
    let (vault, mut sandbox) = cloned();
    vault.encrypt("srv/a*[b]?");
    sandbox.write("srv/a*[b]?/deep/er/file", "content");
    sandbox.write("srv/axb/file", "content");
    vault.lock();
    sandbox.destination = sandbox.path().join("other");
    fs::create_dir(&sandbox.destination).unwrap();
    let run = sandbox.clone(&[]);
    run.assert_code(23).assert_log(": Warning: 2 directories of the source are encrypted ");
    for empty in ["home/alice", "srv/a*[b]?"] {
        assert_eq!(names_of(&sandbox.destination.join(empty)), [] as [&str; 0], "{empty}");
    }
    assert_eq!(names_of(&sandbox.destination.join("srv/axb")), ["file"]);
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
}

#[test]
fn a_locked_directory_that_is_left_out_is_no_failure() {
    let (vault, sandbox) = cloned();
    vault.lock();
    let patterns = sandbox.path().join("patterns");
    fs::write(&patterns, "/home/alice\n").unwrap();
    let run = sandbox.clone(&["-e", &text(&patterns)]);
    run.assert_code(0).assert_err("").assert_no_log("encrypted");
}

#[test]
fn a_locked_source_is_refused() {
    let (vault, mut sandbox) = cloned();
    vault.lock();
    sandbox.source.push("home/alice");
    let before = snapshot(&sandbox.destination.join("home"));
    sandbox.clone(&["--adopt"]).assert_code(65).assert_log("it is encrypted and its key is not available");
    assert_unchanged(&before, &snapshot(&sandbox.destination.join("home")));
}

#[test]
fn a_test_run_and_the_doctor_tell_of_a_locked_home() {
    let (vault, sandbox) = cloned();
    vault.lock();
    let run = sandbox.clone(&["-t"]);
    run.assert_code(70).assert_no_log("Would delete").assert_no_log("Would create");
    run.assert_log(": Warning: 1 directory of the source is encrypted and the key is not available, ");
    let ends = sandbox.arguments([] as [&str; 0]);
    let run = sandbox.run(["doctor".into()].into_iter().chain(ends));
    assert!(run.out.contains("WARN  encrypted directories: 1 directory of the source is encrypted"), "{run}");
}

/// An automounter that mounts nothing, with a directory that shows what could be mounted.
struct Automounter {
    server: Child,
    point: tempfile::TempDir,
}

const SERVER: &str = "
import ctypes, os, sys
os.setpgid(0, 0)
reader, writer = os.pipe()
libc = ctypes.CDLL(None, use_errno=True)
options = f'fd={writer},pgrp={os.getpgrp()},minproto=5,maxproto=5,indirect'
if libc.mount(b'auto', sys.argv[1].encode(), b'autofs', 0, options.encode()) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
os.close(writer)
os.mkdir(sys.argv[1] + '/alice')
print('ready', flush=True)
sys.stdin.read()
libc.umount2(sys.argv[1].encode(), 2)
";

impl Automounter {
    fn new() -> Self {
        let point = tempfile::tempdir().unwrap();
        // Whoever looks into it waits for the server, but not for ever.
        let mut command = Command::new("/usr/bin/timeout");
        command
            .args(["-k", "5", "600", "/usr/bin/python3", "-c", SERVER])
            .arg(point.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(server.stdout.as_mut().unwrap(), &mut ready).unwrap();
        Self { server, point }
    }
}

impl Drop for Automounter {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        let _ = self.server.wait();
        let _ =
            Command::new("/usr/bin/umount").arg("-l").arg(self.point.path()).stderr(Stdio::null()).status();
    }
}

#[test]
fn what_an_automounter_shows_is_no_source() {
    let automounter = Automounter::new();
    let mut sandbox = Sandbox::new();
    sandbox.source = automounter.point.path().into();
    sandbox.write_destination("alice/letter", "content");
    let run = sandbox.clone(&["--adopt"]);
    run.assert_code(65)
        .assert_log("it is managed by an automounter, which shows only what is mounted at the moment");
    assert!(sandbox.destination.join("alice/letter").exists());
}
