//! The first clone to a disk: whatever it would delete or overwrite there needs the user's consent.

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

/// How many of the files that would be lost are listed.
const EXAMPLES: usize = 5;

/// Refuses a destination that is not known to be ours if the clone would lose anything there.
pub fn check(run: &Run<'_>, rsync: &Rsync, ends: &Endpoints, rules: &Rules) -> Result<(), Failure> {
    // A test run lists all losses itself and changes nothing.
    if !run.mode.writes() || !needs_leave(run, &ends.destination)? {
        return Ok(());
    }
    refuse_losses(run, rsync, ends, rules)
}

/// Refuses the clone if a dry run shows that it would delete or overwrite anything at the destination.
pub fn refuse_losses(run: &Run<'_>, rsync: &Rsync, ends: &Endpoints, rules: &Rules) -> Result<(), Failure> {
    let _phase = run.phase("adoption");
    let mut losses = Losses::default();
    dry_run::list(run, rsync, ends, rules, &mut |item| losses.see(&item, &ends.destination.dir))?;
    losses.refusal(&run.plan.destination).map_or(Ok(()), Err)
}

/// What the destination is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It holds nothing that could be lost.
    Empty,
    /// It has one of our markers.
    Clone,
    /// It holds something and has no marker.
    Stranger,
}

/// Whether the destination holds anything, has none of our markers, and `--adopt` was not given.
pub fn needs_leave(run: &Run<'_>, destination: &Destination) -> Result<bool, Failure> {
    Ok(standing(run, destination)? == Standing::Stranger && !run.plan.adopt)
}

/// Checks whether the destination holds anything and has one of our markers.
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

/// Whether there is nothing to lose; saves a dry run over the whole source.
fn holds_nothing(run: &Run<'_>, destination: &Destination) -> io::Result<bool> {
    for name in destination.dir.names()? {
        // The filesystem's own directories do not count, but their contents may.
        let is_empty = is_filesystems_own(run.host.platform, &name)
            && destination.dir.enter(&name).and_then(|own| own.names()).is_ok_and(|names| names.is_empty());
        if !is_empty {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a clone would delete or overwrite at the destination.
#[derive(Debug, Default)]
pub struct Losses {
    files: u64,
    dirs: u64,
    examples: Vec<String>,
}

impl Losses {
    /// Counts an item of a dry run if the clone would lose anything at the destination by it.
    ///
    /// Measured with rsync 3.5.0: a file replaced by a link, a FIFO or a directory is listed only as the creation of
    /// that, never as a deletion, so the destination's entry has to be checked.
    pub fn see(&mut self, item: &Item<'_>, destination: &Dir) {
        // A directory is created as `name/`, and a path with a trailing slash never resolves to a file.
        let name = match item.change {
            Change::Create => item.name.strip_suffix(b"/").unwrap_or(item.name),
            Change::Delete | Change::Replace | Change::Attributes => item.name,
        };
        let name = PathBuf::from(OsString::from_vec(display::unescape(name)));
        let is_lost = match item.change {
            // What an earlier failure left under the original's prefix is ours, so it is no loss.
            Change::Delete => !Prefix::default().owns(name.as_os_str()),
            Change::Replace => true,
            Change::Attributes => false,
            Change::Create => match destination.kind(name.as_os_str()) {
                Ok(Some(there)) => !(there == SFlag::S_IFDIR && item.is_dir()),
                // Something above it is not a directory; that is counted separately.
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

    /// Returns the refusal if there was anything to lose.
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
