//! The first clone to a disk: what it would delete or overwrite there must be allowed.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use nix::sys::stat::SFlag;

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::marker::{Marker, Prefix};
use crate::phases::endpoints::{Destination, Endpoints, is_filesystems_own};
use crate::phases::preflight::Rsync;
use crate::phases::transfer::dry_run;
use crate::rsync::filter::rules::Rules;
use crate::rsync::itemized::{Change, Item};
use crate::run::Run;

/// How many of the lost names are shown.
const EXAMPLES: usize = 5;

/// Refuses a destination that is not known as ours and would lose something.
pub fn check(run: &Run<'_>, rsync: &Rsync, ends: &Endpoints, rules: &Rules) -> Result<(), Failure> {
    // A test run shows all of that itself, and changes nothing.
    if !run.mode.writes() || !needs_leave(run, &ends.destination)? {
        return Ok(());
    }
    refuse_losses(run, rsync, ends, rules)
}

/// Refuses if a clone would take anything away from the destination, which a dry run shows.
pub fn refuse_losses(run: &Run<'_>, rsync: &Rsync, ends: &Endpoints, rules: &Rules) -> Result<(), Failure> {
    let _phase = run.phase("adoption");
    let mut losses = Losses::default();
    dry_run::list(run, rsync, ends, rules, &mut |item| losses.see(&item, &ends.destination.dir))?;
    losses.refusal(&run.plan.destination).map_or(Ok(()), Err)
}

/// What a destination is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It holds nothing that could be lost.
    Empty,
    /// It has a marker of ours.
    Clone,
    /// It holds something and has no marker.
    Stranger,
}

/// Whether the destination holds anything, has none of our markers, and `--adopt` was not given.
pub fn needs_leave(run: &Run<'_>, destination: &Destination) -> Result<bool, Failure> {
    Ok(standing(run, destination)? == Standing::Stranger && !run.plan.adopt)
}

/// Looks whether the destination holds anything and bears one of our markers.
pub fn standing(run: &Run<'_>, destination: &Destination) -> Result<Standing, Failure> {
    run.go_on()?;
    let unusable = |error: io::Error| Failure::DestinationUnusable {
        path: run.plan.destination.clone(),
        why: error.into(),
    };
    if holds_nothing(run, destination).map_err(unusable)? {
        return Ok(Standing::Empty);
    }
    for prefix in [&run.plan.prefix, &Prefix::default()] {
        for marker in Marker::OWNING {
            if destination.dir.kind(&prefix.marker(marker)).map_err(unusable)? == Some(SFlag::S_IFREG) {
                return Ok(Standing::Clone);
            }
        }
    }
    Ok(Standing::Stranger)
}

/// Whether there is nothing to lose: a list of the whole source would only take its time.
fn holds_nothing(run: &Run<'_>, destination: &Destination) -> io::Result<bool> {
    for name in destination.dir.names()? {
        // A filesystem's own directory is no loss itself, but what it holds can be.
        let is_empty = is_filesystems_own(run.host.platform, &name)
            && destination.dir.enter(&name).and_then(|own| own.names()).is_ok_and(|names| names.is_empty());
        if !is_empty {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a clone would take away from the destination.
#[derive(Debug, Default)]
pub struct Losses {
    files: u64,
    dirs: u64,
    examples: Vec<String>,
}

impl Losses {
    /// Counts an item of a dry run, if anything at the destination would be lost by it.
    ///
    /// Measured with rsync 3.5.0: a file that gives way to a link, a FIFO or a directory is listed as that thing's
    /// creation and never as a deletion, so what stands at the name has to be looked at.
    pub fn see(&mut self, item: &Item<'_>, destination: &Dir) {
        // A directory is created as `name/`, and a path with a slash at its end never leads to a file.
        let name = match item.change {
            Change::Create => item.name.strip_suffix(b"/").unwrap_or(item.name),
            Change::Delete | Change::Replace | Change::Attributes => item.name,
        };
        let name = PathBuf::from(OsString::from_vec(display::unescape(name)));
        let is_lost = match item.change {
            // What an earlier failure left under the original's prefix is ours, and no loss.
            Change::Delete => !Prefix::default().owns(name.as_os_str()),
            Change::Replace => true,
            Change::Attributes => false,
            Change::Create => match destination.kind(name.as_os_str()) {
                Ok(Some(there)) => !(there == SFlag::S_IFDIR && item.is_dir()),
                // What is above it is no directory, and is counted by itself.
                Ok(None) | Err(_) => false,
            },
        };
        if !is_lost {
            return;
        }
        if item.is_dir() && item.change == Change::Delete {
            self.dirs += 1;
        } else {
            self.files += 1;
        }
        if self.examples.len() < EXAMPLES {
            self.examples.push(display::path(&name).to_string());
        }
    }

    /// The refusal, if there was anything to lose.
    #[must_use]
    pub fn refusal(&self, destination: &Path) -> Option<Failure> {
        (self.files + self.dirs > 0).then(|| Failure::WouldDelete {
            path: destination.to_owned(),
            files: self.files,
            dirs: self.dirs,
            examples: self.examples.join(", "),
        })
    }
}
