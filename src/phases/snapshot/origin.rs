//! What can be frozen: a subvolume of btrfs, or a logical volume; and the snapshots that are taken of them.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use indicatif::HumanBytes;

use crate::display;
use crate::fs::dir::{Dir, random_hex};
use crate::host::machine::Machine;
use crate::plan::frozen::Room;
use crate::state::left::Left;
use crate::volume;
use crate::volume::btrfs::{self, Filesystem, Subvolume};
use crate::volume::kind::Kind;
use crate::volume::lvm::{self, Health};
use crate::volume::mounts;
use crate::volume::snapshot::Snapshot;

/// How much of a volume a snapshot has room for unless something else is asked for, in percent.
const USUAL: u64 = 20;

/// How little of a volume, in percent, a snapshot must have room for that nobody has asked for.
pub const LEAST: u64 = 5;

/// What is to be frozen.
#[derive(Debug)]
pub struct Origin {
    /// Where it is, relative to the source.
    pub place: PathBuf,
    how: How,
}

#[derive(Debug)]
enum How {
    Btrfs {
        device: PathBuf,
        uuid: String,
        subvolume: Subvolume,
    },
    Lvm {
        volume: lvm::Volume,
        /// How much its snapshot holds, in bytes; nothing for a thin one.
        room: u64,
        /// The filesystem's type.
        kind: String,
        /// The UUID of the filesystem, if known.
        uuid: Option<String>,
        /// Where the directory is on it.
        inside: PathBuf,
        inode: u64,
    },
}

impl Origin {
    /// What freezes the filesystem of this directory, which is at that place of the source; `None` if nothing does.
    ///
    /// Snapshots of volumes in one group share what is free there: `before` are those that are taken as well.
    pub fn of(
        machine: Machine<'_>,
        (place, dir): (&Path, &Dir),
        room: Option<Room>,
        before: &[Self],
    ) -> io::Result<Option<Self>> {
        let there = mounts::of(dir)?;
        let Some((there, mount)) = there.as_ref().and_then(|there| Some((there, there.mount()?))) else {
            return Ok(None);
        };
        let how = if Kind::of(dir)? == Kind::Btrfs {
            let device = volume::device(mount).ok_or_else(|| io::Error::other("its device is not known"))?;
            How::Btrfs { device, uuid: btrfs::uuid_of(dir)?, subvolume: Subvolume::of(dir)? }
        } else if let Some(mut volume) = lvm::of(machine, &mount.device_number)? {
            let spent: u64 = before.iter().map(|it| it.room_in(&volume.group)).sum();
            volume.free = volume.free.saturating_sub(spent);
            let wanted = match room {
                None => volume.size / 100 * USUAL,
                Some(Room::Percent(percent)) => volume.size / 100 * u64::from(percent),
                Some(Room::Bytes(bytes)) => bytes,
            };
            let had = if volume.pool.is_some() { 0 } else { volume.room(wanted) };
            let is_short = volume.pool.is_none() && (had == 0 || room.is_some() && had < wanted);
            if is_short {
                return Err(io::Error::other(format!(
                    "the volume group {} has {} free, and its snapshot is to have {}",
                    volume.group,
                    HumanBytes(volume.free),
                    HumanBytes(wanted)
                )));
            }
            let (_, inside) = mounts::locate(there, dir)?;
            let inside = inside.strip_prefix("/").map(Path::to_owned).unwrap_or(inside);
            let uuid = volume::uuid_of(machine, mount);
            let inode = dir.reached().metadata()?.ino();
            How::Lvm { volume, room: had, kind: mount.kind.clone(), uuid, inside, inode }
        } else {
            return Ok(None);
        };
        Ok(Some(Self { place: place.to_owned(), how }))
    }

    /// How much room its snapshot takes in this volume group, in bytes.
    fn room_in(&self, group: &str) -> u64 {
        match &self.how {
            How::Lvm { volume, room, .. } if volume.group == group => *room,
            How::Lvm { .. } | How::Btrfs { .. } => 0,
        }
    }

    /// Whether a snapshot of it would be too small to be taken without having been asked for.
    #[must_use]
    pub fn is_cramped(&self) -> bool {
        match &self.how {
            How::Btrfs { .. } => false,
            How::Lvm { volume, room, .. } => volume.pool.is_none() && *room < volume.size / 100 * LEAST,
        }
    }

    /// Makes everything ready for its snapshot, under a name that nothing has yet.
    pub fn prepare<'a>(&self, machine: Machine<'a>) -> io::Result<Made<'a>> {
        let name = format!("counterpart-{}", random_hex(8)?);
        let by = match &self.how {
            How::Btrfs { device, uuid, .. } => By::Btrfs(open(device, uuid)?),
            How::Lvm { volume, uuid, .. } => {
                By::Lvm { machine, group: volume.group.clone(), uuid: uuid.clone().unwrap_or_default() }
            }
        };
        Ok(Made { name, by })
    }

    /// Takes the snapshot.
    pub fn take(&self, made: &Made<'_>) -> io::Result<()> {
        match (&self.how, &made.by) {
            (How::Btrfs { subvolume, .. }, By::Btrfs(filesystem)) => {
                filesystem.snapshot(subvolume, &made.name)
            }
            (How::Lvm { volume, room, .. }, By::Lvm { machine, .. }) => {
                volume.snapshot(*machine, &made.name, *room)
            }
            (How::Btrfs { .. }, By::Lvm { .. }) | (How::Lvm { .. }, By::Btrfs(_)) => {
                Err(io::ErrorKind::InvalidInput.into())
            }
        }
    }

    /// Mounts it.
    pub fn mount(&self, made: &Made<'_>) -> io::Result<Snapshot> {
        match (&self.how, &made.by) {
            (How::Btrfs { subvolume, .. }, By::Btrfs(filesystem)) => filesystem.mount(&made.name, subvolume),
            (How::Lvm { volume, kind, inside, inode, .. }, By::Lvm { machine, .. }) => {
                let tree = volume.mount(*machine, &made.name, kind)?;
                Snapshot { tree, inside: inside.clone() }.ensure_holds(*inode)
            }
            (How::Btrfs { .. }, By::Lvm { .. }) | (How::Lvm { .. }, By::Btrfs(_)) => {
                Err(io::ErrorKind::InvalidInput.into())
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.how {
            How::Btrfs { .. } => formatter.write_str("btrfs"),
            How::Lvm { volume, room, .. } => match &volume.pool {
                Some(pool) => write!(formatter, "LVM, in the thin pool {}/{pool}", volume.group),
                None => write!(formatter, "LVM, with room for {}", HumanBytes(*room)),
            },
        }
    }
}

/// A snapshot that is taken, or is about to be.
#[derive(Debug)]
pub struct Made<'a> {
    name: String,
    by: By<'a>,
}

#[derive(Debug)]
enum By<'a> {
    Btrfs(Filesystem),
    Lvm { machine: Machine<'a>, group: String, uuid: String },
}

impl Made<'_> {
    /// As it is known to the state.
    #[must_use]
    pub fn left(&self) -> Left {
        let name = self.name.clone();
        match &self.by {
            By::Btrfs(filesystem) => Left { filesystem: filesystem.uuid().to_owned(), name, group: None },
            By::Lvm { group, uuid, .. } => {
                Left { filesystem: uuid.clone(), name, group: Some(group.clone()) }
            }
        }
    }

    /// Deletes it, if it is there.
    pub fn delete(&self) -> io::Result<()> {
        match &self.by {
            By::Btrfs(filesystem) => filesystem.delete(&self.name),
            By::Lvm { machine, group, .. } => lvm::remove(*machine, group, &self.name),
        }
    }

    /// Why it does not show any more what it was taken of.
    #[must_use]
    pub fn why_lost(&self) -> Option<String> {
        match &self.by {
            By::Btrfs(_) => None,
            By::Lvm { machine, group, .. } => match lvm::health(*machine, group, &self.name) {
                Ok(Health::Whole) => None,
                Ok(Health::Full) => Some("more was written there meanwhile than it has room for".to_owned()),
                Ok(Health::Gone) => Some("somebody has removed it".to_owned()),
                Err(error) => {
                    Some(format!("how full it is cannot be found out: {}", display::reason(&error)))
                }
            },
        }
    }
}

/// Opens the filesystem with this UUID on a device.
pub fn open(device: &Path, uuid: &str) -> io::Result<Filesystem> {
    let filesystem = Filesystem::open(device)?;
    if filesystem.uuid() == uuid {
        Ok(filesystem)
    } else {
        Err(io::Error::other("its device holds another filesystem"))
    }
}
