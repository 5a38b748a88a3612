//! Which filesystem of the clone stands for which of the source.

use std::path::{Path, PathBuf};

use crate::linux::bootable::Unresolved;
use crate::plan::tag::Tag;

/// What a filesystem is known by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Its device.
    pub device: PathBuf,
    /// Its type, such as `ext4`.
    pub kind: String,
    /// Its UUID.
    pub uuid: Option<String>,
    /// Its label.
    pub label: Option<String>,
    /// Its partition's UUID.
    pub part_uuid: Option<String>,
    /// Its partition's name.
    pub part_label: Option<String>,
    /// The subvolume of a btrfs, without a slash at the beginning; empty for its top.
    pub subvolume: Option<String>,
    /// What it lies in, from the inside out.
    pub within: Vec<Container>,
}

/// What holds a filesystem that is not directly on a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Container {
    /// An encrypted volume, by what its own device is known by.
    Luks(Box<Names>),
    /// A logical volume, `GROUP/VOLUME`.
    Lvm(String),
    /// A RAID.
    Raid,
}

/// A filesystem of the source that is in the clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where the system mounts it.
    pub point: PathBuf,
    /// The source's.
    pub source: Names,
    /// What it is in the clone.
    pub becomes: Becomes,
}

/// What a filesystem of the source is in the clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Becomes {
    /// A filesystem.
    Filesystem(Names),
    /// A plain directory of the filesystem above it.
    Directory,
}

/// All filesystems that a clone consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// The root first.
    pub parts: Vec<Part>,
}

impl Layout {
    /// The part mounted at `point`.
    #[must_use]
    pub fn part(&self, point: &Path) -> Option<&Part> {
        self.parts.iter().find(|part| part.point == point)
    }

    /// The root of the source and of the clone.
    pub fn root(&self) -> Result<(&Names, &Names), Unresolved> {
        match self.part(Path::new("/")) {
            Some(Part { source, becomes: Becomes::Filesystem(clone), .. }) => Ok((source, clone)),
            _ => Err(Unresolved("the clone has no filesystem for /".to_owned())),
        }
    }

    /// The filesystems of the clone.
    pub fn filesystems(&self) -> impl Iterator<Item = (&Part, &Names)> {
        self.parts.iter().filter_map(|part| match &part.becomes {
            Becomes::Filesystem(names) => Some((part, names)),
            Becomes::Directory => None,
        })
    }

    /// The encrypted volume of the source that a tag names, and the one of the clone that holds the same, if it is
    /// encrypted too.
    #[must_use]
    pub fn volume(&self, tag: &Tag) -> Option<(&Names, Option<&Names>)> {
        self.parts.iter().find_map(|part| {
            let volume = part.source.volumes().find(|volume| volume.is(tag))?;
            let clone = match &part.becomes {
                Becomes::Filesystem(names) => names.volumes().next(),
                Becomes::Directory => self.root().ok().and_then(|(_, clone)| clone.volumes().next()),
            };
            Some((volume, clone))
        })
    }
}

impl Names {
    /// The encrypted volumes that it lies in.
    pub fn volumes(&self) -> impl Iterator<Item = &Self> {
        self.within.iter().filter_map(|container| match container {
            Container::Luks(names) => Some(&**names),
            Container::Lvm(_) | Container::Raid => None,
        })
    }

    /// The logical volume that it is.
    #[must_use]
    pub fn logical_volume(&self) -> Option<&str> {
        self.within.iter().find_map(|container| match container {
            Container::Lvm(name) => Some(name.as_str()),
            Container::Luks(_) | Container::Raid => None,
        })
    }

    /// Whether a tag names it. A path has to be that of the device itself, not of a link.
    #[must_use]
    pub fn is(&self, tag: &Tag) -> bool {
        let same = |known: &Option<String>, tag: &str| {
            known.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(tag))
        };
        match tag {
            Tag::Uuid(uuid) => same(&self.uuid, uuid),
            Tag::PartUuid(uuid) => same(&self.part_uuid, uuid),
            Tag::Label(label) => self.label.as_ref() == Some(label),
            Tag::PartLabel(label) => self.part_label.as_ref() == Some(label),
            Tag::Device(path) => self.device == *path,
        }
    }

    /// `UUID=…`: a label may be the same on both disks, and a device's name is another one tomorrow.
    pub fn by_uuid(&self) -> Result<String, Unresolved> {
        let uuid = self.uuid.as_ref().ok_or_else(|| self.nameless("UUID"))?;
        Ok(format!("UUID={uuid}"))
    }

    /// `PARTUUID=…`, which a kernel without an initramfs understands.
    pub fn by_part_uuid(&self) -> Result<String, Unresolved> {
        let uuid = self.part_uuid.as_ref().ok_or_else(|| self.nameless("partition UUID"))?;
        Ok(format!("PARTUUID={uuid}"))
    }

    fn nameless(&self, what: &str) -> Unresolved {
        Unresolved(format!("the clone's filesystem on {} has no {what}", crate::display::path(&self.device)))
    }
}
