//! Which filesystem a directory lies on, by a name that it keeps when its disk is plugged in elsewhere.

pub mod diskutil;
pub mod kind;
pub mod limits;
pub mod mount_point;
pub mod mounts;
pub mod view;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::fs::dir::Dir;
use crate::host::TOOL_LIMIT;
use crate::host::platform::Platform;
use crate::linux::mounts::{Mount, device_name};
use crate::marker::identity::read_uuid;
use crate::process::{Command, End, capture};
use crate::run::Run;
use crate::volume::mount_point::mount_point;

/// What is known of the filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filesystem {
    /// Its UUID. Network filesystems and those in memory have none, and without root it may not be found out.
    pub uuid: Option<String>,
    /// Where it is mounted.
    pub mount_point: PathBuf,
}

/// The filesystem that the directory lies on.
#[must_use]
pub fn of(run: &Run<'_>, dir: &Dir) -> Filesystem {
    match run.host.platform {
        Platform::Linux => {
            linux(run, dir).unwrap_or_else(|| Filesystem { uuid: None, mount_point: mount_point(dir.path()) })
        }
        Platform::MacOs(_) => {
            let mount_point = mount_point(dir.path());
            let uuid = diskutil::diskutil(run, &mount_point).and_then(|volume| volume.uuid);
            Filesystem { uuid, mount_point }
        }
    }
}

/// The table of mounts, and not device numbers: to those a subvolume of btrfs is a mount point and a bind mount is none.
fn linux(run: &Run<'_>, dir: &Dir) -> Option<Filesystem> {
    let place = mounts::of(dir).ok()??;
    let mount = place.mount()?;
    let uuid = device(mount).and_then(|device| blkid(run, &device));
    Some(Filesystem { uuid, mount_point: mount.point.clone() })
}

/// The block device. What the table says was mounted counts for btrfs alone, whose device numbers are of its own making:
/// a FUSE filesystem may call itself what it likes.
fn device(mount: &Mount) -> Option<PathBuf> {
    let uevent = std::fs::read_to_string(format!("/sys/dev/block/{}/uevent", mount.device_number));
    match uevent.ok().as_deref().and_then(device_name) {
        Some(name) => Some(Path::new("/dev").join(name)),
        None => (mount.kind == "btrfs").then(|| PathBuf::from(&mount.device)),
    }
}

/// Reads the device itself: links in `/dev/disk` need udev, and a stale cache would name another filesystem.
fn blkid(run: &Run<'_>, device: &Path) -> Option<String> {
    let options = ["-p", "-o", "value", "-s", "UUID"].map(OsStr::new);
    let command = Command::tool(&run.host.tools.blkid, options.into_iter().chain([device.as_os_str()]));
    let printed = capture(&command, run.interrupts, TOOL_LIMIT).ok()?;
    if printed.end == End::Exited(0) { read_uuid(&String::from_utf8_lossy(&printed.out)) } else { None }
}
