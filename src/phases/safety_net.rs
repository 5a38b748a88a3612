//! The safety net: what a clone deletes or overwrites is moved to a folder at the destination, and kept for a while.
//!
//! rsync's own `--backup-dir` does the moving, by renaming and linking; what it does not keep, the properties of folders
//! and empty folders, is added here.

pub mod folders;
pub mod name;
pub mod stock;

use std::ffi::{OsStr, OsString};
use std::io;

use chrono::Local;
use log::info;

use super::Run;
use super::census::{self, Census};
use super::endpoints::Destination;
use crate::failure::Failure;
use crate::host::folder::Folder;
use crate::host::space::{Space, is_no_room};
use crate::logging::warning;
use crate::shown;
use folders::Folders;
use stock::Stock;

/// The net of one start of rsync.
#[derive(Debug)]
pub struct Net {
    stock: Stock,
    folder: Folder,
    name: OsString,
    path: OsString,
    before: Folders,
}

/// Room is short when less than this part of the destination is free,
const SHORT: u64 = 20;

/// and less than so many bytes: a twentieth of a large disk is plenty,
const MOST_BYTES: u64 = 10 << 30;

/// or than so many inodes.
const MOST_INODES: u64 = 100_000;

/// Removes the nets that are too old, and the oldest while room is short or less than the clone will need by the census;
/// the newest always stays.
pub fn make_ready(run: &Run<'_>, destination: &Destination, census: &Census) -> Result<(), Failure> {
    let Some(days) = run.plan.safety_net else { return Ok(()) };
    run.go_on()?;
    let tidied = || -> io::Result<u64> {
        let stock = Stock::open_or_make(&destination.folder, &run.plan.prefix)?;
        stock.tidy(run)?;
        stock.expire(run, days)?;
        Ok(MOST_BYTES.min(Space::of(&destination.folder)?.total / SHORT))
    };
    let spare = tidied().map_err(|error| unusable(run, &error))?;
    let wanted = spare.max(census::growth(run, &destination.folder, census));
    make_room(run, destination, wanted);
    run.go_on()
}

/// Removes the oldest nets until `wanted` bytes and some of the inodes are free at the destination, and never the
/// newest one; returns how many bytes that has freed. Without `--safety-net` none is removed.
pub fn make_room(run: &Run<'_>, destination: &Destination, wanted: u64) -> u64 {
    if run.plan.safety_net.is_none() {
        return 0;
    }
    let trimmed = || -> io::Result<u64> {
        let before = Space::of(&destination.folder)?.available;
        let Some(stock) = Stock::open(&destination.folder, &run.plan.prefix)? else { return Ok(0) };
        stock.trim(run, &|freed| {
            let space = Space::of(&destination.folder)?;
            // A filesystem may give room back later than it says that a file is gone.
            let inodes = MOST_INODES.min(space.inodes / SHORT);
            Ok(space.available.max(before + freed) >= wanted && space.free_inodes >= inodes)
        })
    };
    trimmed().unwrap_or_else(|error| {
        warning(format_args!("no room could be made in the safety nets: {}.", shown::reason(&error)));
        0
    })
}

/// Makes a net for one start of rsync; `None` when none was asked for.
pub fn cast(run: &Run<'_>, destination: &Destination) -> Result<Option<Net>, Failure> {
    if run.plan.safety_net.is_none() {
        return Ok(None);
    }
    let made = || -> io::Result<Net> {
        let stock = Stock::open_or_make(&destination.folder, &run.plan.prefix)?;
        let (name, folder) = stock.add(Local::now().naive_local())?;
        let mut path = run.plan.prefix.safety_net();
        path.push("/");
        path.push(&name);
        let mut net = Net { stock, folder, name, path, before: Folders::default() };
        net.before = Folders::record(&destination.folder, &run.plan.prefix, &|| run.go_on().is_err())?;
        Ok(net)
    };
    let net = made();
    run.go_on()?;
    net.map(Some).map_err(|error| unusable(run, &error))
}

fn unusable(run: &Run<'_>, error: &io::Error) -> Failure {
    let why = shown::reason(error);
    if is_no_room(error) {
        return Failure::DestinationFull { path: run.plan.destination.clone(), what: why };
    }
    Failure::SafetyNet { path: run.plan.destination.join(run.plan.prefix.safety_net()), why }
}

impl Net {
    /// Its path, relative to the destination.
    #[must_use]
    pub fn path(&self) -> &OsStr {
        &self.path
    }

    /// After rsync: gives the folders in the net the properties that they had, and removes the net if it is empty.
    pub fn settle(self, destination: &Destination) {
        let mended = self.before.mend(&destination.folder, &self.folder);
        if let Some((path, error)) = mended.problem {
            warning(format_args!(
                "{} folders in the safety net are not as they were, the first of them {}: {}.",
                mended.failed,
                shown::path(&path),
                shown::reason(&error)
            ));
        }
        if !self.stock.folder().remove_empty(&self.name).unwrap_or(false) {
            info!(
                "What was deleted or overwritten is in the safety net {}.",
                shown::path(self.folder.path())
            );
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // A net that holds anything stays.
        let _ = self.stock.folder().remove_empty(&self.name);
    }
}
