//! What a destination is to us: the first clone to a disk needs the user's consent for whatever would be lost there.

use std::io;

use nix::sys::stat::SFlag;

use crate::failure::Failure;
use crate::marker::{Marker, Prefix};
use crate::phases::endpoints::{Destination, is_filesystems_own};
use crate::run::Run;

/// What the destination is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It holds nothing that could be lost.
    Empty,
    /// It has one of our markers.
    Clone,
    /// It holds something and has no marker.
    Stranger,
}

/// Whether the destination holds anything, has none of our markers, and `--adopt` was not given.
pub fn needs_leave(run: &Run<'_>, destination: &Destination) -> Result<bool, Failure> {
    Ok(standing(run, destination)? == Standing::Stranger && !run.plan.adopt)
}

/// Checks whether the destination holds anything and has one of our markers.
pub fn standing(run: &Run<'_>, destination: &Destination) -> Result<Standing, Failure> {
    run.go_on()?;
    let unusable = |error: io::Error| Failure::DestinationUnusable {
        path: run.plan.destination.clone(),
        why: error.into(),
    };
    if holds_nothing(run, destination).map_err(unusable)? {
        return Ok(Standing::Empty);
    }
    for prefix in [&run.plan.prefix, &Prefix::default()] {
        for marker in Marker::OWNING {
            if destination.dir.kind(&prefix.marker(marker)).map_err(unusable)? == Some(SFlag::S_IFREG) {
                return Ok(Standing::Clone);
            }
        }
    }
    Ok(Standing::Stranger)
}

/// Whether there is nothing to lose.
fn holds_nothing(run: &Run<'_>, destination: &Destination) -> io::Result<bool> {
    for name in destination.dir.names()? {
        // The filesystem's own directories do not count, but their contents may.
        let is_empty = is_filesystems_own(run.machine.host.platform, &name)
            && destination.dir.enter(&name).and_then(|own| own.names()).is_ok_and(|names| names.is_empty());
        if !is_empty {
            return Ok(false);
        }
    }
    Ok(true)
}
