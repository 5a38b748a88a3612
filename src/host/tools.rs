//! The table of the system's tools: everything that only a Mac has is reached through it.

use std::path::PathBuf;

/// The absolute path of each tool.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Tells the version of macOS.
    pub sw_vers: PathBuf,
    /// Tells whether a volume ignores ownership; gone from later macOS.
    pub vsdbutil: PathBuf,
    /// Tells everything about a volume.
    pub diskutil: PathBuf,
}

impl Tools {
    /// Where macOS keeps them.
    #[must_use]
    pub fn native() -> Self {
        Self {
            sw_vers: "/usr/bin/sw_vers".into(),
            vsdbutil: "/usr/sbin/vsdbutil".into(),
            diskutil: "/usr/sbin/diskutil".into(),
        }
    }
}
