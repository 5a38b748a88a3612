//! Whether source and destination lie inside each other, whatever paths lead there.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::mounts;
use crate::host::folder::{FileIdentity, Folder};
use crate::linux::mounts::{Mount, locate};

/// How two folders lie to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relation {
    /// Neither holds the other.
    Apart,
    /// They are one folder.
    Same,
    /// The destination holds the source: a clone would delete it.
    SourceInside,
    /// A folder of the source is mounted here, below the destination and as a part of its filesystem: so would this be.
    PartInside(PathBuf),
    /// The source holds the destination: a copy of it would hold itself.
    DestinationInside {
        /// The destination's path below the source.
        relative: OsString,
        /// Another filesystem is mounted there.
        is_mount_point: bool,
    },
}

/// Compares by device and inode number and by the table of mounts, so that another way to a folder does not deceive.
pub fn relation(source: &Folder, destination: &Folder) -> io::Result<Relation> {
    let related = direct(source, destination)?;
    if matches!(related, Relation::Same | Relation::SourceInside | Relation::PartInside(_)) {
        return Ok(related);
    }
    // An overlay has device numbers of its own, and what is deleted in a layer of it is gone from it.
    for layer in layers(source, Mount::layers) {
        let below = direct(&layer, destination)?;
        if matches!(below, Relation::Same | Relation::SourceInside) {
            return Ok(below);
        }
    }
    for layer in layers(destination, Mount::upper_layer) {
        let below = direct(source, &layer)?;
        if matches!(below, Relation::Same | Relation::SourceInside) {
            return Ok(below);
        }
    }
    Ok(related)
}

/// The folders that an overlay puts together as this one; none where it is not on an overlay or they are out of sight.
fn layers(folder: &Folder, of: impl Fn(&Mount) -> Vec<PathBuf>) -> Vec<Folder> {
    let Ok((id, table)) = mounts::of(folder) else { return Vec::new() };
    let Some(mount) = table.iter().find(|mount| mount.id == id) else { return Vec::new() };
    let Some((_, place)) = locate(&table, id, folder.path()) else { return Vec::new() };
    let below = place.strip_prefix("/").unwrap_or(&place);
    let layers = of(mount).into_iter().map(|layer| layer.join(below));
    layers.filter_map(|layer| Folder::open(&std::fs::canonicalize(layer).ok()?).ok()).collect()
}

fn direct(source: &Folder, destination: &Folder) -> io::Result<Relation> {
    let (source_is, destination_is) = (source.identity()?, destination.identity()?);
    Ok(if source_is == destination_is {
        Relation::Same
    } else if path_inside(destination, source)?.is_some() {
        Relation::SourceInside
    } else if let Some(point) = part_inside(destination, source) {
        Relation::PartInside(point)
    } else if let Some(relative) = path_inside(source, destination)? {
        let is_mount_point = source_is.device != destination_is.device;
        Relation::DestinationInside { relative: relative.into_os_string(), is_mount_point }
    } else {
        Relation::Apart
    })
}

/// The path of `inner` below `outer`, if it lies there.
fn path_inside(outer: &Folder, inner: &Folder) -> io::Result<Option<PathBuf>> {
    let found = by_ancestor(outer, inner)?.or(by_ending(outer, inner)?);
    Ok(found.or_else(|| by_mounts(outer, inner)).or_else(|| by_mount_below(outer, inner)))
}

/// One of the folders above `inner` is `outer`.
fn by_ancestor(outer: &Folder, inner: &Folder) -> io::Result<Option<PathBuf>> {
    let outer_is = outer.identity()?;
    let above = inner.path().ancestors().skip(1).find(|above| is(above, outer_is));
    Ok(above.and_then(|above| inner.path().strip_prefix(above).ok()).map(Path::to_owned))
}

/// The end of `inner`'s path leads from `outer` to it too, as `Users/x` does from `/System/Volumes/Data` on a Mac.
fn by_ending(outer: &Folder, inner: &Folder) -> io::Result<Option<PathBuf>> {
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

/// Both are on one filesystem, of which different folders may be mounted. Elsewhere than on Linux there is no table.
fn by_mounts(outer: &Folder, inner: &Folder) -> Option<PathBuf> {
    let ((outer_mount, table), (inner_mount, _)) = (mounts::of(outer).ok()?, mounts::of(inner).ok()?);
    let (outer_device, outer_place) = locate(&table, outer_mount, outer.path())?;
    let (inner_device, inner_place) = locate(&table, inner_mount, inner.path())?;
    if outer_device != inner_device || outer_place == inner_place {
        return None;
    }
    inner_place.strip_prefix(&outer_place).ok().map(Path::to_owned)
}

/// A mount below `outer` leads to `inner`, or to a folder above it.
fn by_mount_below(outer: &Folder, inner: &Folder) -> Option<PathBuf> {
    let (id, table) = mounts::of(inner).ok()?;
    let (device, place) = locate(&table, id, inner.path())?;
    below(&table, outer.path()).find_map(|mount| {
        let rest = place.strip_prefix(&mount.root).ok().filter(|_| mount.device_number == device)?;
        Some(mount.point.strip_prefix(outer.path()).ok()?.join(rest))
    })
}

/// Where a mount below `outer` shows a folder of `inner` that rsync takes for a part of `outer`'s own filesystem.
fn part_inside(outer: &Folder, inner: &Folder) -> Option<PathBuf> {
    let ((outer_mount, table), (inner_mount, _)) = (mounts::of(outer).ok()?, mounts::of(inner).ok()?);
    let (outer_device, outer_place) = locate(&table, outer_mount, outer.path())?;
    let (inner_device, inner_place) = locate(&table, inner_mount, inner.path())?;
    if outer_device != inner_device {
        return None;
    }
    below(&table, outer.path())
        .find(|mount| {
            mount.device_number == inner_device
                && mount.root.starts_with(&inner_place)
                && !mount.root.starts_with(&outer_place)
                && is_on(&mount.point, outer)
        })
        .map(|mount| mount.point.clone())
}

/// The mounts below a folder, the folder itself not among them.
fn below<'a>(table: &'a [Mount], folder: &'a Path) -> impl Iterator<Item = &'a Mount> {
    table.iter().filter(move |mount| mount.point.starts_with(folder) && mount.point != folder)
}

/// To rsync a device number is a filesystem, and each subvolume of btrfs has one of its own.
fn is_on(path: &Path, folder: &Folder) -> bool {
    let device = std::fs::metadata(path).map(|metadata| FileIdentity::from(&metadata).device).ok();
    device.is_some() && device == folder.identity().map(|identity| identity.device).ok()
}

fn is(path: &Path, folder: FileIdentity) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| FileIdentity::from(&metadata) == folder)
}
