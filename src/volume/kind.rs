//! The type of the filesystem that an open file is on, as numbered by the kernel.

use std::io;
use std::os::fd::AsFd;

/// A filesystem type with known limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ext2, ext3 and ext4, which share one number.
    Ext,
    /// btrfs.
    Btrfs,
    /// FAT.
    Fat,
    /// exFAT.
    ExFat,
    /// NTFS, by the kernel's own driver.
    Ntfs,
    /// HFS or HFS+.
    Hfs,
    /// JFS.
    Jfs,
    /// NILFS2.
    Nilfs,
    /// XFS.
    Xfs,
    /// F2FS.
    F2fs,
    /// tmpfs.
    Tmpfs,
    /// The kernel's automounter, which only holds mount points.
    Autofs,
    /// Any other.
    Other,
}

/// The inode of a btrfs subvolume's top, `BTRFS_FIRST_FREE_OBJECTID` of the kernel's `btrfs_tree.h`.
pub const SUBVOLUME_TOP: u64 = 256;

impl Kind {
    /// Asks the kernel.
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        ask(file)
    }

    /// Whether its contents depend on what is currently mounted.
    #[must_use]
    pub fn is_automounter(self) -> bool {
        self == Self::Autofs
    }

    /// Whether every change of an inode, by whatever call, gets a new time that no program can set.
    #[must_use]
    pub fn stamps_changes(self) -> bool {
        matches!(self, Self::Ext | Self::Btrfs | Self::Xfs | Self::F2fs | Self::Tmpfs)
    }

    /// Whether all attributes of a file must usually fit into about one block.
    #[must_use]
    pub fn is_short_of_attributes(self) -> bool {
        matches!(self, Self::Ext | Self::Jfs | Self::Nilfs)
    }

    /// How many hard links a file may have; `None` if practically unlimited, or if not known.
    #[must_use]
    pub fn most_links(self) -> Option<u64> {
        match self {
            Self::Ext => Some(65_000),
            Self::Btrfs | Self::Jfs => Some(65_535),
            Self::Nilfs => Some(32_000),
            Self::Ntfs => Some(1024),
            Self::Fat | Self::ExFat => Some(1),
            Self::Hfs | Self::Xfs | Self::F2fs | Self::Tmpfs | Self::Autofs | Self::Other => None,
        }
    }

    /// Whether names that differ only in case are always equal, whatever the format and mount options.
    #[must_use]
    pub fn folds_case(self) -> bool {
        matches!(self, Self::Fat | Self::ExFat)
    }

    /// The maximum file size; `None` if not known.
    #[must_use]
    pub fn largest_file(self) -> Option<u64> {
        (self == Self::Fat).then_some(u64::from(u32::MAX))
    }
}

#[cfg(target_os = "linux")]
fn ask(file: impl AsFd) -> io::Result<Kind> {
    /// The type and sign of the number depend on the machine.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "32 bits are what it has")]
    fn number(kind: nix::sys::statfs::FsType) -> u32 {
        kind.0 as u32
    }
    Ok(match number(nix::sys::statfs::fstatfs(file)?.filesystem_type()) {
        0xef53 => Kind::Ext,
        0x9123_683e => Kind::Btrfs,
        0x4d44 => Kind::Fat,
        0x2011_bab0 => Kind::ExFat,
        0x7366_746e | 0x5346_544e => Kind::Ntfs,
        0x482b | 0x4244 => Kind::Hfs,
        0x3153_464a => Kind::Jfs,
        0x3434 => Kind::Nilfs,
        0x5846_5342 => Kind::Xfs,
        0xf2f5_2010 => Kind::F2fs,
        0x0102_1994 => Kind::Tmpfs,
        0x0187 => Kind::Autofs,
        _ => Kind::Other,
    })
}

/// Elsewhere it is a name.
#[cfg(not(target_os = "linux"))]
fn ask(file: impl AsFd) -> io::Result<Kind> {
    Ok(match nix::sys::statfs::fstatfs(file)?.filesystem_type_name() {
        "msdos" => Kind::Fat,
        "exfat" => Kind::ExFat,
        "ntfs" => Kind::Ntfs,
        "hfs" => Kind::Hfs,
        "autofs" => Kind::Autofs,
        _ => Kind::Other,
    })
}
