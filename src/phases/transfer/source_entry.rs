//! Checks what is now at a path that rsync complained about.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};

use crate::phases::endpoints::Endpoints;

/// What is now at a path of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Gone,
    /// Something that can be read.
    Readable,
    /// Something unreadable, or a path that is not in the source.
    Unreadable,
}

/// Whether the source has an entry for this path as rsync printed it, be it a source or a destination path.
#[must_use]
pub fn is_in_source(ends: &Endpoints, printed: &[u8]) -> bool {
    matches!(at(ends, printed), Some(Ok(_)))
}

/// Examines the source entry that rsync named.
#[must_use]
pub fn look(ends: &Endpoints, printed: &[u8]) -> Found {
    match at(ends, printed) {
        Some(Ok(found)) if found => Found::Readable,
        Some(Err(Errno::ENOENT | Errno::ENOTDIR)) => Found::Gone,
        Some(Ok(_) | Err(_)) | None => Found::Unreadable,
    }
}

/// Examines an entry of the source: `Ok(true)` if it is readable. `None` if the path is in neither of the two ends.
fn at(ends: &Endpoints, printed: &[u8]) -> Option<Result<bool, Errno>> {
    let path = Path::new(OsStr::from_bytes(printed));
    // The destination first: it may lie inside the source, but never the other way round.
    let dirs = [ends.destination.dir.shown(), ends.source.dir.path()];
    let relative = match dirs.iter().find_map(|dir| path.strip_prefix(dir).ok()) {
        Some(relative) => relative,
        None if path.is_absolute() => return None,
        None => path,
    };
    let parts: Vec<&OsStr> = relative
        .components()
        .map(|part| match part {
            Component::Normal(name) => Some(name),
            Component::CurDir => Some(OsStr::new(".")),
            Component::Prefix(_) | Component::RootDir | Component::ParentDir => None,
        })
        .collect::<Option<_>>()?;
    Some(descend(ends, &parts))
}

/// Opens one directory at a time, so that no link leads out of the source.
fn descend(ends: &Endpoints, parts: &[&OsStr]) -> Result<bool, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let Some((name, above)) = parts.split_last() else { return Ok(true) };
    let mut dir = openat(ends.source.dir.file(), ".", flags | OFlag::O_DIRECTORY, Mode::empty())?;
    for part in above {
        // A link in place of a directory is not followed: nothing below it belongs to the source.
        dir = openat(&dir, *part, flags | OFlag::O_DIRECTORY, Mode::empty())
            .map_err(|error| if error == Errno::ELOOP { Errno::ENOTDIR } else { error })?;
    }
    let stat = fstatat(&dir, *name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
    if kind != SFlag::S_IFREG && kind != SFlag::S_IFDIR {
        return Ok(true);
    }
    let file = openat(&dir, *name, flags, Mode::empty())?;
    Ok(kind == SFlag::S_IFDIR || std::fs::File::from(file).read(&mut [0; 1]).is_ok())
}
