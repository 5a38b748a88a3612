//! The safety net: what a clone deletes or overwrites is moved to a directory at the destination and kept for a while.
//!
//! rsync's own `--backup-dir` moves the files, by renaming and linking; what it does not preserve, directory properties
//! and empty directories, is added here.

mod ages;
pub mod changes;
mod cursor;
mod dirs;
mod leftovers;
pub mod name;
pub mod size;
mod spool;
pub mod stock;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use chrono::Utc;
use indicatif::HumanBytes;
use log::info;
use nix::sys::stat::SFlag;

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::fs::is_no_room;
use crate::fs::space::Space;
use crate::logging::warning;
use crate::marker::Marker;
use crate::phases::endpoints::{Destination, Endpoints};
use crate::phases::survey;
use crate::phases::survey::census::Census;
use crate::phases::survey::found::Survey;
use crate::run::Run;
use dirs::Dirs;
use name::NetName;
use stock::Stock;

/// The safety net for one start of rsync.
#[derive(Debug)]
pub struct Net {
    stock: Stock,
    dir: Dir,
    name: NetName,
    path: OsString,
    before: Dirs,
}

/// The state of this run's safety nets.
#[derive(Debug)]
pub struct Nets {
    census: Census,
    /// The destination was complete when the run began: then nets created by this run are kept.
    was_complete: bool,
    /// rsync was started in this run, so it may have left temporary files.
    has_started: bool,
    /// The nets created by this run.
    made: Vec<NetName>,
    giving: Giving,
}

/// How many nets were sacrificed for the clone in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Giving {
    Nothing,
    /// As many as seemed necessary.
    Some,
    /// All, and no new one is created.
    All,
}

/// Space is short if less than one in this many parts of the destination is free,
const SHORT: u64 = 20;

/// and less than this many bytes: a twentieth of a large disk is plenty,
const MOST_BYTES: u64 = 10 << 30;

/// or less than this many inodes.
const MOST_INODES: u64 = 100_000;

/// The maximum number of nets named in a message.
const NAMED: usize = 3;

/// Removes nets that are too old, and then the oldest while space is short or less than the survey says the clone
/// needs; the newest stays. Without `--safety-net`, only the clone's need counts.
pub fn make_ready(run: &Run<'_>, destination: &Destination, found: &Survey) -> Result<Nets, Failure> {
    run.go_on()?;
    let marker = run.plan.prefix.marker(Marker::Completed);
    // If in doubt, keep more.
    let was_complete = destination.dir.kind(&marker).map_or(true, |kind| kind == Some(SFlag::S_IFREG));
    let nets = Nets {
        census: found.census,
        was_complete,
        has_started: false,
        made: Vec::new(),
        giving: Giving::Nothing,
    };
    let growth = survey::growth(run, &destination.dir, &found.census, Some(&found.clone));
    let wanted = match run.plan.safety_net {
        Some(days) => growth.max(tidied(run, destination, days).map_err(|error| unusable(run, error))?),
        None => growth,
    };
    if wanted > 0
        && let Err(error) = make_room(run, destination, wanted)
    {
        warning(format_args!("no space could be freed in the safety nets: {}.", display::reason(&error)));
    }
    run.go_on()?;
    Ok(nets)
}

/// Removes leftovers and expired nets; returns how many bytes should be kept free.
fn tidied(run: &Run<'_>, destination: &Destination, days: u32) -> io::Result<u64> {
    let stock = Stock::open_or_make(&destination.dir, &run.plan.prefix)?;
    stock.tidy(run)?;
    stock.expire(run, days)?;
    spare(destination)
}

fn spare(destination: &Destination) -> io::Result<u64> {
    Ok(MOST_BYTES.min(Space::of(&destination.dir)?.total / SHORT))
}

/// Removes the oldest nets, but never the newest, until `wanted` bytes are free at the destination, and enough inodes
/// for another net.
fn make_room(run: &Run<'_>, destination: &Destination, wanted: u64) -> io::Result<()> {
    let before = Space::of(&destination.dir)?.available;
    let Some(stock) = Stock::open(&destination.dir, &run.plan.prefix)? else { return Ok(()) };
    let any_inodes = run.plan.safety_net.is_none();
    stock.trim(run, &|freed| {
        Ok(has_bytes(destination, before + freed, wanted)? && (any_inodes || has_inodes(destination)?))
    })
}

/// Whether `wanted` bytes are free, given that `surely` bytes are: a filesystem may take a while to report the space of
/// a deleted file as free.
fn has_bytes(destination: &Destination, surely: u64, wanted: u64) -> io::Result<bool> {
    Ok(Space::of(&destination.dir)?.available.max(surely) >= wanted)
}

fn has_inodes(destination: &Destination) -> io::Result<bool> {
    let space = Space::of(&destination.dir)?;
    Ok(space.free_inodes >= MOST_INODES.min(space.inodes / SHORT))
}

/// Sacrifices nets after the clone has filled the disk, oldest first; returns whether another attempt may help.
///
/// First removes as many as seem necessary, the second time all. Nets of this run with files from a complete clone are
/// kept: the next run finds the clone incomplete and may remove them too.
pub fn give_up(run: &Run<'_>, destination: &Destination, nets: &mut Nets) -> bool {
    if run.go_on().is_err() || nets.giving == Giving::All {
        return false;
    }
    let all = nets.giving == Giving::Some;
    let given = || -> io::Result<usize> {
        let Some(stock) = Stock::open(&destination.dir, &run.plan.prefix)? else { return Ok(0) };
        let wanted = spare(destination)?.max(survey::growth(run, &destination.dir, &nets.census, None));
        let before = Space::of(&destination.dir)?.available;
        let is_spared = |name: NetName| nets.was_complete && nets.made.contains(&name);
        stock.give_up(run, &is_spared, &|freed| {
            let has_bytes = has_bytes(destination, before + freed, wanted)?;
            Ok(!all && has_bytes && has_inodes(destination)?)
        })
    };
    let given = given().unwrap_or_else(|error| {
        warning(format_args!("no space could be freed in the safety nets: {}.", display::reason(&error)));
        0
    });
    nets.giving = if all { Giving::All } else { Giving::Some };
    given > 0 && run.go_on().is_ok()
}

/// Adds the remaining nets and how much they hold to a failure for lack of space.
#[must_use]
pub fn named_in(run: &Run<'_>, destination: &Destination, failure: Failure) -> Failure {
    let Failure::DestinationFull { path, what } = failure else { return failure };
    let held = held(run, destination).ok().flatten();
    Failure::DestinationFull { path, what: what + &held.unwrap_or_default() }
}

/// Describes what the nets hold.
fn held(run: &Run<'_>, destination: &Destination) -> io::Result<Option<String>> {
    let Some(stock) = Stock::open(&destination.dir, &run.plan.prefix)? else { return Ok(None) };
    let names = stock.names()?;
    if names.is_empty() {
        return Ok(None);
    }
    let mut bytes = 0;
    for name in &names {
        let net = stock.dir().enter(&name.to_os_string())?;
        bytes += size::measure(&net, &|| run.go_on().is_err())?.bytes;
    }
    let first = names.iter().take(NAMED).map(NetName::to_string).collect::<Vec<_>>().join(", ");
    let more = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let nets = if names.len() == 1 { "net" } else { "nets" };
    Ok(Some(format!(
        "; the safety {nets} {first}{more} there hold {}, which the next run removes if the clone needs the space",
        HumanBytes(bytes)
    )))
}

/// Creates a net for one start of rsync; `None` if not requested, or if the clone has no room for one.
pub fn create(run: &Run<'_>, ends: &Endpoints, nets: &mut Nets) -> Result<Option<Net>, Failure> {
    let may_find_leftovers = nets.has_started || !nets.was_complete;
    nets.has_started = true;
    if run.plan.safety_net.is_none() {
        return Ok(None);
    }
    if may_find_leftovers {
        remove_leftovers(run, ends);
    }
    if nets.giving == Giving::All && !nets.was_complete {
        run.warn("the destination has no room for a safety net: what this clone deletes or overwrites is not kept.");
        return Ok(None);
    }
    let destination = &ends.destination;
    let made = || -> io::Result<Net> {
        let stock = Stock::open_or_make(&destination.dir, &run.plan.prefix)?;
        let (name, dir) = stock.add(Utc::now())?;
        let mut path = run.plan.prefix.safety_net();
        path.push("/");
        path.push(name.to_os_string());
        let mut net = Net { stock, dir, name, path, before: Dirs::default() };
        let stops = || run.go_on().is_err();
        net.before = Dirs::record(&destination.dir, net.stock.dir(), &run.plan.prefix, &stops)?;
        Ok(net)
    };
    let net = made();
    run.go_on()?;
    let net = net.map_err(|error| unusable(run, error))?;
    nets.made.push(net.name);
    Ok(Some(net))
}

/// Removes temporary files that a killed rsync left at the destination. A new rsync does not know about them.
fn remove_leftovers(run: &Run<'_>, ends: &Endpoints) {
    let (source, destination) = (&ends.source.dir, &ends.destination.dir);
    let removed = leftovers::remove(source, destination, &run.plan.prefix, &|| run.go_on().is_err());
    match removed {
        Ok(0) | Err(_) => {}
        Ok(removed) => {
            info!("Removed {removed} temporary files left at the destination by an earlier rsync.");
        }
    }
}

fn unusable(run: &Run<'_>, error: io::Error) -> Failure {
    if is_no_room(&error) {
        let what = display::reason(&error);
        return Failure::DestinationFull { path: run.plan.destination.clone(), what };
    }
    Failure::SafetyNet { path: run.plan.destination.join(run.plan.prefix.safety_net()), why: error.into() }
}

impl Net {
    /// Its path, relative to the destination.
    #[must_use]
    pub fn path(&self) -> &OsStr {
        &self.path
    }

    /// Restores the properties of the directories in the net after rsync, and removes the net if it is empty.
    ///
    /// `list` is where the run lists its changes, if it has made any.
    pub fn settle(self, destination: &Destination, list: Option<&Path>) {
        let repaired = self.before.repair(&destination.dir, &self.dir);
        if let Some((path, error)) = repaired.problem {
            warning(format_args!(
                "{} directories in the safety net did not get their properties back, the first of them {}: {}.",
                repaired.failed,
                display::path(&path),
                display::reason(&error)
            ));
        }
        if !self.stock.dir().remove_empty(&self.name.to_os_string()).unwrap_or(false) {
            if let Some(list) = list {
                changes::note(&self.dir, list);
            }
            info!(
                "What was deleted or overwritten is in the safety net {}.",
                display::path(self.dir.shown())
            );
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // Only an empty net is removed.
        let _ = self.stock.dir().remove_empty(&self.name.to_os_string());
    }
}
