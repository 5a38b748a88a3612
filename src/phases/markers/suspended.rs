//! A completion that is taken back while the clone is repaired.

use std::ffi::OsString;
use std::fs::FileTimes;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::marker::{MODE, Marker};
use crate::phases::markers::{forget_completion, not_written};
use crate::run::Run;

/// A completion marker that was removed.
#[derive(Debug)]
#[must_use]
pub struct Suspended {
    name: OsString,
    modified: SystemTime,
}

impl Suspended {
    /// Removes the marker of a complete clone, which from now on does not look complete.
    pub fn suspend(run: &Run<'_>, dir: &Dir) -> Result<Self, Failure> {
        let name = run.plan.prefix.marker(Marker::Completed);
        let removed = || {
            let stat = dir.stat(&name)?.ok_or(io::ErrorKind::NotFound)?;
            let modified = time(stat.st_mtime, stat.st_mtime_nsec)?;
            forget_completion(dir, &run.plan.prefix)?;
            dir.sync()?;
            Ok(modified)
        };
        match removed() {
            Ok(modified) => Ok(Self { name, modified }),
            Err(error) => Err(not_written(run, &name, error)),
        }
    }

    /// Puts it back as it was.
    pub fn resume(self, run: &Run<'_>, dir: &Dir) -> Result<(), Failure> {
        let put = || {
            let (file, temporary) = dir.temporary(&self.name, MODE)?;
            let put = file
                .set_times(FileTimes::new().set_modified(self.modified))
                .and_then(|()| dir.commit(&file, &temporary, &self.name));
            if put.is_err() {
                // The first error is the one to report; the next run removes a leftover.
                let _ = dir.remove(&temporary);
            }
            put
        };
        put().map_err(|error| not_written(run, &self.name, error))
    }
}

fn time(seconds: i64, nanoseconds: i64) -> io::Result<SystemTime> {
    let wrong = || io::Error::other("its time is before 1970");
    let (seconds, nanoseconds) = (u64::try_from(seconds), u32::try_from(nanoseconds));
    let since = Duration::new(seconds.map_err(|_| wrong())?, nanoseconds.map_err(|_| wrong())?);
    UNIX_EPOCH.checked_add(since).ok_or_else(wrong)
}
