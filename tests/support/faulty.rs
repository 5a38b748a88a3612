//! A filesystem whose faults can be set while it is mounted, through FUSE and Python's fusepy.
#![allow(dead_code, reason = "each test crate uses a part")]

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::disk::OwnerlessFuse;

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/faulty.py");

/// A mounted filesystem, initially without faults.
#[derive(Debug)]
pub struct FaultyFuse {
    // Nothing may hang when the filesystem is unmounted, so `drop` clears the faults before this field is dropped.
    fuse: OwnerlessFuse,
    dir: TempDir,
}

impl FaultyFuse {
    /// Mounts one.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fuse = OwnerlessFuse::serve(SERVER, dir.path().join("control").as_os_str());
        Self { fuse, dir }
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.fuse.path()
    }

    /// The directory with its contents, free of faults.
    pub fn backing(&self) -> PathBuf {
        self.fuse.backing()
    }

    /// Whether a process is or was waiting for a directory listing.
    pub fn is_hanging(&self) -> bool {
        self.dir.path().join("control.hangs").exists()
    }

    /// Sets the faults: lines such as `fail /file`, `fail *`, `hang /file` or `fail /directory/`.
    pub fn tell(&self, faults: &str) {
        let new = self.dir.path().join("new");
        fs::write(&new, faults).unwrap();
        fs::rename(new, self.dir.path().join(OsStr::new("control"))).unwrap();
    }
}

impl Drop for FaultyFuse {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.dir.path().join("control"));
    }
}
