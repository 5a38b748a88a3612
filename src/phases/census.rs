//! The census: what the source holds, counted before anything is written, and what speaks against a clone of it.
//!
//! It looks at every entry once and reads no file, so it costs a small part of the run of rsync that follows. By
//! `benches/census.sh` with 150,759 entries on ext4, on two cores: 0.12 to 0.13 of the processor time, and at most 0.12 of
//! the time, of a run of rsync 3.5.0 in which nothing has changed and everything is in memory. With cold caches it is
//! more, 0.27 to 0.29 of the processor time, but then rsync finds in memory what the census has read: both together
//! take 1.06 of rsync's processor time alone.

mod linked_names;
pub mod locked;
mod needs;
mod room;
mod shrunken;
mod tally;
pub mod walk;

use std::path::PathBuf;

use indicatif::HumanBytes;
use log::info;

use crate::display;
use crate::failure::Failure;
use crate::logging::warning;
use crate::phases::capacity;
use crate::phases::endpoints::Endpoints;
use crate::phases::exclusions::neighbours;
use crate::record::Totals;
use crate::rsync::filter::matcher::LeftOut;
use crate::rsync::filter::rules::Rules;
use crate::run::Run;

pub use linked_names::LinkedNames;
pub use needs::{Needs, names_of};
pub use room::{growth, warn_of_short_disks};
pub use tally::count;

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
    /// Inodes: files, folders, links and whatever else has names.
    pub inodes: u64,
    /// Those of them that have several names, folders apart.
    pub hard_linked: u64,
    /// Folders that could not be read and entries that could not be looked at. What is in them is not counted.
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

/// Surveys the source, and refuses a clone that would empty the destination or that cannot fit there.
///
/// The rules get what keeps the copy of directories that cannot be read. In a test run, which writes nothing, a refusal is a
/// warning.
pub fn judge(run: &Run<'_>, ends: &Endpoints, rules: &mut Rules) -> Result<Survey, Failure> {
    run.go_on()?;
    let unreadable = |why: String| Failure::SourceUnreadable { path: run.plan.source.clone(), why };
    let folder = &ends.source.folder;
    let left_out = left_out(run, ends, rules);
    let attributes = capacity::wants_attributes(ends);
    let mut survey = tally::survey(folder, &left_out, run.interrupts, attributes)
        .map_err(|error| unreadable(display::reason(&error)))?;
    run.go_on()?;
    if survey.locked.iter().any(|path| path.as_os_str().is_empty()) {
        return Err(unreadable("it is encrypted and the key is not there".to_owned()));
    }
    survey.census.log(left_out.is_exact());
    neighbours::warn_of_boundaries(run, ends, &survey.boundaries, survey.more_boundaries);
    run.note(|journal| journal.census = Some(survey.census.totals()));
    locked::keep_copies(run, rules, survey.locked.clone());
    survey.before = refuse(run, shrunken::before(run, &ends.destination))?;
    refuse(run, shrunken::judge(run, survey.before, &survey.census))?;
    refuse(run, room::judge(run, ends, &survey.census, left_out.is_exact()))?;
    room::warn_of_short_disks(run);
    Ok(survey)
}

/// What a clone of the source leaves out.
#[must_use]
pub fn left_out(run: &Run<'_>, ends: &Endpoints, rules: &Rules) -> LeftOut {
    let destination = &ends.source.holds_destination;
    let destination = destination.as_ref().map(|(relative, contents)| (relative.as_os_str(), *contents));
    LeftOut::of(rules, &run.plan.prefix, destination)
}

fn refuse<T: Default>(run: &Run<'_>, judged: Result<T, Failure>) -> Result<T, Failure> {
    match judged {
        Err(
            refusal @ (Failure::Shrunken { .. } | Failure::ShrinkUnknown { .. } | Failure::NoRoom { .. }),
        ) if run.mode.only_warns() => {
            let code = refusal.exit_code().number();
            warning(format_args!("a real run would be refused with code {code}. {refusal}"));
            Ok(T::default())
        }
        judged => judged,
    }
}

impl Census {
    /// What the next clone compares its source with.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals { entries: self.entries, bytes: Some(self.content) }
    }

    fn log(&self, is_exact: bool) {
        info!(
            "The source holds {}{} entries: {} inodes, {} of them with several names, {} in use.",
            if is_exact { "" } else { "at most " },
            self.entries,
            self.inodes,
            self.hard_linked,
            HumanBytes(self.bytes)
        );
        if self.is_estimate {
            info!("More files with several names than can be remembered: inodes and bytes are estimated.");
        }
        if self.unreadable > 0 {
            warning(format_args!(
                "{} folders or files of the source cannot be looked at and are not counted.",
                self.unreadable
            ));
        }
    }
}
