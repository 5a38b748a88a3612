//! The first lines of the log: what is cloned where, on which machine, with which rsync.

use std::path::Path;

use log::info;
use nix::sys::stat::SFlag;

use crate::display;
use crate::fs::dir::Dir;
use crate::host::platform::Platform;
use crate::linux::exclusions;
use crate::linux::mounts::{Mount, left_out};
use crate::logging::warning;
use crate::phases::endpoints::{Endpoints, Source};
use crate::phases::preflight;
use crate::phases::preflight::Rsync;
use crate::rsync::capabilities::Optional;
use crate::rsync::version::Version;
use crate::run::Run;
use crate::volume::mounts;

/// Writes them.
pub fn log(run: &Run<'_>, rsync: &Rsync) {
    let plan = run.plan;
    run.note(|notes| notes.rsync = Some(preflight::describe(rsync)));
    info!(
        "Counterpart {} on {}, {}.",
        env!("CARGO_PKG_VERSION"),
        run.machine.host.name,
        run.machine.host.platform
    );
    info!("rsync: {}, version {}.", display::path(&rsync.path), rsync.version);
    info!("Source: {}", display::path(&plan.source));
    info!("Destination: {}", display::path(&plan.destination));
    info!("Prefix: {}", plan.prefix);
    run.screen().say(&format!(
        "Cloning {} to {}",
        display::path(&plan.source),
        display::path(&plan.destination)
    ));
    if plan.test_run {
        info!("This is a test run: nothing is changed.");
    }
    warn_of_lacks(rsync);
    warn_of_holes(rsync);
    warn_of_rights(run);
}

/// Warns about each feature that this rsync lacks.
pub fn warn_of_lacks(rsync: &Rsync) {
    for option in &rsync.capabilities.lacks {
        warning(format_args!("this rsync lacks {}: {}.", option.argument(), option.lack()));
    }
    if let Some(lost) = rsync.version.lost_times() {
        warning(format_args!("this rsync loses times: {lost}."));
    }
    if rsync.version < Version::KEEPS_CAPABILITIES {
        warning("this rsync loses the capabilities of files that do not belong to root.");
    }
}

/// Describes what `--open-noatime` does not do in this version, if it was requested.
#[must_use]
pub fn access_times(run: &Run<'_>, rsync: &Rsync) -> Option<&'static str> {
    let is_used = rsync.capabilities.has(Optional::OpenNoatime) && run.machine.host.rights.open_noatime();
    if !is_used || rsync.version >= Version::SPARES_DIRECTORIES {
        None
    } else if rsync.version.spares_files() {
        Some("access times of directories at the source change; those of files do not")
    } else {
        Some("access times at the source change, although this rsync takes --open-noatime")
    }
}

/// Warns about an rsync with known vulnerabilities.
pub fn warn_of_holes(rsync: &Rsync) {
    if rsync.version < Version::WITHOUT_KNOWN_HOLES {
        warning(format_args!(
            "rsync {} has known holes when root clones files of hostile users. Use {} or later, unless your \
             distribution has fixed this one.",
            rsync.version,
            Version::WITHOUT_KNOWN_HOLES
        ));
    }
}

/// Warns about what is not cloned without root.
pub fn warn_of_rights(run: &Run<'_>) {
    if !run.machine.host.is_root() {
        warning("not root: ownership and special files (devices, FIFOs, sockets) are not cloned.");
    }
    for lack in run.machine.host.rights.lacks() {
        let sentence = format!("root lacks {} here: {}.", lack.what, lack.effect);
        if lack.is_silent { run.warn(sentence) } else { warning(sentence) }
    }
}

/// Names what a clone of one filesystem leaves out: a forgotten `/home` would otherwise be noticed too late.
pub fn log_what_is_left_out(run: &Run<'_>, ends: &Endpoints) {
    for it in &ends.source.filesystems {
        let (path, kind) = (display::path(it.dir.path()), display::line(it.kind.as_bytes()));
        info!("{path} ({kind}) is part of this clone.");
    }
    warn_of_left_out(run, &ends.source, Some(&ends.destination.dir));
}

/// Does the same for a source whose destination may be unknown. With a view no mount is entered; without one, mounts of
/// the source's own filesystem are.
pub fn warn_of_left_out(run: &Run<'_>, source: &Source, destination: Option<&Dir>) {
    match run.machine.host.platform {
        Platform::Linux => {}
        // On macOS, a system's volumes are found and cloned one by one.
        Platform::MacOs(_) => return,
    }
    let place = match mounts::of(&source.dir) {
        Ok(Some(place)) => place,
        Ok(None) => return,
        Err(error) => {
            return warning(format_args!(
                "what is mounted below {} is not known ({}), and is not cloned.",
                display::path(source.dir.path()),
                display::reason(&error)
            ));
        }
    };
    let Some(home) = place.mount() else { return };
    let out = |point: &Path| source.is_system && exclusions::is_left_out(point);
    for mount in left_out(&place.table, source.dir.path(), out) {
        let is_entered = !source.dir.is_seen_through_view() && home.goes_on_into(mount);
        let is_part = source.filesystems.iter().any(|it| it.dir.path() == mount.point);
        if !is_entered && !is_part && destination.is_none_or(|dir| !dir.path().starts_with(&mount.point)) {
            warning(describe(source, mount, home));
        }
    }
}

fn describe(source: &Source, mount: &Mount, home: &Mount) -> String {
    let (point, kind) = (display::path(&mount.point), display::line(mount.kind.as_bytes()));
    let below = mount.point.strip_prefix(source.dir.path()).unwrap_or(&mount.point);
    // Examines what is below the mount point, not what is mounted there, which may be dead.
    let is_file = || source.dir.kind(below.as_os_str()).is_ok_and(|kind| kind == Some(SFlag::S_IFREG));
    if source.dir.is_seen_through_view() && is_file() {
        return format!("{point} is covered by a mount ({kind}). The file below it is cloned.");
    }
    if mount.device_number == home.device_number && mount.kind == "btrfs" {
        let root = display::path(&mount.root);
        return format!(
            "{point} is a btrfs subvolume ({root}) and is not cloned. Clone it in a separate run if it matters."
        );
    }
    if mount.device_number == home.device_number {
        let root = display::path(&mount.root);
        return format!(
            "{point} is a mount of {root} on the same filesystem ({kind}) and is not entered: {root} is cloned only if \
             it is below the source."
        );
    }
    format!(
        "{point} is another filesystem ({kind}) and is not cloned. Clone it in a separate run if it matters."
    )
}
