//! Compares an entry of the source with the destination's of the same name, as rsync would.

use std::ffi::CStr;

use nix::fcntl::readlinkat;
use nix::sys::stat::{FileStat, SFlag};

use crate::tree::pair::{Here, kind};

/// By what two entries of one name differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// By nothing that their metadata show.
    Nothing,
    /// By attributes alone: owner, group, mode, and the time of anything but a file.
    Attributes,
    /// By their contents, a target or a device number.
    Content,
    /// By their types.
    Kind,
}

/// Compares two entries; times to the nanosecond if the destination keeps that.
///
/// Equal files are those of equal size and time, as for rsync. What metadata do not show, such as attribute lists, is not
/// compared.
#[must_use]
pub fn compare(
    here: &Here<'_>,
    name: &CStr,
    source: &FileStat,
    destination: &FileStat,
    nanoseconds: bool,
) -> Difference {
    if kind(source) != kind(destination) {
        return Difference::Kind;
    }
    let is_same_time = source.st_mtime == destination.st_mtime
        && (!nanoseconds || source.st_mtime_nsec == destination.st_mtime_nsec);
    let has_same_content = match kind(source) {
        SFlag::S_IFREG => is_same_time && source.st_size == destination.st_size,
        SFlag::S_IFLNK => source.st_size == destination.st_size && has_same_target(here, name),
        SFlag::S_IFCHR | SFlag::S_IFBLK => source.st_rdev == destination.st_rdev,
        _ => true,
    };
    if !has_same_content {
        return Difference::Content;
    }
    let attributes = |stat: &FileStat| (stat.st_uid, stat.st_gid, stat.st_mode);
    if is_same_time && attributes(source) == attributes(destination) {
        Difference::Nothing
    } else {
        Difference::Attributes
    }
}

/// Whether owner, group, mode or time of two directories differ.
#[must_use]
pub fn differs_in_attributes(source: &FileStat, destination: &FileStat) -> bool {
    let attributes =
        |stat: &FileStat| (stat.st_uid, stat.st_gid, stat.st_mode, stat.st_mtime, stat.st_mtime_nsec);
    attributes(source) != attributes(destination)
}

/// Whether two symbolic links have the same target; not if one cannot be read.
#[must_use]
pub fn has_same_target(here: &Here<'_>, name: &CStr) -> bool {
    let target = |dir| readlinkat(dir, name).ok();
    let (Some(source), Some(destination)) = (here.dirs.source, here.dirs.destination) else { return false };
    let here = target(source);
    here.is_some() && here == target(destination)
}
