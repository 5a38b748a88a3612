//! What a run has left that was killed: it is known to this machine's state of the clone, and the next run deletes it.

use std::io;

use log::info;

use crate::display;
use crate::phases::endpoints::Endpoints;
use crate::phases::snapshot::origin::open;
use crate::run::Run;
use crate::state::left::Left;
use crate::state::{State, Store};
use crate::volume;
use crate::volume::{btrfs, lvm, mounts};

/// Changes the list of snapshots in this machine's state of the clone.
pub fn remember(run: &Run<'_>, change: impl FnOnce(&mut Vec<Left>)) -> io::Result<()> {
    let store = Store::new(&run.machine.host.state_dir);
    let (location, prefix) = (run.location(), &run.plan.prefix);
    let known = store.load(location, prefix)?;
    let mut state = known.unwrap_or_else(|| State::new(&location.resolved, prefix));
    change(&mut state.snapshots);
    store.save(location, prefix, &state)
}

/// Deletes what a run to this destination has left that was killed: we hold its lock, so that nobody works on it.
pub fn delete(run: &Run<'_>, ends: &Endpoints) {
    let left = run.remembered().map(|state| state.snapshots).unwrap_or_default();
    if left.is_empty() {
        return;
    }
    let mut gone = Vec::new();
    let mut tried = |it: &Left, deleted: io::Result<()>| match deleted {
        Ok(()) => {
            info!("Deleted the snapshot {} of a run that was killed.", it.shown());
            gone.push(it.clone());
        }
        Err(error) => warn(run, it, &error),
    };
    for it in &left {
        if let Some(group) = &it.group {
            tried(it, lvm::remove(run.machine, group, &it.name));
        }
    }
    let mut seen = Vec::new();
    for (_, dir) in ends.source.roots_on_btrfs() {
        let Ok(uuid) = btrfs::uuid_of(dir) else { continue };
        if seen.contains(&uuid) {
            continue;
        }
        let device = mounts::of(dir).map(|there| volume::device(there?.mount()?));
        let device = device.and_then(|it| it.ok_or_else(|| io::Error::other("its device is not known")));
        let filesystem = device.and_then(|device| open(&device, &uuid));
        for it in left.iter().filter(|it| it.group.is_none() && it.filesystem == uuid) {
            tried(
                it,
                match &filesystem {
                    Ok(filesystem) => filesystem.delete(&it.name),
                    Err(error) => Err(io::Error::other(display::reason(error))),
                },
            );
        }
        seen.push(uuid);
    }
    forget(run, |it| gone.contains(it));
}

/// Takes what is gone from the state. A failure is not told as one: the next run looks for it and finds nothing.
pub fn forget(run: &Run<'_>, is_gone: impl Fn(&Left) -> bool) {
    if let Err(error) = remember(run, |snapshots| snapshots.retain(|it| !is_gone(it))) {
        info!(
            "That a snapshot was deleted could not be saved in {} ({}): the next run looks for it again.",
            display::path(&run.machine.host.state_dir),
            display::reason(&error)
        );
    }
}

/// Says where a snapshot is that stays.
pub fn warn(run: &Run<'_>, left: &Left, error: &io::Error) {
    let where_to_find_it = match &left.group {
        Some(group) => {
            let name = format!("{group}/{}", left.name);
            format!("Remove it with lvremove {}.", display::line(name.as_bytes()))
        }
        None => format!(
            "It is in {} at the top of the filesystem {}; delete it with btrfs subvolume delete.",
            btrfs::PLACE,
            display::line(left.filesystem.as_bytes())
        ),
    };
    run.warn(format_args!(
        "The snapshot {} could not be deleted: {}. {where_to_find_it}",
        left.shown(),
        display::reason(error)
    ));
}
