//! What kind of filesystem an open file lies on, as the kernel numbers them.

use std::io;
use std::os::fd::AsFd;

/// A kind of filesystem whose limits are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ext2, ext3 and ext4, which have one number.
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
    /// That of the kernel's automounter, which holds mount points alone.
    Autofs,
    /// Any other.
    Other,
}

impl Kind {
    /// Asks the kernel.
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        ask(file)
    }

    /// Whether what it shows depends on what is mounted just now.
    #[must_use]
    pub fn is_automounter(self) -> bool {
        self == Self::Autofs
    }

    /// Whether all attributes of a file have to fit into about one block, as a rule.
    #[must_use]
    pub fn is_short_of_attributes(self) -> bool {
        matches!(self, Self::Ext | Self::Jfs | Self::Nilfs)
    }

    /// How many names a file may have; `None` where there are as many as anybody could want, or that is not known.
    #[must_use]
    pub fn most_links(self) -> Option<u64> {
        match self {
            Self::Ext => Some(65_000),
            Self::Btrfs | Self::Jfs => Some(65_535),
            Self::Nilfs => Some(32_000),
            Self::Ntfs => Some(1024),
            Self::Fat | Self::ExFat => Some(1),
            Self::Hfs | Self::Autofs | Self::Other => None,
        }
    }

    /// Whether two names that differ in case are one name there, whatever it was made or mounted with.
    #[must_use]
    pub fn folds_case(self) -> bool {
        matches!(self, Self::Fat | Self::ExFat)
    }

    /// The size that a file may have at most; `None` where that is not known.
    #[must_use]
    pub fn largest_file(self) -> Option<u64> {
        (self == Self::Fat).then_some(u64::from(u32::MAX))
    }
}

#[cfg(target_os = "linux")]
fn ask(file: impl AsFd) -> io::Result<Kind> {
    /// The type of the number, and its sign, depend on the machine.
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
        0x0187 => Kind::Autofs,
        _ => Kind::Other,
    })
}

/// There it is a name.
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
