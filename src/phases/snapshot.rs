//! Freezes the source: from here on the clone is made from read-only snapshots, whose files are all of one moment (btrfs,
//! LVM).
//!
//! They are deleted once the clone is made, however that ends. What a killed run has left is known to this machine's
//! state of the clone, and the next run deletes it.

mod left;
mod origin;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use log::info;

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::host::platform::Platform;
use crate::phases::endpoints::{Endpoints, SOURCE, filesystems};
use crate::phases::survey::memory::Stamp;
use crate::plan::frozen::Frozen;
use crate::run::Run;
use crate::volume::snapshot::Snapshot;
use crate::volume::view::{Part, View};
use origin::{Made, Origin};

/// The snapshots that a run works on.
#[derive(Debug)]
pub struct Snapshots<'r, 'a> {
    run: &'r Run<'a>,
    made: Vec<Made<'a>>,
    /// Directly before the first was taken: by the clock that stamps changes, and by one that is never set.
    pub began: (Stamp, Instant),
    /// Nothing of the source is cloned but from a snapshot.
    pub are_whole: bool,
    /// The source as it was claimed, and the filesystems below it.
    claimed: Vec<Dir>,
}

/// The source, frozen if it can be and is to be.
#[derive(Debug)]
pub struct Source<'r, 'a>(Option<Snapshots<'r, 'a>>);

/// Takes the snapshots that the plan asks for, and shows them to the run in place of the source.
pub fn take<'r, 'a>(run: &'r Run<'a>, ends: &mut Endpoints) -> Result<Source<'r, 'a>, Failure> {
    run.go_on()?;
    left::delete(run, ends);
    if !is_wanted(run, ends) {
        return Ok(Source(None));
    }
    let is_required = run.plan.snapshot == Frozen::Require;
    let wanted = match wanted(run, ends) {
        Ok(wanted) => wanted,
        Err(why) if is_required => return Err(refused(run, why)),
        Err(why) => {
            live(&why);
            return Ok(Source(None));
        }
    };
    let _phase = run.phase("snapshot");
    match make(run, ends, &wanted) {
        Ok((mut snapshots, parts)) => {
            let shown = show(ends, &wanted, &parts);
            drop(parts);
            match shown {
                Ok(claimed) => {
                    snapshots.claimed = claimed;
                    log(run, ends, &wanted);
                    Ok(Source(Some(snapshots)))
                }
                Err(error) => {
                    snapshots.end(ends);
                    Err(refused(run, display::reason(&error)))
                }
            }
        }
        Err(error) if is_required => Err(refused(run, display::reason(&error))),
        // So it is every night, and nobody has asked for one.
        Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
            live(&display::reason(&error));
            Ok(Source(None))
        }
        Err(error) => {
            run.warn_publicly(format_args!(
                "the source is cloned while it changes, since no snapshot of it could be taken: {}.",
                display::reason(&error)
            ));
            Ok(Source(None))
        }
    }
}

impl<'r, 'a> Source<'r, 'a> {
    /// Does what needs the source, and then lets it go: the snapshots are deleted, whatever has come of it.
    pub fn during<T>(
        self,
        ends: &mut Endpoints,
        work: impl FnOnce(&Endpoints, &Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let done = work(ends, &self);
        if let Some(snapshots) = self.0 {
            snapshots.end(ends);
        }
        done
    }

    /// The snapshots, if there are any.
    #[must_use]
    pub fn snapshots(&self) -> Option<&Snapshots<'r, 'a>> {
        self.0.as_ref()
    }

    /// What has come of reading the source: nothing that counts if a snapshot does not show it any more.
    pub fn judge<T>(&self, read: Result<T, Failure>) -> Result<T, Failure> {
        let Some(snapshots) = &self.0 else { return read };
        if matches!(read, Err(Failure::Interrupted { .. })) {
            return read;
        }
        match snapshots.made.iter().find_map(Made::why_lost) {
            None => read,
            Some(why) => {
                Err(Failure::SnapshotLost { path: snapshots.run.plan.source.clone(), why: why.into() })
            }
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

/// What a clone of these ends would be made from, for the doctor: the paths, and how each is frozen; or why it is the living
/// source.
pub fn foresee(run: &Run<'_>, ends: &Endpoints) -> Result<Vec<String>, String> {
    Ok(wanted(run, ends)?.iter().map(|it| told(ends, it)).collect())
}

/// Finds what can be frozen: the source itself, and of the filesystems below it those that can as well.
fn wanted(run: &Run<'_>, ends: &Endpoints) -> Result<Vec<Origin>, String> {
    if !matches!(run.machine.host.platform, Platform::Linux) {
        return Err(
            "Counterpart takes snapshots of btrfs and of LVM, which are not on this system".to_owned()
        );
    }
    if ends.view.as_ref().is_none_or(View::follows_links) {
        return Err("that takes root and Linux 5.10, and a private view of source and destination".to_owned());
    }
    let mut wanted = Vec::new();
    for (place, dir) in ends.source.roots() {
        match origin(run, (place, dir), &wanted) {
            Ok(Some(origin)) => wanted.push(origin),
            Ok(None) if wanted.is_empty() => return Err("it is neither on btrfs nor on LVM".to_owned()),
            Ok(None) => {}
            // Nobody has asked for a snapshot of that one.
            Err(why) if !wanted.is_empty() && run.plan.snapshot == Frozen::Auto => {
                info!("No snapshot is taken of {}: {why}.", display::path(dir.path()));
            }
            Err(why) => return Err(format!("{}: {why}", display::path(dir.path()))),
        }
    }
    Ok(wanted)
}

/// What freezes one filesystem of the source; `None` if nothing does. Errors with the reason if nothing can now, or would
/// have too little room.
fn origin(run: &Run<'_>, at: (&Path, &Dir), before: &[Origin]) -> Result<Option<Origin>, String> {
    let found = Origin::of(run.machine, at, run.plan.snapshot_size, before);
    let found = found.map_err(|error| display::reason(&error))?;
    match found {
        Some(origin) if run.plan.snapshot == Frozen::Auto && origin.is_cramped() => {
            Err(format!("it would have room for less than {}% of it ({origin})", origin::LEAST))
        }
        found => Ok(found),
    }
}

/// Takes all of them, one directly after the other.
fn make<'r, 'a>(
    run: &'r Run<'a>,
    ends: &Endpoints,
    wanted: &[Origin],
) -> io::Result<(Snapshots<'r, 'a>, Vec<Snapshot>)> {
    let made = wanted.iter().map(|it| it.prepare(run.machine)).collect::<io::Result<Vec<_>>>()?;
    // Known before they exist: whatever kills this run, the next one finds them.
    let left: Vec<_> = made.iter().map(Made::left).collect();
    left::remember(run, |snapshots| snapshots.extend(left))?;
    let are_whole = wanted.len() == ends.source.filesystems.len() + 1;
    let began = (Stamp::now()?, Instant::now());
    let snapshots = Snapshots { run, made, began, are_whole, claimed: Vec::new() };
    for (made, it) in snapshots.made.iter().zip(wanted) {
        it.take(made)?;
    }
    let parts = snapshots.made.iter().zip(wanted).map(|(made, it)| it.mount(made));
    let parts = parts.collect::<io::Result<Vec<_>>>()?;
    Ok((snapshots, parts))
}

/// Lets the run see the snapshots in place of what they were taken of, which is returned.
fn show(ends: &mut Endpoints, wanted: &[Origin], parts: &[Snapshot]) -> io::Result<Vec<Dir>> {
    let view = ends.view.as_ref().ok_or_else(|| io::Error::other("there is no private view"))?;
    let of = |place: &Path| wanted.iter().position(|it| it.place == place).and_then(|at| parts.get(at));
    let root = Path::new("");
    let source = Part { place: root, now: &ends.source.dir, snapshot: of(root) };
    let below = ends.source.filesystems.iter();
    let below = below.map(|it| Part { place: &it.place, now: &it.dir, snapshot: of(&it.place) });
    let (dir, roots) = view.replace(SOURCE, &source, &below.collect::<Vec<_>>())?;
    let mut claimed = vec![std::mem::replace(&mut ends.source.dir, dir)];
    for (it, root) in ends.source.filesystems.iter_mut().zip(roots) {
        claimed.push(std::mem::replace(&mut it.dir, root));
    }
    ends.source.points = filesystems::points(&ends.source.filesystems)?;
    Ok(claimed)
}

fn shown(ends: &Endpoints, it: &Origin) -> PathBuf {
    if it.place == Path::new("") {
        ends.source.dir.path().to_owned()
    } else {
        ends.source.dir.path().join(&it.place)
    }
}

/// `/home (btrfs)`
fn told(ends: &Endpoints, it: &Origin) -> String {
    format!("{} ({it})", display::path(&shown(ends, it)))
}

fn log(run: &Run<'_>, ends: &Endpoints, wanted: &[Origin]) {
    let frozen = wanted.iter().map(|it| display::path(&shown(ends, it)).to_string()).collect();
    let told: Vec<String> = wanted.iter().map(|it| told(ends, it)).collect();
    let what = if told.len() == 1 { "a snapshot" } else { "snapshots" };
    info!("The clone is made from {what} of {}.", told.join(", "));
    run.note(|journal| journal.snapshots = frozen);
    for it in &ends.source.filesystems {
        if !wanted.iter().any(|frozen| frozen.place == it.place) {
            info!("{} ({}) is cloned while it changes.", display::path(it.dir.path()), it.kind);
        }
    }
}

impl Snapshots<'_, '_> {
    /// Lets go of what was shown, which keeps a volume in use, and deletes the snapshots.
    fn end(mut self, ends: &mut Endpoints) {
        // What cannot be hidden is deleted all the same, if it can be.
        if let Some(Err(error)) = ends.view.as_ref().map(|view| view.hide(SOURCE)) {
            info!("The view of the source could not be closed: {}.", display::reason(&error));
        }
        let mut claimed = std::mem::take(&mut self.claimed).into_iter();
        let shown = ends.source.filesystems.iter_mut().map(|it| &mut it.dir);
        for (dir, claimed) in [&mut ends.source.dir].into_iter().chain(shown).zip(claimed.by_ref()) {
            *dir = claimed;
        }
    }
}

impl Drop for Snapshots<'_, '_> {
    fn drop(&mut self) {
        let mut gone = Vec::new();
        for made in &self.made {
            match made.delete() {
                Ok(()) => gone.push(made.left()),
                Err(error) => left::warn(self.run, &made.left(), &error),
            }
        }
        left::forget(self.run, |it| gone.contains(it));
    }
}
