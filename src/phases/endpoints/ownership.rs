//! Checks whether the destination preserves file ownership.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, fchown};

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::fs::is_no_room;
use crate::host::TOOL_LIMIT;
use crate::host::platform::Platform;
use crate::linux::mounts::{Mount, Ownership};
use crate::macos::ownership as vsdb;
use crate::macos::ownership::Permissions;
use crate::process::{Command, End, capture};
use crate::run::Run;
use crate::volume::diskutil::diskutil;
use crate::volume::mount_point::mount_point;
use crate::volume::mounts;
use crate::volume::mounts::Place;

/// Refuses a destination that is known to ignore ownership, without writing anything.
pub fn refuse_known(run: &Run<'_>, dir: &Dir) -> Result<(), Failure> {
    match known(run, dir) {
        Ownership::Ignored(why) => Err(refusal(run, why)),
        Ownership::Kept | Ownership::Unknown => Ok(()),
    }
}

/// Refuses a destination that loses an owner just set, if the system does not tell beforehand.
///
/// The test file is removed before it returns, and the directory's time is restored.
pub fn refuse_measured(run: &Run<'_>, dir: &Dir) -> Result<(), Failure> {
    // What this process is not allowed to set is not the destination's fault, and has a warning of its own.
    if !run.machine.host.rights.owners || known(run, dir) != Ownership::Unknown {
        return Ok(());
    }
    match keeps_owner(run, dir) {
        Ok(true) => Ok(()),
        Ok(false) => Err(refusal(
            run,
            "an owner that was set on a new file there was lost. Use another filesystem.".to_owned(),
        )),
        // A full disk proves nothing about owners, and the clone may well free space.
        Err(error) if is_no_room(&error) => Ok(()),
        Err(error) => {
            Err(Failure::DestinationUnusable { path: run.plan.destination.clone(), why: error.into() })
        }
    }
}

fn refusal(run: &Run<'_>, why: String) -> Failure {
    Failure::IgnoresOwnership { path: run.plan.destination.clone(), why: why.into() }
}

/// What the system reports about ownership there.
#[must_use]
pub fn known(run: &Run<'_>, dir: &Dir) -> Ownership {
    match run.machine.host.platform {
        Platform::Linux => linux(dir).unwrap_or(Ownership::Unknown),
        Platform::MacOs(_) => macos(run, dir),
    }
}

fn linux(dir: &Dir) -> io::Result<Ownership> {
    let place = mounts::of(dir)?;
    Ok(place.as_ref().and_then(Place::mount).map_or(Ownership::Unknown, Mount::ownership))
}

fn macos(run: &Run<'_>, dir: &Dir) -> Ownership {
    let volume = mount_point(dir.path());
    let enabled = match vsdbutil(run, &volume) {
        Some(Permissions::Enabled) => Some(true),
        Some(Permissions::Disabled) => Some(false),
        Some(Permissions::NoEntry) | None => {
            diskutil(run, &volume).and_then(|volume| volume.permissions_enabled)
        }
    };
    match enabled {
        Some(true) => Ownership::Kept,
        Some(false) => Ownership::Ignored(format!(
            "macOS ignores ownership on this volume. Enable it with: diskutil enableOwnership '{}'",
            display::path(&volume)
        )),
        None => Ownership::Unknown,
    }
}

fn vsdbutil(run: &Run<'_>, volume: &Path) -> Option<Permissions> {
    let command = Command::tool(&run.machine.host.tools.vsdbutil, [OsStr::new("-c"), volume.as_os_str()]);
    let printed = capture(&command, run.machine.interrupts, TOOL_LIMIT).ok()?;
    vsdb::read_vsdbutil(&printed.out, &printed.err, printed.end == End::Exited(0))
}

/// Gives a new file to another user and checks its owner.
fn keeps_owner(run: &Run<'_>, dir: &Dir) -> io::Result<bool> {
    /// An ordinary id that no filesystem reports for all of its files.
    const SOMEBODY: u32 = 47_114;
    let before = dir.metadata()?;
    let (file, name) = dir.temporary(OsStr::new(&(run.plan.prefix.stem() + "probe")), 0o600)?;
    let kept = match fchown(&file, Some(Uid::from_raw(SOMEBODY)), Some(Gid::from_raw(SOMEBODY))) {
        Ok(()) => file.metadata().map(|now| now.uid() == SOMEBODY && now.gid() == SOMEBODY),
        // That user may not be mapped in this namespace.
        Err(Errno::EINVAL) if !run.machine.host.rights.all_users => Ok(true),
        Err(Errno::EPERM | Errno::EINVAL | Errno::ENOTSUP | Errno::ENOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    };
    dir.remove(&name)?;
    dir.set_modified(before.mtime(), before.mtime_nsec())?;
    kept
}
