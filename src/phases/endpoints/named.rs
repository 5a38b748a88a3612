//! A destination that is named by a tag: mounted before anything looks at it, for this run alone.

use log::info;

use crate::fs::dir::Dir;
use crate::fs::location::{Location, of_filesystem};
use crate::host::machine::Machine;
use crate::host::platform::Platform;
use crate::logging::warning;
use crate::plan::Plan;
use crate::run::{Mode, Run, Whereabouts};
use crate::state::Store;
use crate::volume;
use crate::volume::named;
use crate::volume::named::{Purpose, Wanted};

/// The destination's mount, which lasts as long as this.
#[derive(Debug)]
pub struct Mount<'a> {
    named: Option<named::Named<'a>>,
    whereabouts: Whereabouts,
}

/// Mounts the destination, if it is named by a tag. What goes wrong is reported by the phase that opens it.
///
/// This comes before the log, so that the log is not written below the destination, and before any thread that has to
/// see the mount is started.
#[must_use]
pub fn mount<'a>(plan: &Plan, machine: Machine<'a>, mode: Mode) -> Mount<'a> {
    let Some(tag) = &plan.named else { return Mount { named: None, whereabouts: Whereabouts::AtPath } };
    let wanted = Wanted {
        tag,
        key_file: plan.key_file.as_deref(),
        prefix: &plan.prefix,
        purpose: if mode.writes() { Purpose::Write } else { Purpose::Examine },
    };
    match named::mount(machine, &wanted) {
        Ok(named) => {
            let (point, uuid) = (named.point().to_owned(), named.uuid.clone());
            Mount { named: Some(named), whereabouts: Whereabouts::Mounted { point, uuid } }
        }
        Err(why) => Mount { named: None, whereabouts: Whereabouts::Nowhere(why) },
    }
}

impl Mount<'_> {
    /// Where the destination is found.
    #[must_use]
    pub fn whereabouts(&self) -> Whereabouts {
        self.whereabouts.clone()
    }

    /// Writes to the log what was found.
    pub fn log(&self, run: &Run<'_>) {
        let Some(named) = &self.named else { return };
        for remark in &named.remarks {
            info!("{remark}");
        }
        for sentence in &named.warnings {
            if run.mode.writes() { run.warn_publicly(sentence) } else { warning(sentence) }
        }
    }
}

/// Settles under which name a destination given by its path is known: one that is the root of a filesystem may be known
/// by that.
pub fn settle(run: &Run<'_>, dir: &Dir) {
    let (given, prefix) = (&run.plan.destination, &run.plan.prefix);
    let store = Store::new(&run.machine.host.state_dir);
    let by_path = Location::of(given);
    if run.plan.named.is_some() || !store.has_filesystems() || store.has(&by_path.resolved, prefix) {
        return;
    }
    let filesystem = volume::of(run, dir);
    let Some(uuid) = filesystem.uuid.filter(|_| is_root(run, dir) && filesystem.mount_point == dir.path())
    else {
        return;
    };
    if store.has(&of_filesystem(&uuid), prefix) {
        run.settle_location(Location::filesystem(given, &uuid));
    } else {
        run.settle_location(Location { filesystem: Some(uuid), ..by_path });
    }
}

/// Whether a mount point shows the root of its filesystem.
fn is_root(run: &Run<'_>, dir: &Dir) -> bool {
    match run.machine.host.platform {
        Platform::MacOs(_) => true,
        Platform::Linux => volume::mounts::of(dir)
            .ok()
            .flatten()
            .is_some_and(|place| place.mount().is_some_and(|mount| mount.root.as_os_str() == "/")),
    }
}
