//! The result of a survey.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::stat::FileStat;

use crate::logging::Screen;
use crate::phases::exclusions::neighbours::Neighbours;
use crate::phases::hard_links::Links;
use crate::phases::survey::census::Census;
use crate::phases::survey::differences::Differences;
use crate::phases::survey::in_place::InPlace;
use crate::phases::survey::linked_names::LinkedNames;
use crate::phases::survey::list::List;
use crate::phases::survey::needs::Needs;
use crate::phases::transfer::meter::Meter;
use crate::record::Totals;
use crate::run::Run;

/// Everything found out about both ends before the first write.
#[derive(Debug)]
pub struct Survey {
    /// What the source holds.
    pub census: Census,
    /// What the destination holds, but for what is not part of the clone.
    pub clone: Census,
    /// What a clone would change.
    pub differences: Differences,
    /// What the source needs from the destination.
    pub needs: Needs,
    /// Encrypted directories whose key is not loaded, by their paths relative to the source.
    pub locked: Vec<PathBuf>,
    /// Directories where another filesystem begins, such as a subvolume: they are counted, their contents are not.
    pub boundaries: Vec<PathBuf>,
    /// How many more boundaries there are.
    pub more_boundaries: u64,
    /// The names of hard-linked files.
    pub linked: LinkedNames,
    /// The hard links of both ends.
    pub links: Links,
    /// Files that may be written in place, if that was asked for.
    pub in_place: InPlace,
    /// What is inside the destination but not part of the clone.
    pub neighbours: Neighbours,
    /// What rsync has to look at, if the survey knew the last clone.
    pub list: List,
    /// The hashes of what was proved equal and is not in the index.
    pub keys: Vec<u64>,
    /// The source changed meanwhile, so that a name may have been missed; only known where the last clone is.
    pub moves: bool,
    /// The metadata of both roots.
    pub root: Option<(FileStat, FileStat)>,
    /// How long it took.
    pub took: Duration,
    /// Everything at the destination that may be part of the clone was seen.
    pub knows_clone: bool,
    /// Neither side has an attribute or an access control list; only known before a full pass that is followed by another
    /// survey.
    pub is_plain: bool,
    /// Every exclusion was applied.
    pub is_exact: bool,
    /// What the source held at the last complete clone to this destination, if known.
    pub before: Option<Totals>,
}

impl Survey {
    /// Counts what is copied of what has to be written.
    #[must_use]
    pub fn meter(&self, run: &Run<'_>) -> Meter {
        Meter::new(Some(run.screen()).filter(Screen::draws), self.differences.written())
    }
}
