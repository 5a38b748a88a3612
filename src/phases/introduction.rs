//! The first lines of the log: who clones what with what.

use log::info;

use super::Run;
use super::preflight::Rsync;
use crate::logging::warning;
use crate::rsync::capabilities::Optional;
use crate::rsync::version::Version;
use crate::shown;

/// Writes them.
pub fn log(run: &Run<'_>, rsync: &Rsync) {
    let plan = run.plan;
    info!("Counterpart {} on {}, {}.", env!("CARGO_PKG_VERSION"), run.host.name, run.host.platform);
    info!("rsync: {}, version {}.", shown::path(&rsync.path), rsync.version);
    info!("Source: {}", shown::path(&plan.source));
    info!("Destination: {}", shown::path(&plan.destination));
    info!("Prefix: {}", plan.prefix);
    if plan.test_run {
        info!("This is a test run: nothing is changed.");
    }
    for option in &rsync.capabilities.lacks {
        // A progress bar is nothing that a clone could lack.
        if *option != Optional::Progress {
            warning(format_args!("this rsync lacks {}: {}.", option.argument(), option.lack()));
        }
    }
    if rsync.version < Version::WITHOUT_KNOWN_HOLES {
        warning(format_args!(
            "rsync {} has known holes when root clones files of hostile users. Use {} or later, unless your \
             distribution has mended this one.",
            rsync.version,
            Version::WITHOUT_KNOWN_HOLES
        ));
    }
    if !run.host.is_root() {
        warning("not root: ownership and special files (devices, FIFOs, sockets) are not cloned.");
    }
}
