//! The first lines of the log: who clones what with what.

use log::info;

use super::endpoints::Endpoints;
use super::preflight::Rsync;
use super::{Run, journal, mounts};
use crate::host::folder::Folder;
use crate::host::platform::Platform;
use crate::linux::mounts::left_out;
use crate::logging::warning;
use crate::rsync::capabilities::Optional;
use crate::rsync::version::Version;
use crate::shown;

/// Writes them.
pub fn log(run: &Run<'_>, rsync: &Rsync) {
    let plan = run.plan;
    run.note(|notes| notes.rsync = Some(journal::describe(rsync)));
    info!("Counterpart {} on {}, {}.", env!("CARGO_PKG_VERSION"), run.host.name, run.host.platform);
    info!("rsync: {}, version {}.", shown::path(&rsync.path), rsync.version);
    info!("Source: {}", shown::path(&plan.source));
    info!("Destination: {}", shown::path(&plan.destination));
    info!("Prefix: {}", plan.prefix);
    if plan.test_run {
        info!("This is a test run: nothing is changed.");
    }
    warn_of_lacks(rsync);
    warn_of_holes(rsync);
    warn_of_rights(run);
}

/// Warns of each thing that this rsync cannot do.
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

/// Says what `--open-noatime` does not do in this version, for those who ask.
#[must_use]
pub fn access_times(run: &Run<'_>, rsync: &Rsync) -> Option<&'static str> {
    let is_used = rsync.capabilities.has(Optional::OpenNoatime) && run.host.rights.open_noatime();
    if !is_used || rsync.version >= Version::SPARES_DIRECTORIES {
        None
    } else if rsync.version.spares_files() {
        Some("access times of directories at the source change; those of files do not")
    } else {
        Some("access times at the source change, although this rsync takes --open-noatime")
    }
}

/// Warns of an rsync with known holes.
pub fn warn_of_holes(rsync: &Rsync) {
    if rsync.version < Version::WITHOUT_KNOWN_HOLES {
        warning(format_args!(
            "rsync {} has known holes when root clones files of hostile users. Use {} or later, unless your \
             distribution has mended this one.",
            rsync.version,
            Version::WITHOUT_KNOWN_HOLES
        ));
    }
}

/// Warns of what is not cloned without root.
pub fn warn_of_rights(run: &Run<'_>) {
    if !run.host.is_root() {
        warning("not root: ownership and special files (devices, FIFOs, sockets) are not cloned.");
    }
    for lack in run.host.rights.lacks() {
        let sentence = format!("root lacks {} here: {}.", lack.what, lack.effect);
        if lack.is_silent { run.warn(sentence) } else { warning(sentence) }
    }
}

/// Names what a clone of one filesystem does not reach: a forgotten `/home` would otherwise be missed when it is needed.
pub fn log_what_is_left_out(run: &Run<'_>, ends: &Endpoints) {
    warn_of_left_out(run, &ends.source.folder, Some(&ends.destination.folder));
}

/// The same for a source whose destination may not be known.
pub fn warn_of_left_out(run: &Run<'_>, source: &Folder, destination: Option<&Folder>) {
    match run.host.platform {
        Platform::Linux => {
            // Where the table cannot be read there is nothing to name.
            let Ok((id, table)) = mounts::of(source) else { return };
            for mount in left_out(&table, id, source.path()) {
                if destination.is_none_or(|folder| !folder.path().starts_with(&mount.point)) {
                    warning(format_args!(
                        "{} is another filesystem ({}) and is not cloned. Clone it with a run of its own if it matters.",
                        shown::path(&mount.point),
                        mount.kind
                    ));
                }
            }
        }
        // There a system's volumes are found and cloned one by one.
        Platform::MacOs(_) => {}
    }
}
