//! Files of the same size and time that have changed since the last clone: rsync would take them for equal, so they are
//! read.

use std::fs::{File, FileTimes};
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use indicatif::HumanBytes;
use log::info;

use crate::fs::dir::Dir;
use crate::phases::endpoints::Endpoints;
use crate::phases::survey::list::{List, Why};
use crate::run::Run;

/// How much is read of them in one pass, in bytes, on each side: more would cost more than it is worth, and rsync's own
/// comparison, by size and time, has to do.
const MOST: u64 = 4 << 30;

/// How much is compared at once, in bytes.
const CHUNK: usize = 128 << 10;

/// Gives each copy whose contents differ another time, by which rsync copies the file again.
///
/// What cannot be read or is gone is rsync's to report.
pub fn reveal(run: &Run<'_>, ends: &Endpoints, list: &List) {
    let (mut left, mut different, mut unread) = (MOST, 0_u64, 0_u64);
    for path in list.paths(Why::Doubtful) {
        if run.machine.interrupts.received().is_some() {
            return;
        }
        match compare(run, ends, path, &mut left) {
            Ok(Some(true)) => different += 1,
            Ok(None) => unread += 1,
            Ok(Some(false)) | Err(_) => {}
        }
    }
    if different > 0 {
        info!(
            "{different} files have other contents than their copies of the same size and time: copying them."
        );
    }
    if unread > 0 {
        info!(
            "{unread} files that have changed and have the size and time of their copies count as equal: a pass reads no \
             more than {} to compare such files.",
            HumanBytes(MOST)
        );
    }
}

/// Whether the contents differ; `None` if the file is larger than what is left to be read.
fn compare(run: &Run<'_>, ends: &Endpoints, path: &Path, left: &mut u64) -> io::Result<Option<bool>> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(Some(false)) };
    let open = |dir: &Dir| dir.enter_path(parent)?.open_regular(name);
    let (Some(source), Some(copy)) = (open(&ends.source.dir)?, open(&ends.destination.dir)?) else {
        return Ok(Some(false));
    };
    let length = source.metadata()?.len();
    if length > *left {
        return Ok(None);
    }
    *left -= length;
    if is_equal(run, source, &copy)? {
        return Ok(Some(false));
    }
    let modified = copy.metadata()?.modified()?;
    let second = Duration::from_secs(1);
    let other = modified.checked_sub(second).or_else(|| modified.checked_add(second));
    let other = other.ok_or_else(|| io::Error::other("its time cannot be changed"))?;
    copy.set_times(FileTimes::new().set_modified(other))?;
    Ok(Some(true))
}

fn is_equal(run: &Run<'_>, source: File, mut copy: &File) -> io::Result<bool> {
    let (mut one, mut other) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut source = source;
    loop {
        if run.machine.interrupts.received().is_some() {
            return Ok(true);
        }
        let read = source.read(&mut one)?;
        if read == 0 {
            return Ok(copy.read(&mut other[..1])? == 0);
        }
        if copy.read_exact(&mut other[..read]).is_err() || one[..read] != other[..read] {
            return Ok(false);
        }
    }
}
