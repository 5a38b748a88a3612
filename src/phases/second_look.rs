//! A second look at what rsync complained about: a live source changes while it is read.
//!
//! A file that is removed in mid-run is 24 to rsync only if it notices at the right moment; where it comes to read its access
//! control list or its attributes it says 23, and deletes nothing any more. A log that is truncated while it is copied
//! is 23, too. If that is all that a run has met, it is made again at once, and finds the rest unchanged.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use log::info;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};

use super::Run;
use super::census::LinkedNames;
use super::endpoints::Endpoints;
use super::preflight::Rsync;
use super::safety_net::Nets;
use super::transfer::{self, Report};
use super::verdict::{self, PARTIAL};
use crate::failure::Failure;
use crate::process::End;
use crate::rsync::rules::Rules;

/// How often a transfer is made again at most.
const MORE: u32 = 2;

/// What is at a path of the source by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Nothing.
    Gone,
    /// Something that can be read.
    Readable,
    /// Something that cannot, or a path that is not the source's.
    Unreadable,
}

/// Makes the clone, once more where only changes of the source stood in the way.
pub fn clone(
    run: &Run<'_>,
    rsync: &Rsync,
    ends: &Endpoints,
    rules: &Rules,
    linked: &LinkedNames,
    nets: &mut Nets,
) -> Result<Report, Failure> {
    let mut report = transfer::clone(run, rsync, ends, rules, linked, nets)?;
    for pass in 1..=MORE {
        if !is_worth_another(ends, &report) {
            break;
        }
        // A source that went away as a whole must not be cloned as an empty one.
        if run.interrupts.received().is_some() || verdict::probe_source_of(run, ends, &report).is_err() {
            break;
        }
        info!(
            "The source has changed while it was read, and nothing else went wrong: it is looked at again ({pass} of {MORE})."
        );
        let mut again = transfer::clone(run, rsync, ends, rules, linked, nets)?;
        again.statistics.add_earlier(&report.statistics);
        again.starts += report.starts;
        report = again;
    }
    Ok(report)
}

fn is_worth_another(ends: &Endpoints, report: &Report) -> bool {
    let changes = report.diagnostics.only_changes().filter(|_| report.end == End::Exited(PARTIAL));
    changes.is_some_and(|changes| changes.iter().all(|path| look(ends, path) != Found::Unreadable))
}

/// Whether everything that rsync complained about is gone from the source by now, and rsync has deleted all the same.
#[must_use]
pub fn only_vanished(ends: &Endpoints, report: &Report) -> bool {
    !report.diagnostics.skipped_deletions
        && report
            .diagnostics
            .only_changes()
            .is_some_and(|changes| changes.iter().all(|path| look(ends, path) == Found::Gone))
}

/// Whether the source has an entry for this path as rsync printed it, be it one of the source or of the destination.
#[must_use]
pub fn is_in_source(ends: &Endpoints, printed: &[u8]) -> bool {
    matches!(at(ends, printed), Some(Ok(_)))
}

fn look(ends: &Endpoints, printed: &[u8]) -> Found {
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
    let folders = [ends.destination.folder.path(), ends.source.folder.path()];
    let relative = if path.is_absolute() {
        folders.iter().find_map(|folder| path.strip_prefix(folder).ok())?
    } else {
        path
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

/// Folder by folder, so that no link leads out of the source.
fn descend(ends: &Endpoints, parts: &[&OsStr]) -> Result<bool, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let Some((name, above)) = parts.split_last() else { return Ok(true) };
    let mut folder = openat(ends.source.folder.file(), ".", flags | OFlag::O_DIRECTORY, Mode::empty())?;
    for part in above {
        // A link in the place of a folder is one of its own: nothing below it is the source's.
        folder = openat(&folder, *part, flags | OFlag::O_DIRECTORY, Mode::empty())
            .map_err(|error| if error == Errno::ELOOP { Errno::ENOTDIR } else { error })?;
    }
    let stat = fstatat(&folder, *name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
    if kind != SFlag::S_IFREG && kind != SFlag::S_IFDIR {
        return Ok(true);
    }
    let file = openat(&folder, *name, flags, Mode::empty())?;
    Ok(kind == SFlag::S_IFDIR || std::fs::File::from(file).read(&mut [0; 1]).is_ok())
}
