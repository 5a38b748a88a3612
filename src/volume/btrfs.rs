//! Read-only snapshots of btrfs subvolumes, which only root can reach.
//!
//! They are made at the top of their filesystem, which is mounted where nobody sees it, in a directory that only root can
//! enter; and they are seen through a mount of their own, likewise in no namespace.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::{FileStat, fstat};

use crate::fs::dir::{Dir, FileIdentity, open_subdir};
use crate::sys;
use crate::volume::detached;
use crate::volume::kind::SUBVOLUME_TOP;
use crate::volume::snapshot::Snapshot;

/// The directory of our snapshots at the top of a filesystem. A clone leaves it out wherever it stands.
pub const PLACE: &str = ".counterpart.snapshots";

/// The subvolume at the top of every filesystem, `BTRFS_FS_TREE_OBJECTID` of the kernel's `btrfs_tree.h`.
const TOP: &str = "5";

/// How deep a directory may lie in its subvolume.
const DEEPEST: usize = 256;

/// A filesystem, mounted for us alone.
#[derive(Debug)]
pub struct Filesystem {
    device: PathBuf,
    uuid: String,
    top: Dir,
}

/// A subvolume's top, and where a directory is below it.
#[derive(Debug)]
pub struct Subvolume {
    top: OwnedFd,
    inside: PathBuf,
    /// The inode of the directory, which is that of its copy in a snapshot.
    inode: u64,
}

/// The UUID of the filesystem that an open directory is on.
pub fn uuid_of(dir: &Dir) -> io::Result<String> {
    Ok(text(sys::btrfs_uuid(dir.reached())?))
}

fn text(uuid: [u8; 16]) -> String {
    let digits = u128::from_be_bytes(uuid);
    let field = |low: u32, bits: u32| (digits >> low) & ((1 << bits) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        field(96, 32),
        field(80, 16),
        field(64, 16),
        field(48, 16),
        field(0, 48)
    )
}

impl Subvolume {
    /// Finds the subvolume of a directory.
    ///
    /// Errors if its top cannot be reached from there, as where only a directory of it is mounted.
    pub fn of(dir: &Dir) -> io::Result<Self> {
        let own = fstat(dir.reached())?;
        let mut top = open_subdir(dir.reached(), c".")?;
        let mut names: Vec<&OsStr> = Vec::new();
        let mut above = dir.path().components().rev();
        while inode(&fstat(&top)?) != SUBVOLUME_TOP {
            let Some(Component::Normal(name)) = above.next().filter(|_| names.len() < DEEPEST) else {
                return Err(io::Error::other("the top of its subvolume cannot be found"));
            };
            names.push(name);
            top = open_subdir(&top, c"..")?;
            if fstat(&top)?.st_dev != own.st_dev {
                return Err(io::Error::other("only a part of its subvolume is mounted there"));
            }
        }
        Ok(Self { top, inside: names.iter().rev().collect(), inode: inode(&own) })
    }
}

#[allow(clippy::useless_conversion, reason = "ino_t differs by system")]
fn inode(stat: &FileStat) -> u64 {
    u64::from(stat.st_ino)
}

impl Filesystem {
    /// Mounts the top of the filesystem on a device that is mounted for writing elsewhere.
    pub fn open(device: &Path) -> io::Result<Self> {
        let tree = detached::mount("btrfs", device, &[("subvolid", TOP)])?;
        let top = Dir::adopt(&detached::top(&tree)?, device)?;
        let uuid = uuid_of(&top)?;
        Ok(Self { device: device.to_owned(), uuid, top })
    }

    /// Its UUID.
    #[must_use]
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// Makes a snapshot of a subvolume under this name. Errors with `ExecutableFileBusy` if it holds a swap file in use, of
    /// which the kernel takes none.
    pub fn snapshot(&self, subvolume: &Subvolume, name: &str) -> io::Result<()> {
        let place = self.place()?;
        let made = sys::snapshot(&subvolume.top, &place.file(), &c_string(name)?);
        if made == Err(Errno::ETXTBSY) {
            return Err(io::Error::new(
                io::ErrorKind::ExecutableFileBusy,
                "a swap file is in use in its subvolume; keep that in a subvolume of its own",
            ));
        }
        Ok(made?)
    }

    /// Mounts the snapshot of this name, which is one of that subvolume.
    pub fn mount(&self, name: &str, subvolume: &Subvolume) -> io::Result<Snapshot> {
        let made = self.place()?.enter(OsStr::new(name))?;
        let path = format!("/{PLACE}/{name}");
        let tree = detached::mount("btrfs", &self.device, &[("subvol", &path)])?;
        let top = detached::top(&tree)?;
        // A user of the filesystem's top could have exchanged our directory.
        if FileIdentity::from(&std::fs::File::from(top.try_clone()?).metadata()?) != made.identity()? {
            return Err(io::Error::other("another snapshot has taken its place"));
        }
        Snapshot { tree, inside: subvolume.inside.clone() }.ensure_holds(subvolume.inode)
    }

    /// Deletes the snapshot of this name, if there is one, and the directory of our snapshots if that was the last.
    pub fn delete(&self, name: &str) -> io::Result<()> {
        if self.top.kind(OsStr::new(PLACE))?.is_none() {
            return Ok(());
        }
        let place = self.place()?;
        let name = OsStr::new(name);
        let made = match place.enter(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            made => Some(made?),
        };
        if let Some(made) = made {
            // A directory is not ours, and no call that deletes subvolumes would take it either.
            if made.metadata()?.ino() != SUBVOLUME_TOP {
                return Err(io::Error::other("what is there is no snapshot"));
            }
            sys::delete_subvolume(&place.file(), &CString::new(name.as_bytes())?)?;
        }
        // Those of other clones may still be there.
        let _ = self.top.remove_empty(OsStr::new(PLACE));
        Ok(())
    }

    /// Opens the directory of our snapshots, and makes it if it is missing.
    fn place(&self) -> io::Result<Dir> {
        let name = OsStr::new(PLACE);
        match self.top.make_dir(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        let place = self.top.enter(name)?;
        let found = place.metadata()?;
        if found.uid() != 0 || found.mode() & 0o077 != 0 || found.ino() == SUBVOLUME_TOP {
            return Err(io::Error::other(format!("{PLACE} at its top was not made by Counterpart")));
        }
        Ok(place)
    }
}

fn c_string(name: &str) -> io::Result<CString> {
    Ok(CString::new(name)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_written_as_usual() {
        let bytes = [0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0, 1, 2, 3, 4, 5, 6, 7];
        assert_eq!(text(bytes), "12345678-9abc-def0-0001-020304050607");
    }
}
