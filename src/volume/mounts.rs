//! The kernel's mount table, read for a directory that is held open.

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use crate::fs::dir::Dir;
use crate::linux::mounts;
use crate::linux::mounts::Mount;

/// The table, and the mount in it through which a directory was reached.
#[derive(Debug)]
pub struct Place {
    /// All mounts, in the table's order.
    pub table: Vec<Mount>,
    /// The id of the directory's mount; a device number would not suffice for btrfs.
    pub id: u64,
}

impl Place {
    /// The mount through which the directory was reached.
    #[must_use]
    pub fn mount(&self) -> Option<&Mount> {
        self.table.iter().find(|mount| mount.id == self.id)
    }
}

/// Reads the table for a directory; `None` on a system that has none.
///
/// On Linux, fails if it cannot be read, for instance without `/proc`: then nothing is known about mounts.
pub fn of(dir: &Dir) -> io::Result<Option<Place>> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let cannot = |path: &str, error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
    let path = format!("/proc/self/fdinfo/{}", dir.reached().as_raw_fd());
    let info = std::fs::read_to_string(&path).map_err(|error| cannot(&path, error))?;
    let table =
        std::fs::read("/proc/self/mountinfo").map_err(|error| cannot("/proc/self/mountinfo", error))?;
    let id =
        mounts::mount_id(&info).ok_or_else(|| io::Error::other("the kernel does not report the mount"))?;
    let place = Place { table: mounts::read(&table), id };
    if place.mount().is_none() {
        return Err(io::Error::other(
            "its mount is not in /proc/self/mountinfo (unmounted just now, or hidden by a chroot)",
        ));
    }
    Ok(Some(place))
}

/// Where a directory is on its filesystem: the device number and the path there.
pub fn locate(place: &Place, dir: &Dir) -> io::Result<(String, PathBuf)> {
    let found = mounts::locate(&place.table, place.id, dir.path());
    let (device, path) = found.ok_or_else(|| io::Error::other("its path is not below its mount point"))?;
    Ok((device.to_owned(), path))
}
