//! A filesystem that is mounted where nobody sees it: in no namespace, until it is put into one, and gone with its last
//! descriptor. Requires Linux 5.2.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Mounts the device with these options; one without a value is a flag.
#[cfg(target_os = "linux")]
pub fn mount(kind: &str, device: &Path, options: &[(&str, &str)]) -> io::Result<OwnedFd> {
    use std::os::fd::AsFd as _;

    use rustix::mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
        fsmount, fsopen,
    };
    let filesystem = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(filesystem.as_fd(), "source", device)?;
    for (name, value) in options {
        match *value {
            "" => fsconfig_set_flag(filesystem.as_fd(), *name)?,
            value => fsconfig_set_string(filesystem.as_fd(), *name, value)?,
        }
    }
    fsconfig_create(filesystem.as_fd())?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(fsmount(filesystem.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)?)
}

/// Other systems have no such mounts.
#[cfg(not(target_os = "linux"))]
pub fn mount(_kind: &str, _device: &Path, _options: &[(&str, &str)]) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Opens the top of the filesystem on a device.
pub fn open(kind: &str, device: &Path) -> io::Result<OwnedFd> {
    top(&mount(kind, device, &[])?)
}

/// Opens the top of a mount, which lasts as long as this: the mount itself cannot be flushed.
pub fn top(mount: &OwnedFd) -> io::Result<OwnedFd> {
    use nix::fcntl::{OFlag, openat};
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(openat(mount, c".", flags, nix::sys::stat::Mode::empty())?)
}
