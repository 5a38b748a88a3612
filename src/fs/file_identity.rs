//! Identifies a file, whatever its name.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// The identity of a file or directory on this machine: device and inode number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    /// The filesystem's device number.
    pub device: u64,
    /// The inode number.
    pub inode: u64,
}

impl From<&Metadata> for FileIdentity {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}
