//! Whether source and destination lie inside each other, whatever paths lead there.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::mounts;
use crate::host::folder::{FileIdentity, Folder};
use crate::linux::mounts::locate;

/// How two folders lie to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relation {
    /// Neither holds the other.
    Apart,
    /// They are one folder.
    Same,
    /// The destination holds the source: a clone would delete it.
    SourceInside,
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
    let (source_is, destination_is) = (source.identity()?, destination.identity()?);
    Ok(if source_is == destination_is {
        Relation::Same
    } else if path_inside(destination, source)?.is_some() {
        Relation::SourceInside
    } else if let Some(relative) = path_inside(source, destination)? {
        let is_mount_point = source_is.device != destination_is.device;
        Relation::DestinationInside { relative: relative.into_os_string(), is_mount_point }
    } else {
        Relation::Apart
    })
}

/// The path of `inner` below `outer`, if it lies there.
fn path_inside(outer: &Folder, inner: &Folder) -> io::Result<Option<PathBuf>> {
    Ok(by_ancestor(outer, inner)?.or(by_ending(outer, inner)?).or_else(|| by_mounts(outer, inner)))
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

fn is(path: &Path, folder: FileIdentity) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| FileIdentity::from(&metadata) == folder)
}
