//! A filesystem that is mounted for this process and its children alone (Linux).
//!
//! The mount is in a mount namespace of their own: nobody else sees it, and the kernel unmounts it with the last of them,
//! whatever ends them.

use std::path::{Path, PathBuf};

/// How a filesystem is mounted.
#[derive(Debug, Clone, Copy)]
pub struct How<'a> {
    /// The filesystem's type, as `blkid` calls it.
    pub kind: &'a str,
    /// Nothing is written but what its journal still holds.
    pub read_only: bool,
    /// Not even that.
    pub keeps_log: bool,
    /// Further devices of the same filesystem (btrfs).
    pub others: &'a [PathBuf],
}

/// A private mount, which ends when this is dropped.
#[derive(Debug)]
pub struct Mounted {
    point: PathBuf,
}

impl Mounted {
    /// Where it is.
    #[must_use]
    pub fn point(&self) -> &Path {
        &self.point
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        system::unmount(&self.point);
    }
}

/// Leaves the namespace of our caller: from now on no mount made by this thread, and by the threads and processes that
/// it starts, is seen elsewhere. What others mount and unmount still takes effect here.
///
/// To be called by the main thread, whose namespace `/proc/self` shows.
pub fn leave_namespace() -> std::io::Result<()> {
    system::leave_namespace()
}

/// Drops what is mounted at a path from the namespace that we have to ourselves.
pub fn let_go(point: &Path) {
    system::unmount(point);
}

/// Mounts a block device on an existing directory. The filesystem may hold device nodes and programs for another user,
/// but neither takes effect.
pub fn mount(device: &Path, point: &Path, how: How<'_>) -> std::io::Result<Mounted> {
    system::mount_device(device, point, how)?;
    Ok(Mounted { point: point.to_owned() })
}

#[cfg(target_os = "linux")]
mod system {
    use std::ffi::CString;
    use std::io;
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::Path;

    use nix::sched::{CloneFlags, unshare};
    use rustix::io::Errno;
    use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change};

    use super::How;

    pub fn leave_namespace() -> io::Result<()> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        Ok(mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?)
    }

    pub fn mount_device(device: &Path, point: &Path, how: How<'_>) -> io::Result<()> {
        let safe = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
        if !how.read_only {
            return attempt(device, point, how, safe, "").map_err(io::Error::from);
        }
        let without_log: &[&str] = match how.kind {
            "ext3" | "ext4" => &["noload"],
            "xfs" => &["norecovery"],
            "btrfs" => &["rescue=nologreplay", "nologreplay"],
            _ => &[],
        };
        let without_log = if how.keeps_log { without_log } else { &[] };
        let mut result = Err(Errno::INVAL);
        for options in without_log.iter().chain([&""]) {
            result = attempt(device, point, how, safe | MountFlags::RDONLY, options);
            if result != Err(Errno::INVAL) {
                break;
            }
        }
        match result {
            // Its own state cannot be both: it is mounted for writing elsewhere, and here only for reading.
            Err(Errno::BUSY) => {
                attempt(device, point, how, safe, "")?;
                let again = MountFlags::BIND | MountFlags::RDONLY | safe;
                rustix::mount::mount_remount(point, again, c"").map_err(|error| {
                    unmount(point);
                    error.into()
                })
            }
            result => Ok(result?),
        }
    }

    fn attempt(
        device: &Path,
        point: &Path,
        how: How<'_>,
        flags: MountFlags,
        options: &str,
    ) -> Result<(), Errno> {
        let kind = match how.kind {
            "ntfs" => "ntfs3",
            kind => kind,
        };
        let others = how.others.iter().map(|other| [b"device=", other.as_os_str().as_bytes()].concat());
        let options: Vec<Vec<u8>> =
            others.chain((!options.is_empty()).then(|| options.as_bytes().to_vec())).collect();
        let options = CString::new(options.join(&b',')).map_err(|_| Errno::INVAL)?;
        mount(device, point, kind, flags, Some(options.as_c_str()))
    }

    pub fn unmount(point: &Path) {
        // Waits for what is still to be written; only what is still in use is left to the kernel.
        if rustix::mount::unmount(point, UnmountFlags::NOFOLLOW).is_err() {
            let _ = rustix::mount::unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::path::Path;

    use super::How;

    pub fn leave_namespace() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn mount_device(_device: &Path, _point: &Path, _how: How<'_>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn unmount(_point: &Path) {}
}
