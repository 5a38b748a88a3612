//! Finds what is inside the destination but not part of this clone: other clones, other filesystems, mount points.
//!
//! Another clone is a directory with one of our ids that the source does not have there: with `-s / -d /mnt/clone` and
//! `-s /home -d /mnt/clone/home`, the first clone sees an empty `/home` and would delete the second.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use log::info;
use nix::sys::stat::{FileStat, SFlag};
use nix::unistd::geteuid;

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::marker::identity::LARGEST;
use crate::phases::endpoints::Endpoints;
use crate::rsync::filter::rules;
use crate::rsync::filter::rules::Rules;
use crate::run::Run;
use crate::tree::pair::{Entry, Here, kind};
use crate::volume::mounts;

/// The maximum number of other clones: each adds a rule to rsync's arguments.
const MOST_CLONES: usize = 1000;

/// The maximum number of other filesystems named.
const MOST_NAMED: usize = 20;

/// The end of an id's file name, under any prefix.
const ID: &[u8] = b".counterpart.id";

/// What a survey has found, by paths relative to the destination.
#[derive(Debug, Default)]
pub struct Neighbours {
    /// Other clones.
    clones: Vec<PathBuf>,
    /// Subvolumes and, without a view, mounted filesystems: rsync deletes nothing in them.
    filesystems: Vec<PathBuf>,
    /// How many more there are.
    more_filesystems: u64,
}

impl Neighbours {
    /// Adds an entry of the destination if it is the id of another clone, or another filesystem begins there.
    pub fn see(&mut self, here: &Here<'_>, entry: &Entry<'_>) {
        let Some(stat) = entry.stats.destination else { return };
        let is_root = here.path.as_os_str().is_empty();
        if kind(stat) == SFlag::S_IFDIR && Some(stat.st_dev) != here.devices.destination {
            self.see_filesystem(here.path_of(entry.name));
        } else if !is_root
            && entry.name.to_bytes().ends_with(ID)
            && self.clones.len() <= MOST_CLONES
            && is_another_clone(here, entry.name, stat)
        {
            self.clones.push(here.path.to_owned());
        }
    }

    fn see_filesystem(&mut self, path: PathBuf) {
        if self.filesystems.len() < MOST_NAMED {
            self.filesystems.push(path);
        } else {
            self.more_filesystems += 1;
        }
    }

    /// Adds what another thread has found.
    pub fn add(&mut self, other: Self) {
        self.clones.extend(other.clones);
        other.filesystems.into_iter().for_each(|path| self.see_filesystem(path));
        self.more_filesystems += other.more_filesystems;
    }

    /// Whether there are other clones that the rules do not set apart yet.
    #[must_use]
    pub fn has_clones(&self) -> bool {
        !self.clones.is_empty()
    }

    /// Whether other filesystems begin in the destination.
    #[must_use]
    pub fn has_filesystems(&self) -> bool {
        !self.filesystems.is_empty()
    }

    /// Reports what was found, and sets the clones apart by rules.
    pub fn set_apart(mut self, run: &Run<'_>, ends: &Endpoints, rules: &mut Rules) -> Result<(), Failure> {
        if self.clones.len() > MOST_CLONES {
            return Err(Failure::DestinationUnusable {
                path: run.plan.destination.clone(),
                why: format!("it holds more than {MOST_CLONES} other clones").into(),
            });
        }
        self.clones.sort();
        // What is inside another clone is that clone's.
        self.clones.dedup_by(|path, above| path.starts_with(above));
        self.filesystems.sort();
        self.report(run, ends);
        for path in self.clones {
            rules.set_apart(path.as_os_str());
        }
        Ok(())
    }
}

/// Protects mount points that the source does not have, by rules.
pub fn protect_mount_points(run: &Run<'_>, ends: &Endpoints, rules: &mut Rules) -> Result<(), Failure> {
    run.go_on()?;
    let points = mount_points(ends).map_err(|error| Failure::DestinationUnusable {
        path: run.plan.destination.clone(),
        why: error.into(),
    })?;
    for path in points {
        run.warn(format_args!(
            "{} is a mount point that the source does not have: it stays, with what lies below it.",
            shown(ends, &path)
        ));
        rules.ours.push(rules::protect_path(path.as_os_str()));
    }
    Ok(())
}

fn shown(ends: &Endpoints, path: &Path) -> String {
    display::path(&ends.destination.dir.shown().join(path)).to_string()
}

/// Whether an id in a directory of the destination is another clone's: a file of our own user that was not copied from
/// the source. If any user's file counted, its owner could keep anything in the clone forever.
fn is_another_clone(here: &Here<'_>, name: &CStr, stat: &FileStat) -> bool {
    if stat.st_uid != geteuid().as_raw() || stat.st_mode & 0o022 != 0 {
        return false;
    }
    let name = OsStr::from_bytes(name.to_bytes());
    let read = |dir: Option<&OwnedFd>| match dir {
        Some(dir) => Dir::adopt(dir, here.path)?.read(name, LARGEST),
        None => Ok(None),
    };
    match (read(here.dirs.destination), read(here.dirs.source)) {
        // Not a regular file.
        (Ok(None), _) => false,
        (Ok(id), Ok(original)) => id != original,
        // If in doubt, do not delete.
        (Err(_), _) | (_, Err(_)) => true,
    }
}

/// Mount points below the destination where the source has no directory.
fn mount_points(ends: &Endpoints) -> io::Result<Vec<PathBuf>> {
    let destination = &ends.destination.dir;
    let Some(place) = mounts::of(destination)?.filter(|_| destination.is_seen_through_view()) else {
        return Ok(Vec::new());
    };
    let below = place.table.iter().filter_map(|mount| mount.point.strip_prefix(destination.path()).ok());
    let mut points: Vec<PathBuf> = below
        .filter(|point| !point.as_os_str().is_empty() && !has_directory(&ends.source.dir, point))
        .map(Path::to_owned)
        .collect();
    points.sort();
    points.dedup();
    Ok(points)
}

fn has_directory(dir: &Dir, path: &Path) -> bool {
    dir.enter_path(path).is_ok()
}

impl Neighbours {
    fn report(&self, run: &Run<'_>, ends: &Endpoints) {
        for path in &self.clones {
            info!(
                "{} is the root of another clone: it is neither changed nor deleted. If that clone is no longer used, \
                 remove its {}id.",
                shown(ends, path),
                run.plan.prefix.stem()
            );
        }
        for path in &self.filesystems {
            run.warn(format_args!(
                "{} is a filesystem or a subvolume of its own: rsync deletes nothing in it, so it may hold more than \
                 the source does.",
                shown(ends, path)
            ));
        }
        if let more @ 1.. = self.more_filesystems {
            run.warn(format_args!(
                "{more} more directories of the destination are filesystems of their own."
            ));
        }
    }
}

/// Warns of filesystem boundaries in the source: a clone does not cross them, and keeps what the destination has there.
pub fn warn_of_boundaries(run: &Run<'_>, ends: &Endpoints, boundaries: &[PathBuf], more: u64) {
    let has_view = ends.source.dir.is_seen_through_view();
    let (named, rest) = boundaries.split_at(boundaries.len().min(MOST_NAMED));
    for path in named {
        let shown = display::path(&ends.source.dir.path().join(path)).to_string();
        let held = ends.destination.dir.enter_path(path).and_then(|dir| dir.names());
        let stays = held.is_ok_and(|names| !names.is_empty());
        if has_view {
            run.warn(format_args!(
                "{shown} is another filesystem (a subvolume) and is not cloned. Clone it in a separate run if it \
                 matters."
            ));
        }
        // Without a view it may be a mount point, which is reported from the mount table.
        if stays {
            run.warn(format_args!("What the destination holds in place of {shown} stays as it is."));
        }
    }
    let more = more + rest.len() as u64;
    if more > 0 {
        run.warn(format_args!("{more} more filesystems or subvolumes below the source are not cloned."));
    }
}
