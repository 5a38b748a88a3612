//! Freezes the source: from here on the clone is made from read-only snapshots, whose files are all of one moment (btrfs).
//!
//! They are deleted when the run ends, whatever ends it. What a killed run has left is known to this machine's state of
//! the clone, and the next run deletes it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use log::info;

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::{Dir, random_hex};
use crate::host::platform::Platform;
use crate::phases::endpoints::{Endpoints, SOURCE, filesystems};
use crate::phases::survey::memory::Stamp;
use crate::plan::frozen::Frozen;
use crate::run::Run;
use crate::state::left::Left;
use crate::state::{State, Store};
use crate::volume;
use crate::volume::btrfs::{self, Filesystem, Subvolume};
use crate::volume::mounts;
use crate::volume::view::{Part, View};

/// The snapshots that a run works on; they are deleted with this.
#[derive(Debug)]
pub struct Snapshots<'r, 'a> {
    run: &'r Run<'a>,
    made: Vec<Made>,
    /// Directly before the first was taken: by the clock that stamps changes, and by one that is never set.
    pub began: (Stamp, Instant),
    /// Nothing of the source is cloned but from a snapshot.
    pub are_whole: bool,
}

#[derive(Debug)]
struct Made {
    filesystem: Filesystem,
    name: String,
}

/// What is to be frozen.
struct Wanted {
    /// Where it is, relative to the source.
    place: PathBuf,
    device: PathBuf,
    uuid: String,
    subvolume: Subvolume,
}

/// Takes the snapshots that the plan asks for, and shows them to the run in place of the source.
pub fn take<'r, 'a>(run: &'r Run<'a>, ends: &mut Endpoints) -> Result<Option<Snapshots<'r, 'a>>, Failure> {
    run.go_on()?;
    delete_left(run, ends);
    if !is_wanted(run, ends) {
        return Ok(None);
    }
    let is_required = run.plan.snapshot == Frozen::Require;
    let wanted = match wanted(run, ends) {
        Ok(wanted) => wanted,
        Err(why) if is_required => return Err(refused(run, why)),
        Err(why) => {
            live(&why);
            return Ok(None);
        }
    };
    let _phase = run.phase("snapshot");
    match make(run, ends, &wanted) {
        Ok((snapshots, parts)) => {
            show(ends, &wanted, &parts).map_err(|error| refused(run, display::reason(&error)))?;
            log(run, ends, &wanted);
            Ok(Some(snapshots))
        }
        Err(error) if is_required => Err(refused(run, display::reason(&error))),
        // So it is every night, and nobody has asked for one.
        Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
            live(&display::reason(&error));
            Ok(None)
        }
        Err(error) => {
            run.warn_publicly(format_args!(
                "the source is cloned while it changes, since no snapshot of it could be taken: {}.",
                display::reason(&error)
            ));
            Ok(None)
        }
    }
}

/// Logs why the source is cloned as it is.
fn live(why: &str) {
    info!("The source is cloned while it changes, since no snapshot of it can be taken: {why}.");
}

/// The refusal of a clone that is to be made from snapshots, for this reason.
#[must_use]
pub fn refused(run: &Run<'_>, why: String) -> Failure {
    Failure::NoSnapshot { path: run.plan.source.clone(), why: why.into() }
}

/// Whether a clone of these ends is to be made from snapshots.
#[must_use]
pub fn is_wanted(run: &Run<'_>, ends: &Endpoints) -> bool {
    match run.plan.snapshot {
        Frozen::Never => false,
        Frozen::Auto => ends.source.is_system,
        Frozen::Require => true,
    }
}

/// What a clone of these ends would be made from, for the doctor: the paths, or why it is the living source.
pub fn foresee(run: &Run<'_>, ends: &Endpoints) -> Result<Vec<PathBuf>, String> {
    let wanted = wanted(run, ends)?;
    Ok(wanted.iter().map(|it| shown(ends, it)).collect())
}

/// Finds what can be frozen: the source itself, and of the filesystems below it those that are btrfs as well.
fn wanted(run: &Run<'_>, ends: &Endpoints) -> Result<Vec<Wanted>, String> {
    if !matches!(run.machine.host.platform, Platform::Linux) {
        return Err("Counterpart takes snapshots of btrfs alone, which is not on this system".to_owned());
    }
    if ends.view.as_ref().is_none_or(View::follows_links) {
        return Err("that takes root and Linux 5.10, and a private view of source and destination".to_owned());
    }
    if ends.source.roots_on_btrfs().next().is_none_or(|(place, _)| place != Path::new("")) {
        return Err("it is not on btrfs".to_owned());
    }
    ends.source
        .roots_on_btrfs()
        .map(|(place, dir)| {
            let unknown =
                |error: &io::Error| format!("{}: {}", display::path(dir.path()), display::reason(error));
            Ok(Wanted {
                place: place.to_owned(),
                device: device_of(dir).map_err(|error| unknown(&error))?,
                uuid: btrfs::uuid_of(dir).map_err(|error| unknown(&error))?,
                subvolume: Subvolume::of(dir).map_err(|error| unknown(&error))?,
            })
        })
        .collect()
}

fn device_of(dir: &Dir) -> io::Result<PathBuf> {
    let there = mounts::of(dir)?;
    let device = there.as_ref().and_then(|there| volume::device(there.mount()?));
    device.ok_or_else(|| io::Error::other("its device is not known"))
}

/// Opens the filesystem with this UUID on a device.
fn open(device: &Path, uuid: &str) -> io::Result<Filesystem> {
    let filesystem = Filesystem::open(device)?;
    if filesystem.uuid() == uuid {
        Ok(filesystem)
    } else {
        Err(io::Error::other("its device holds another filesystem"))
    }
}

/// Takes all of them, one directly after the other.
fn make<'r, 'a>(
    run: &'r Run<'a>,
    ends: &Endpoints,
    wanted: &[Wanted],
) -> io::Result<(Snapshots<'r, 'a>, Vec<btrfs::Snapshot>)> {
    let mut made = Vec::with_capacity(wanted.len());
    for it in wanted {
        let filesystem = open(&it.device, &it.uuid)?;
        made.push(Made { filesystem, name: format!("counterpart-{}", random_hex(8)?) });
    }
    // Known before they exist: whatever kills this run, the next one finds them.
    let left = made.iter().map(Made::left);
    remember(run, |snapshots| snapshots.extend(left))?;
    let are_whole = wanted.len() == ends.source.filesystems.len() + 1;
    let snapshots = Snapshots { run, made, began: (Stamp::now()?, Instant::now()), are_whole };
    for (made, it) in snapshots.made.iter().zip(wanted) {
        made.filesystem.snapshot(&it.subvolume, &made.name)?;
    }
    let parts = snapshots.made.iter().zip(wanted);
    let parts = parts.map(|(made, it)| made.filesystem.mount(&made.name, &it.subvolume));
    let parts = parts.collect::<io::Result<Vec<_>>>()?;
    Ok((snapshots, parts))
}

/// Lets the run see the snapshots in place of what they were taken of.
fn show(ends: &mut Endpoints, wanted: &[Wanted], parts: &[btrfs::Snapshot]) -> io::Result<()> {
    let view = ends.view.as_ref().ok_or_else(|| io::Error::other("there is no private view"))?;
    let of = |place: &Path| wanted.iter().position(|it| it.place == place).and_then(|at| parts.get(at));
    let root = Path::new("");
    let source = Part { place: root, now: &ends.source.dir, snapshot: of(root) };
    let below = ends.source.filesystems.iter();
    let below = below.map(|it| Part { place: &it.place, now: &it.dir, snapshot: of(&it.place) });
    let (dir, roots) = view.replace(SOURCE, &source, &below.collect::<Vec<_>>())?;
    ends.source.dir = dir;
    for (it, root) in ends.source.filesystems.iter_mut().zip(roots) {
        it.dir = root;
    }
    ends.source.points = filesystems::points(&ends.source.filesystems)?;
    Ok(())
}

fn shown(ends: &Endpoints, it: &Wanted) -> PathBuf {
    if it.place == Path::new("") {
        ends.source.dir.path().to_owned()
    } else {
        ends.source.dir.path().join(&it.place)
    }
}

fn log(run: &Run<'_>, ends: &Endpoints, wanted: &[Wanted]) {
    let frozen: Vec<String> = wanted.iter().map(|it| display::path(&shown(ends, it)).to_string()).collect();
    let what = if frozen.len() == 1 { "a snapshot" } else { "snapshots" };
    info!("The clone is made from {what} of {} (btrfs).", frozen.join(", "));
    run.note(|journal| journal.snapshots = frozen);
    for it in &ends.source.filesystems {
        if !wanted.iter().any(|frozen| frozen.place == it.place) {
            info!("{} ({}) is cloned while it changes.", display::path(it.dir.path()), it.kind);
        }
    }
}

/// Changes the list of snapshots in this machine's state of the clone.
fn remember(run: &Run<'_>, change: impl FnOnce(&mut Vec<Left>)) -> io::Result<()> {
    let store = Store::new(&run.machine.host.state_dir);
    let (location, prefix) = (run.location(), &run.plan.prefix);
    let known = store.load(location, prefix)?;
    let mut state = known.unwrap_or_else(|| State::new(&location.resolved, prefix));
    change(&mut state.snapshots);
    store.save(location, prefix, &state)
}

/// Deletes what a run to this destination has left that was killed: we hold its lock, so that nobody works on it.
fn delete_left(run: &Run<'_>, ends: &Endpoints) {
    let left = run.remembered().map(|state| state.snapshots).unwrap_or_default();
    if left.is_empty() {
        return;
    }
    let (mut tried, mut gone) = (Vec::new(), Vec::new());
    for (_, dir) in ends.source.roots_on_btrfs() {
        let Ok(uuid) = btrfs::uuid_of(dir) else { continue };
        let filesystem = device_of(dir).and_then(|device| open(&device, &uuid));
        for it in left.iter().filter(|it| it.filesystem == uuid) {
            if tried.contains(&it) {
                continue;
            }
            tried.push(it);
            let deleted = match &filesystem {
                Ok(filesystem) => filesystem.delete(&it.name),
                Err(error) => Err(io::Error::other(display::reason(error))),
            };
            match deleted {
                Ok(()) => {
                    info!("Deleted the snapshot {} of a run that was killed.", it.shown());
                    gone.push(it);
                }
                Err(error) => warn_of_left(run, it, &error),
            }
        }
    }
    forget(run, |it| gone.contains(&it));
}

/// Takes what is gone from the state. A failure is not told as one: the next run looks for it and finds nothing.
fn forget(run: &Run<'_>, is_gone: impl Fn(&Left) -> bool) {
    if let Err(error) = remember(run, |snapshots| snapshots.retain(|it| !is_gone(it))) {
        info!(
            "That a snapshot was deleted could not be saved in {} ({}): the next run looks for it again.",
            display::path(&run.machine.host.state_dir),
            display::reason(&error)
        );
    }
}

fn warn_of_left(run: &Run<'_>, left: &Left, error: &io::Error) {
    run.warn(format_args!(
        "The snapshot {} could not be deleted: {}. It is in {} at the top of the filesystem {}; delete it with btrfs \
         subvolume delete.",
        left.shown(),
        display::reason(error),
        btrfs::PLACE,
        display::line(left.filesystem.as_bytes())
    ));
}

impl Made {
    fn left(&self) -> Left {
        Left { filesystem: self.filesystem.uuid().to_owned(), name: self.name.clone() }
    }
}

impl Drop for Snapshots<'_, '_> {
    fn drop(&mut self) {
        let mut gone = Vec::new();
        for made in &self.made {
            match made.filesystem.delete(&made.name) {
                Ok(()) => gone.push(made.left()),
                Err(error) => warn_of_left(self.run, &made.left(), &error),
            }
        }
        forget(self.run, |it| gone.contains(it));
    }
}
