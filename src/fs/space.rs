//! How much room a filesystem has.

use std::io;
use std::os::fd::AsFd;

/// The room on the filesystem of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Its size in bytes; 0 where the filesystem has none of its own, as one in memory without a limit.
    pub total: u64,
    /// Bytes that nothing is stored in, what is reserved for root among them.
    pub free: u64,
    /// Bytes that are free for everybody.
    pub available: u64,
    /// How many inodes there are; 0 where the filesystem makes them as it needs them and does not count.
    pub inodes: u64,
    /// How many inodes are free.
    pub free_inodes: u64,
}

impl Space {
    /// Asks the filesystem that an open directory lies on.
    pub fn of(dir: impl AsFd) -> io::Result<Self> {
        ask(dir)
    }

    /// Bytes that are in use, or not to be used.
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

/// `statvfs` has 32 bits for a number of blocks on Apple's systems: too few for a disk of 16 TiB.
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
