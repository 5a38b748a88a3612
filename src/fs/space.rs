//! How much space a filesystem has.

use std::io;
use std::os::fd::AsFd;

/// The space on a directory's filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Its size in bytes; 0 if the filesystem has no fixed size, such as one in memory without a limit.
    pub total: u64,
    /// Unused bytes, including those reserved for root.
    pub free: u64,
    /// Bytes that any user may write.
    pub available: u64,
    /// The number of inodes; 0 if the filesystem creates them on demand and does not count them.
    pub inodes: u64,
    /// The number of free inodes.
    pub free_inodes: u64,
}

impl Space {
    /// Queries the filesystem that an open directory is on.
    pub fn of(dir: impl AsFd) -> io::Result<Self> {
        ask(dir)
    }

    /// Bytes that are in use or unusable.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.total.saturating_sub(self.free)
    }

    /// Bytes that this user may still write.
    #[must_use]
    pub fn free_for(&self, is_root: bool) -> u64 {
        if is_root { self.free } else { self.available }
    }
}

#[cfg(target_os = "linux")]
fn ask(dir: impl AsFd) -> io::Result<Space> {
    let found = nix::sys::statvfs::fstatvfs(dir)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.fragment_size());
    Ok(Space {
        total: bytes(found.blocks()),
        free: bytes(found.blocks_free()),
        available: bytes(found.blocks_available()),
        inodes: found.files(),
        free_inodes: found.files_free(),
    })
}

/// On Apple's systems `statvfs` counts blocks in 32 bits: too few for a disk of 16 TiB.
#[cfg(not(target_os = "linux"))]
fn ask(dir: impl AsFd) -> io::Result<Space> {
    let found = nix::sys::statfs::fstatfs(dir)?;
    let bytes = |blocks: u64| blocks.saturating_mul(u64::from(found.block_size()));
    Ok(Space {
        total: bytes(found.blocks()),
        free: bytes(found.blocks_free()),
        available: bytes(found.blocks_available()),
        inodes: found.files(),
        free_inodes: found.files_free(),
    })
}
