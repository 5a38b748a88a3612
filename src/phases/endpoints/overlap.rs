//! Checks whether source and destination lie inside each other, whatever paths lead there.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::fs::dir::{Dir, FileIdentity};
use crate::linux::mounts::Mount;
use crate::volume::mounts;
use crate::volume::mounts::Place;

/// How two directories are related.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relation {
    /// Neither holds the other.
    Apart,
    /// They are the same directory.
    Same,
    /// The destination holds the source: a clone would delete it.
    SourceInside,
    /// A directory of the source is mounted here, below the destination and on its filesystem: a clone would delete it.
    PartInside(PathBuf),
    /// The source holds the destination: its copy would contain itself.
    DestinationInside {
        /// The destination's path relative to the source.
        relative: OsString,
        /// Another filesystem is mounted there.
        is_mount_point: bool,
    },
}

/// Compares device and inode numbers and the mount table, so that another path to a directory is recognised.
///
/// Fails if the table cannot be read on a system that has one: if in doubt, do not clone.
pub fn relation(source: &Dir, destination: &Dir) -> io::Result<Relation> {
    let places = match (mounts::of(source)?, mounts::of(destination)?) {
        (Some(source), Some(destination)) => Some((source, destination)),
        (_, _) => None,
    };
    let related = direct(source, destination)?;
    if matches!(related, Relation::Same | Relation::SourceInside | Relation::PartInside(_)) {
        return Ok(related);
    }
    let Some((source_place, destination_place)) = places else { return Ok(related) };
    // An overlay has its own device numbers, and what is deleted in one of its layers disappears from it.
    for layer in layers(source, &source_place, Mount::layers)? {
        let below = direct(&layer, destination)?;
        if matches!(below, Relation::Same | Relation::SourceInside) {
            return Ok(below);
        }
    }
    for layer in layers(destination, &destination_place, Mount::upper_layer)? {
        let below = direct(source, &layer)?;
        if matches!(below, Relation::Same | Relation::SourceInside) {
            return Ok(below);
        }
    }
    Ok(related)
}

/// The directories that an overlay merges into this one; none if it is not on an overlay.
///
/// A layer that does not exist by its name is in another namespace, such as a container's: no path leads to it.
fn layers(dir: &Dir, place: &Place, of: impl Fn(&Mount) -> Vec<PathBuf>) -> io::Result<Vec<Dir>> {
    let Some(mount) = place.mount() else { return Ok(Vec::new()) };
    let layers = of(mount);
    if layers.is_empty() {
        return Ok(Vec::new());
    }
    let (_, inside) = mounts::locate(place, dir)?;
    let below = inside.strip_prefix("/").unwrap_or(&inside);
    let mut found = Vec::new();
    for layer in layers {
        let opened = std::fs::canonicalize(layer.join(below)).and_then(|path| Dir::open(&path));
        match opened {
            Ok(dir) => found.push(dir),
            Err(error) if is_elsewhere(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn is_elsewhere(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn direct(source: &Dir, destination: &Dir) -> io::Result<Relation> {
    let (source_is, destination_is) = (source.identity()?, destination.identity()?);
    Ok(if source_is == destination_is {
        Relation::Same
    } else if path_inside(destination, source)?.is_some() {
        Relation::SourceInside
    } else if let Some(point) = part_inside(destination, source)? {
        Relation::PartInside(point)
    } else if let Some(relative) = path_inside(source, destination)? {
        let is_mount_point = source_is.device != destination_is.device;
        Relation::DestinationInside { relative: relative.into_os_string(), is_mount_point }
    } else {
        Relation::Apart
    })
}

/// The path of `inner` relative to `outer`, if it lies there.
fn path_inside(outer: &Dir, inner: &Dir) -> io::Result<Option<PathBuf>> {
    for way in [by_ancestor, by_ending, by_mounts, by_mount_below] {
        if let Some(found) = way(outer, inner)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Finds `outer` among the ancestors of `inner`.
fn by_ancestor(outer: &Dir, inner: &Dir) -> io::Result<Option<PathBuf>> {
    let outer_is = outer.identity()?;
    let above = inner.path().ancestors().skip(1).find(|above| is(above, outer_is));
    Ok(above.and_then(|above| inner.path().strip_prefix(above).ok()).map(Path::to_owned))
}

/// Finds a suffix of `inner`'s path that leads there from `outer`, like a Mac's `Users/x` from `/System/Volumes/Data`.
fn by_ending(outer: &Dir, inner: &Dir) -> io::Result<Option<PathBuf>> {
    let inner_is = inner.identity()?;
    let mut components = inner.path().components();
    components.next();
    while !components.as_path().as_os_str().is_empty() {
        if is(&outer.path().join(components.as_path()), inner_is) {
            return Ok(Some(components.as_path().to_owned()));
        }
        components.next();
    }
    Ok(None)
}

/// Both ends as located in the mount table; `None` on a system without one.
struct Places {
    /// The table in which `outer` was found.
    table: Vec<Mount>,
    outer: (String, PathBuf),
    inner: (String, PathBuf),
}

fn places(outer: &Dir, inner: &Dir) -> io::Result<Option<Places>> {
    let (Some(outer_in), Some(inner_in)) = (mounts::of(outer)?, mounts::of(inner)?) else { return Ok(None) };
    let (outer, inner) = (mounts::locate(&outer_in, outer)?, mounts::locate(&inner_in, inner)?);
    Ok(Some(Places { table: outer_in.table, outer, inner }))
}

/// Handles different directories of one filesystem, each mounted on its own.
fn by_mounts(outer: &Dir, inner: &Dir) -> io::Result<Option<PathBuf>> {
    let Some(Places { outer, inner, .. }) = places(outer, inner)? else { return Ok(None) };
    if outer == inner || outer.0 != inner.0 {
        return Ok(None);
    }
    Ok(inner.1.strip_prefix(&outer.1).ok().map(Path::to_owned))
}

/// Finds a mount below `outer` that leads to `inner` or to an ancestor of it.
fn by_mount_below(outer: &Dir, inner: &Dir) -> io::Result<Option<PathBuf>> {
    let Some(Places { table, inner: (device, place), .. }) = places(outer, inner)? else { return Ok(None) };
    Ok(below(&table, outer.path()).find_map(|mount| {
        let rest = place.strip_prefix(&mount.root).ok().filter(|_| mount.device_number == device)?;
        Some(mount.point.strip_prefix(outer.path()).ok()?.join(rest))
    }))
}

/// Finds where a mount below `outer` shows a directory of `inner` that rsync takes for part of `outer`'s filesystem.
fn part_inside(outer: &Dir, inner: &Dir) -> io::Result<Option<PathBuf>> {
    let device = outer.identity()?.device;
    let Some(Places { table, outer: outer_is, inner: inner_is }) = places(outer, inner)? else {
        return Ok(None);
    };
    if outer_is.0 != inner_is.0 {
        return Ok(None);
    }
    let found = below(&table, outer.path()).find(|mount| {
        mount.device_number == inner_is.0
            && mount.root.starts_with(&inner_is.1)
            && !mount.root.starts_with(&outer_is.1)
            // rsync tells filesystems apart by device number, and each btrfs subvolume has its own. A mount that cannot
            // be examined counts as the same.
            && std::fs::metadata(&mount.point).map_or(true, |found| FileIdentity::from(&found).device == device)
    });
    Ok(found.map(|mount| mount.point.clone()))
}

/// The mounts below a directory, excluding the directory itself.
fn below<'a>(table: &'a [Mount], dir: &'a Path) -> impl Iterator<Item = &'a Mount> {
    table.iter().filter(move |mount| mount.point.starts_with(dir) && mount.point != dir)
}

/// Whether a path leads to this directory. A path that we cannot follow cannot be followed by rsync either.
fn is(path: &Path, dir: FileIdentity) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| FileIdentity::from(&metadata) == dir)
}
