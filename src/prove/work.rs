//! The private directory of a proof: QEMU's account owns it, and its temporary files lie there.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Gid, Uid, fchown};

use crate::fs::dir::{Dir, random_hex};
use crate::fs::space::Space;
use crate::prove::account;

/// Where it is made: what the guest writes may be more than the memory holds.
const PLACE: &str = "/var/tmp";

/// The start of its name.
const STEM: &str = "counterpart-prove.";

/// The directory. It is removed on drop; what a killed proof leaves is removed by the next.
#[derive(Debug)]
pub struct Work {
    above: Dir,
    name: OsString,
    dir: Dir,
    _lock: Flock<std::fs::File>,
}

impl Work {
    /// Makes it.
    pub fn make(uid: u32, gid: u32) -> io::Result<Self> {
        let above = Dir::reach(Path::new(PLACE))?;
        remove_leftovers(&above)?;
        let name = OsString::from(format!("{STEM}{}", random_hex(8)?));
        above.make_dir(&name)?;
        let dir = above.enter(&name)?;
        let lock = dir.as_fd().try_clone_to_owned()?;
        let lock = Flock::lock(std::fs::File::from(lock), FlockArg::LockSharedNonblock)
            .map_err(|(_, error)| io::Error::from(error))?;
        let work = Self { above, name, dir, _lock: lock };
        fchown(work.dir.file(), Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        Ok(work)
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// It, to read what QEMU has written there.
    #[must_use]
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// How much may be written there, in bytes: half of what is free.
    #[must_use]
    pub fn room(&self) -> Option<u64> {
        Space::of(&self.dir).ok().map(|space| space.available / 2)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // The next proof tries again.
        let _ = self.above.remove(&self.name);
    }
}

/// Removes the directories of proofs that were killed. A proof that is at work holds the lock of its own.
fn remove_leftovers(above: &Dir) -> io::Result<()> {
    for name in above.names_that(|name: &OsStr| name.as_bytes().starts_with(STEM.as_bytes()))? {
        // Somebody else may have made it, or remove it now.
        let Ok(dir) = above.enter(&name) else { continue };
        // A proof gives its directory away once it holds the lock.
        if !dir.metadata().is_ok_and(|metadata| account::is_ours(metadata.uid())) {
            continue;
        }
        let Ok(file) = dir.as_fd().try_clone_to_owned() else { continue };
        if Flock::lock(std::fs::File::from(file), FlockArg::LockExclusiveNonblock).is_ok() {
            let _ = above.remove(&name);
        }
    }
    Ok(())
}
