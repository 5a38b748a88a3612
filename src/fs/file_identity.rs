//! Which file it is, whatever its name.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// Which file or directory of the machine: device and inode number.
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
