//! A filesystem that cannot store ownership, through FUSE and Python's fusepy.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::{must, run};

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/disk/ownerless.py");

/// A filesystem on which everything always belongs to root, and which has no extended attributes either.
#[derive(Debug)]
pub struct OwnerlessFuse {
    server: Child,
    dir: TempDir,
}

impl OwnerlessFuse {
    /// Mounts one that accepts a change of owner and ignores it.
    pub fn new() -> Self {
        Self::serve(SERVER, OsStr::new("ignore"))
    }

    /// Mounts one that rejects a change of owner with EPERM.
    pub fn refusing_chown() -> Self {
        Self::serve(SERVER, OsStr::new("refuse"))
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }

    /// The directory with its contents.
    pub fn backing(&self) -> PathBuf {
        self.dir.path().join("backing")
    }

    /// Mounts the filesystem of another server, a Python program with the same arguments: the backing directory, the
    /// mount point and one of its own.
    pub fn serve(server: &str, argument: &OsStr) -> Self {
        let dir = must("make a temporary directory", tempfile::tempdir());
        let (backing, point) = (dir.path().join("backing"), dir.path().join("mounted"));
        must("make the backing directory", fs::create_dir(&backing));
        must("make the mount point", fs::create_dir(&point));
        let before = device(&point);
        // The server ends by itself if the test is killed before it can unmount.
        let server = Command::new("/usr/bin/timeout")
            .args(["-k", "5", "3600", "/usr/bin/python3", "-B", server])
            .args([&backing, &point])
            .arg(argument)
            .spawn();
        let mut fuse = Self { server: must("start the server", server), dir };
        for _ in 0..200 {
            if device(&point) != before {
                return fuse;
            }
            if let Ok(Some(status)) = fuse.server.try_wait() {
                panic!("the FUSE server ended early: {status}");
            }
            sleep(Duration::from_millis(50));
        }
        panic!("the FUSE server mounted nothing within ten seconds");
    }
}

impl Drop for OwnerlessFuse {
    fn drop(&mut self) {
        let point = self.path();
        let unmounted = (0..20).any(|attempt| {
            sleep(Duration::from_millis(if attempt == 0 { 0 } else { 100 }));
            run("fusermount3", [Path::new("-u"), &point]).is_ok()
        });
        if !unmounted && let Err(error) = run("umount", [Path::new("-l"), &point]) {
            eprintln!("{} stays mounted: {error}", point.display());
        }
        for _ in 0..100 {
            if let Ok(Some(_)) = self.server.try_wait() {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        // `timeout` forwards this to the server.
        if let Ok(id) = i32::try_from(self.server.id()) {
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        let _ = self.server.wait();
    }
}

fn device(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|metadata| metadata.dev())
}
