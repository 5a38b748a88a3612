//! What a tree holds.

use indicatif::HumanBytes;
use log::info;

use crate::logging::warning;
use crate::record::{Kinds, Totals};

/// What a tree on one filesystem holds. Hard-linked files are counted once, except in `entries`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Names, including the root: what rsync calls the number of files.
    pub entries: u64,
    /// Those by type.
    pub kinds: Kinds,
    /// The sizes of all files and symbolic links, counting each hard link: what rsync calls the total file size.
    pub size: u64,
    /// Bytes of allocated blocks: holes do not count, rounding up by the filesystem does.
    pub bytes: u64,
    /// Bytes of regular files' contents: the allocated ones, but no more than the file's size.
    ///
    /// A copy on any filesystem needs about as many, unless it is compressed.
    pub content: u64,
    /// Inodes: files, directories, links and anything else that has a name.
    pub inodes: u64,
    /// Inodes with more than one hard link, except directories.
    pub hard_linked: u64,
    /// Directories that could not be read and entries that could not be examined. Their contents are not counted.
    pub unreadable: u64,
    /// There were too many hard-linked inodes to remember each: inodes and bytes are estimates.
    pub is_estimate: bool,
}

impl Census {
    /// The totals that the next clone compares its source with.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals { entries: self.entries, bytes: Some(self.content) }
    }

    /// Logs the totals.
    pub fn log(&self, is_exact: bool) {
        info!(
            "The source holds {}{} entries: {} inodes, {} hard-linked, {} in use.",
            if is_exact { "" } else { "at most " },
            self.entries,
            self.inodes,
            self.hard_linked,
            HumanBytes(self.bytes)
        );
        if self.is_estimate {
            info!("More hard-linked files than can be tracked: inodes and bytes are estimated.");
        }
        if self.unreadable > 0 {
            warning(format_args!(
                "{} directories or files of the source cannot be examined and are not counted.",
                self.unreadable
            ));
        }
    }
}
