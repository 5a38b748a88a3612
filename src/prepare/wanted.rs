//! What the new disk shall hold: one entry for each partition, before it has a place.

use std::path::{Path, PathBuf};

/// A filesystem type that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ext2.
    Ext2,
    /// ext3.
    Ext3,
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
    /// FAT.
    Vfat,
    /// Swap space.
    Swap,
}

impl Kind {
    /// By the kernel's name; `None` for a type that cannot be made here.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ext2" => Self::Ext2,
            "ext3" => Self::Ext3,
            "ext4" => Self::Ext4,
            "xfs" => Self::Xfs,
            "btrfs" => Self::Btrfs,
            "vfat" => Self::Vfat,
            "swap" => Self::Swap,
            _ => return None,
        })
    }

    /// The name that the kernel and blkid use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Vfat => "vfat",
            Self::Swap => "swap",
        }
    }

    /// The program that makes it.
    #[must_use]
    pub fn maker(self) -> &'static str {
        match self {
            Self::Ext2 => "mkfs.ext2",
            Self::Ext3 => "mkfs.ext3",
            Self::Ext4 => "mkfs.ext4",
            Self::Xfs => "mkfs.xfs",
            Self::Btrfs => "mkfs.btrfs",
            Self::Vfat => "mkfs.vfat",
            Self::Swap => "mkswap",
        }
    }

    /// The longest label, in bytes.
    #[must_use]
    pub fn longest_label(self) -> usize {
        match self {
            Self::Ext2 | Self::Ext3 | Self::Ext4 => 16,
            Self::Xfs => 12,
            Self::Btrfs => 255,
            Self::Vfat => 11,
            Self::Swap => 15,
        }
    }

    /// What a filesystem itself takes, in MiB: its journal, its tables, what it keeps in reserve, and its least size.
    fn overhead(self) -> u64 {
        match self {
            Self::Ext2 | Self::Ext3 | Self::Ext4 => 96,
            Self::Xfs | Self::Btrfs => 384,
            Self::Vfat => 34,
            Self::Swap => 0,
        }
    }
}

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Where GRUB puts its core on a GPT disk of a BIOS machine.
    BiosBoot,
    /// The EFI system partition.
    Efi,
    /// What a Raspberry Pi's firmware starts from.
    Firmware,
    /// A filesystem of the system.
    Data,
    /// Swap space.
    Swap,
}

/// A partition to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What it is for.
    pub role: Role,
    /// Its filesystem; `None` for the BIOS boot partition.
    pub kind: Option<Kind>,
    /// Where the system mounts it.
    pub point: Option<PathBuf>,
    /// The label of the source's filesystem.
    pub label: Option<String>,
    /// The size of the source's filesystem, in bytes.
    pub size: u64,
    /// What it uses, in bytes.
    pub used: u64,
    /// What it must have room for, though that is not known to be in use.
    pub reserved: u64,
    /// Its btrfs subvolumes, as paths from its top: that of `/` first.
    pub subvolumes: Vec<PathBuf>,
    /// Whether it lies in a LUKS container.
    pub is_encrypted: bool,
}

/// A mebibyte: partitions begin and end at multiples of it.
pub const MIB: u64 = 1 << 20;

/// The size of a LUKS header, in MiB.
const LUKS: u64 = 16;

impl Wanted {
    /// The BIOS boot partition.
    #[must_use]
    pub fn bios_boot() -> Self {
        Self {
            role: Role::BiosBoot,
            kind: None,
            point: None,
            label: None,
            size: MIB,
            used: 0,
            reserved: 0,
            subvolumes: Vec::new(),
            is_encrypted: false,
        }
    }

    /// A filesystem of which nothing is used yet.
    #[must_use]
    pub fn new(role: Role, kind: Kind, point: Option<&Path>, size: u64) -> Self {
        Self { role, kind: Some(kind), point: point.map(Path::to_owned), size, ..Self::bios_boot() }
    }

    /// Whether it keeps its size, however large the disk is.
    #[must_use]
    pub fn keeps_size(&self) -> bool {
        self.role != Role::Data || self.point.as_deref() == Some(Path::new("/boot"))
    }

    /// The least size in MiB: what the source uses and a tenth more, and what the filesystem takes for itself.
    #[must_use]
    pub fn least(&self) -> u64 {
        let Some(kind) = self.kind else { return 1 };
        if kind == Kind::Swap {
            return mib(self.size).clamp(1, 64);
        }
        // Tables grow with the filesystem: some 6 in 100.
        let used = self.used.max(self.reserved);
        let used = mib(used.saturating_add(used.div_ceil(10)));
        let tables = used.saturating_mul(7) / 100;
        let luks = if self.is_encrypted { LUKS } else { 0 };
        used.saturating_add(tables).saturating_add(kind.overhead()).saturating_add(luks)
    }

    /// The size in MiB that it has if there is room: the source's.
    #[must_use]
    pub fn usual(&self) -> u64 {
        mib(self.size).max(self.least())
    }
}

/// Bytes as MiB, rounded up.
#[must_use]
pub fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(MIB)
}
