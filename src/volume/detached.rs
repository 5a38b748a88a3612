//! A filesystem that is mounted nowhere: only its descriptor leads to it, and it is unmounted when that is closed.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Opens the top of the filesystem on a device. Requires Linux 5.2.
pub fn open(kind: &str, device: &Path) -> io::Result<OwnedFd> {
    system::open(kind, device)
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::os::fd::{AsFd as _, OwnedFd};
    use std::path::Path;

    use rustix::fs::{Mode, OFlags, openat};
    use rustix::mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
    };

    pub fn open(kind: &str, device: &Path) -> io::Result<OwnedFd> {
        let filesystem = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(filesystem.as_fd(), "source", device)?;
        fsconfig_create(filesystem.as_fd())?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let mount = fsmount(filesystem.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        // The mount itself cannot be flushed; it lasts as long as this.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(mount.as_fd(), c".", flags, Mode::empty())?)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    pub fn open(_kind: &str, _device: &Path) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
