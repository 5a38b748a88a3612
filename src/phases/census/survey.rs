//! What is found out about a source before it is cloned.

use crate::logging::warning;
use crate::phases::census::linked_names::LinkedNames;
use crate::phases::census::needs::Needs;
use crate::record::Totals;
use indicatif::HumanBytes;
use log::info;
use std::path::PathBuf;

/// What a tree on one filesystem holds. What has several names is counted once, but for its entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Names, that of the top among them: what rsync calls the number of files.
    pub entries: u64,
    /// Bytes in use: of blocks, so holes do not count, and what a filesystem has rounded up does.
    pub bytes: u64,
    /// Bytes of the contents of regular files: those in use, and not more than the file's size.
    ///
    /// A copy on whatever filesystem hardly needs fewer, unless it is compressed there.
    pub content: u64,
    /// Inodes: files, directories, links and whatever else has names.
    pub inodes: u64,
    /// Those of them that have several names, directories apart.
    pub hard_linked: u64,
    /// Directories that could not be read and entries that could not be looked at. What is in them is not counted.
    pub unreadable: u64,
    /// There were too many inodes with several names to remember each: inodes and bytes are not exact.
    pub is_estimate: bool,
}

/// All that is found out about a source before it is cloned.
#[derive(Debug)]
pub struct Survey {
    /// What it holds.
    pub census: Census,
    /// What it asks of the destination.
    pub needs: Needs,
    /// Directories that are encrypted and whose key is not there, by their paths below the source.
    pub locked: Vec<PathBuf>,
    /// Directories at which another filesystem begins, such as a subvolume: they are counted, what is in them is not.
    pub boundaries: Vec<PathBuf>,
    /// How many more of those there are.
    pub more_boundaries: u64,
    /// Which of its names are one of several.
    pub linked: LinkedNames,
    /// What it held at the last complete clone to this destination, where that is known.
    pub before: Option<Totals>,
}

impl Census {
    /// What the next clone compares its source with.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals { entries: self.entries, bytes: Some(self.content) }
    }

    /// Says it in the log.
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
                "{} directories or files of the source cannot be looked at and are not counted.",
                self.unreadable
            ));
        }
    }
}
