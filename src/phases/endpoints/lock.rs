//! One run at a time for a destination.

use std::io;

use nix::errno::Errno;

use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::fs::is_no_room;
use crate::fs::lock::Lock;
use crate::host::platform::Platform;
use crate::logging::warning;
use crate::run::Run;
use crate::{display, linux};

/// Takes the destination's lock; an examination only looks whether it is free. `None` where nothing is written.
pub fn take(run: &Run<'_>, dir: &Dir) -> Result<Option<Lock>, Failure> {
    if run.mode.only_looks() {
        look(run, dir)?;
    }
    if !run.mode.writes() {
        return Ok(None);
    }
    let directory = display::path(&run.machine.host.lock_dir);
    let taken = dir.identity().and_then(|identity| Lock::take(&run.machine.host.lock_dir, identity));
    let locked = match taken {
        // A full or read-only system disk must not stop a clone.
        Err(error) if is_no_room(&error) || error.raw_os_error() == Some(Errno::EROFS as i32) => {
            warning(format_args!("the lock in {directory} cannot be written: {}.", display::reason(&error)));
            Lock::take_on(dir)
        }
        taken => taken,
    };
    let locked = locked.map_err(|error| {
        Failure::Internal(format!("the lock in {directory} cannot be taken: {}", display::reason(&error)))
    })?;
    match locked {
        Some(lock) => Ok(Some(lock)),
        None => Err(Failure::Locked { path: run.plan.destination.clone() }),
    }
}

/// Checks without touching it whether this destination's lock is free. Only Linux reports who holds it.
pub fn look(run: &Run<'_>, dir: &Dir) -> Result<(), Failure> {
    let directory = display::path(&run.machine.host.lock_dir);
    let places = || {
        let identity = dir.identity()?;
        // Anybody who can read the destination can lock it: that counts only if a run has no other place for its lock.
        let itself = Some(identity).filter(|_| !Lock::has_room(&run.machine.host.lock_dir));
        Ok([Lock::examine(&run.machine.host.lock_dir, identity)?, itself])
    };
    let places = places().map_err(|error: io::Error| {
        Failure::Internal(format!("the lock in {directory} cannot be taken: {}", display::reason(&error)))
    })?;
    let table = match (run.machine.host.platform, std::fs::read("/proc/locks")) {
        (_, Ok(table)) => table,
        (Platform::MacOs(_), Err(_)) => return Ok(()),
        (Platform::Linux, Err(error)) => {
            let why = display::reason(&error);
            let what = format!("whether the lock in {directory} is held cannot be determined: {why}");
            return Err(Failure::Internal(what));
        }
    };
    let held = places.into_iter().flatten().any(|place| linux::locks::is_held(&table, place));
    if held { Err(Failure::Locked { path: run.plan.destination.clone() }) } else { Ok(()) }
}
