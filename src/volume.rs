//! Identifies the filesystem a directory is on, in a way that survives plugging its disk in elsewhere.

pub mod block;
pub mod btrfs;
pub mod chroot;
pub mod detached;
pub mod diskutil;
pub mod kind;
pub mod limits;
pub mod luks;
pub mod lvm;
pub mod mount_point;
pub mod mounts;
pub mod named;
pub mod private;
pub mod snapshot;
pub mod unclean;
pub mod view;

use std::path::{Path, PathBuf};

use crate::fs::dir::Dir;
use crate::host::machine::Machine;
use crate::host::platform::Platform;
use crate::linux::mounts::{Mount, device_name};
use crate::marker::identity::read_uuid;
use crate::run::Run;
use crate::volume::mount_point::mount_point;

/// What is known about the filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filesystem {
    /// Its UUID. Network and in-memory filesystems have none, and without root it may not be readable.
    pub uuid: Option<String>,
    /// Where it is mounted.
    pub mount_point: PathBuf,
}

/// The filesystem that the directory is on.
#[must_use]
pub fn of(run: &Run<'_>, dir: &Dir) -> Filesystem {
    match run.machine.host.platform {
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

/// Uses the mount table, not device numbers: by those, a btrfs subvolume is a mount point and a bind mount is not.
fn linux(run: &Run<'_>, dir: &Dir) -> Option<Filesystem> {
    let place = mounts::of(dir).ok()??;
    let mount = place.mount()?;
    Some(Filesystem { uuid: uuid_of(run.machine, mount), mount_point: mount.point.clone() })
}

/// The UUID of the filesystem that is mounted; `None` if it cannot be read.
#[must_use]
pub fn uuid_of(machine: Machine<'_>, mount: &Mount) -> Option<String> {
    device(mount).and_then(|device| uuid(machine, &device))
}

/// The block device. The mount source in the table is only used for btrfs, whose device numbers are synthetic: a FUSE
/// filesystem may claim any name.
#[must_use]
pub fn device(mount: &Mount) -> Option<PathBuf> {
    let uevent = std::fs::read_to_string(format!("/sys/dev/block/{}/uevent", mount.device_number));
    match uevent.ok().as_deref().and_then(device_name) {
        Some(name) => Some(Path::new("/dev").join(name)),
        None => (mount.kind == "btrfs").then(|| PathBuf::from(&mount.device)),
    }
}

/// `None` if it cannot be read, as without root: the callers take that for "not known", never for "the same".
fn uuid(machine: Machine<'_>, device: &Path) -> Option<String> {
    block::probe(machine, device).ok()?.found.uuid.as_deref().and_then(read_uuid)
}
