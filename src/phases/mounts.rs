//! The kernel's table of mounts, read for a folder that is held open.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};

use crate::host::folder::Folder;
use crate::linux::mounts::{self, Mount};

/// The table, and the number of the mount that the folder belongs to; a device number would not do for btrfs.
pub fn of(folder: &Folder) -> io::Result<(u64, Vec<Mount>)> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", folder.as_fd().as_raw_fd()))?;
    let table = mounts::read(&std::fs::read("/proc/self/mountinfo")?);
    let id = mounts::mount_id(&info).ok_or_else(|| io::Error::other("the kernel does not tell the mount"))?;
    Ok((id, table))
}
