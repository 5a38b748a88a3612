//! The resolution of the timestamps that the destination keeps.

use std::ffi::OsStr;
use std::fs::FileTimes;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use crate::fs::dir::Dir;
use crate::phases::endpoints::Destination;
use crate::run::Run;

/// A time with significant digits down to the nanosecond.
const FINE: Duration = Duration::new(1_000_000_001, 123_456_789);

/// Whether the destination keeps nanoseconds, measured with a file there.
///
/// With `--modify-window=-1` on a filesystem with coarser times, rsync would copy everything on every run; without it,
/// an edit within the same second is missed. If no file can be created, the destination's own time is tested.
#[must_use]
pub fn keeps_nanoseconds(run: &Run<'_>, destination: &Destination) -> bool {
    let dir = &destination.dir;
    measure(run, dir).or_else(|_| measure_dir(dir)).unwrap_or(false)
}

/// Whether existing files show nanoseconds, for a run that writes nothing: NTFS has steps of 100 ns, exFAT of 10 ms.
#[must_use]
pub fn shows_nanoseconds(destination: &Destination) -> bool {
    look(destination).unwrap_or(false)
}

fn measure(run: &Run<'_>, dir: &Dir) -> io::Result<bool> {
    let (file, name) = dir.temporary(OsStr::new(&(run.plan.prefix.stem() + "probe")), 0o600)?;
    let kept = file
        .set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + FINE))
        .and_then(|()| file.metadata())
        .map(|now| now.mtime_nsec() == i64::from(FINE.subsec_nanos()));
    dir.remove(&name)?;
    kept
}

/// Directories keep times like files do; rsync sets the root's time again anyway.
fn measure_dir(dir: &Dir) -> io::Result<bool> {
    let before = dir.metadata()?;
    let (seconds, nanoseconds) = (i64::try_from(FINE.as_secs()), i64::from(FINE.subsec_nanos()));
    dir.set_modified(seconds.map_err(io::Error::other)?, nanoseconds)?;
    let kept = dir.metadata().map(|now| now.mtime_nsec() == nanoseconds);
    dir.set_modified(before.mtime(), before.mtime_nsec())?;
    kept
}

fn look(destination: &Destination) -> io::Result<bool> {
    let dir = &destination.dir;
    for name in dir.names()? {
        if dir.stat(&name)?.is_some_and(|stat| stat.st_mtime_nsec % 100 != 0) {
            return Ok(true);
        }
    }
    Ok(false)
}
