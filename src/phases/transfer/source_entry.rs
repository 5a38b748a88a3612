//! What is at a path by now that rsync has complained about.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};

use crate::phases::endpoints::Endpoints;

/// What is at a path of the source by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Gone,
    /// Something that can be read.
    Readable,
    /// Something that cannot, or a path that is not the source's.
    Unreadable,
}

/// Whether the source has an entry for this path as rsync printed it, be it one of the source or of the destination.
#[must_use]
pub fn is_in_source(ends: &Endpoints, printed: &[u8]) -> bool {
    matches!(at(ends, printed), Some(Ok(_)))
}

/// Looks at the entry of the source that rsync has named.
#[must_use]
pub fn look(ends: &Endpoints, printed: &[u8]) -> Found {
    match at(ends, printed) {
        Some(Ok(found)) if found => Found::Readable,
        Some(Err(Errno::ENOENT | Errno::ENOTDIR)) => Found::Gone,
        Some(Ok(_) | Err(_)) | None => Found::Unreadable,
    }
}

/// Looks at an entry of the source: `Ok(true)` if it can be read. `None` if the path is neither of the two ends'.
fn at(ends: &Endpoints, printed: &[u8]) -> Option<Result<bool, Errno>> {
    let path = Path::new(OsStr::from_bytes(printed));
    // The destination first: it may lie inside the source, and never the other way round.
    let dirs = [ends.destination.dir.path(), ends.source.dir.path()];
    let relative =
        if path.is_absolute() { dirs.iter().find_map(|dir| path.strip_prefix(dir).ok())? } else { path };
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

/// Directory by directory, so that no link leads out of the source.
fn descend(ends: &Endpoints, parts: &[&OsStr]) -> Result<bool, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let Some((name, above)) = parts.split_last() else { return Ok(true) };
    let mut dir = openat(ends.source.dir.file(), ".", flags | OFlag::O_DIRECTORY, Mode::empty())?;
    for part in above {
        // A link in the place of a directory is one of its own: nothing below it is the source's.
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
