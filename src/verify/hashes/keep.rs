//! `--hashes`: a run that has made a complete clone keeps the hashes of its files.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use log::info;

use crate::display;
use crate::display::words::{count, took};
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::fs::walk::walk;
use crate::logging::warning;
use crate::outcome::Outcome;
use crate::phases::endpoints::identity;
use crate::phases::survey::memory::Stamp;
use crate::plan::hashes::Kept as Where;
use crate::record::Hashing;
use crate::run::Run;
use crate::state::Store;
use crate::verify::daily::Made;
use crate::verify::hashes::file::{Hashes, Header, Writer};
use crate::verify::hashes::keeper::{Ground, Keeper, Kept};

/// Keeps the hashes of a complete clone, if that is wanted. A file that cannot be read for it is damage; its markers stay,
/// as the copy is as complete as before.
#[must_use]
pub fn keep(run: &Run<'_>, made: Made<'_>, outcome: Outcome) -> Outcome {
    let Some(place) = run.plan.hashes else { return outcome };
    match outcome {
        Outcome::Completed | Outcome::Vanished => {}
        Outcome::Flawed(_) | Outcome::TestRun | Outcome::Skipped | Outcome::Failed(_) => return outcome,
    }
    let _phase = run.phase("hashes");
    let kept = match try_keep(run, made, place) {
        Ok(kept) => kept,
        Err(_) if run.machine.interrupts.received().is_some() => {
            info!("Only the hashing of it was interrupted.");
            return run.go_on().err().map_or(outcome, Outcome::Flawed);
        }
        // The copy is complete, and nothing is known against it.
        Err(error) => {
            run.warn_publicly(format_args!(
                "the hashes of the clone in {} could not be kept in {}: {}. The next run tries again.",
                display::path(&run.plan.destination),
                display::path(&run.machine.host.state_dir),
                display::reason(&error)
            ));
            return outcome;
        }
    };
    for (path, why) in &kept.unreadable {
        warning(format_args!("damaged: {}: it cannot be read: {why}.", display::path(path)));
    }
    for (path, why) in &kept.left {
        run.warn(format_args!("no hashes are kept of {}: {why}.", display::path(path)));
    }
    match kept.damaged {
        0 => outcome,
        number => Outcome::Flawed(Failure::Damaged { path: run.plan.destination.clone(), number }),
    }
}

fn try_keep(run: &Run<'_>, made: Made<'_>, place: Where) -> io::Result<Kept> {
    let destination = &made.ends.destination;
    let clone = identity::id(run, &destination.dir)?;
    let state = Dir::open_or_create(&run.machine.host.state_dir, 0o755)?;
    let own = Store::hashes_name(run.location(), &run.plan.prefix);
    for left in state.names_that(|found| Dir::is_temporary(found, &own))? {
        state.remove(&left)?;
    }
    let old = last(&state, &own, &clone).or_else(|| {
        last(&destination.dir, &run.plan.prefix.hashes(), &clone).filter(|_| place == Where::Both)
    });
    let (file, temporary) = state.temporary(&own, 0o600)?;
    let written = write(run, made, clone, old.as_ref(), file);
    let written = written.and_then(|(file, entries, kept)| {
        state.commit(&file, &temporary, &own)?;
        Ok((entries, kept))
    });
    let (entries, kept) = written.inspect_err(|_| {
        // The first error is the one to report.
        let _ = state.remove(&temporary);
    })?;
    let on_clone = place == Where::Both && copy(run, &state.path().join(&own), &destination.dir);
    let hashing = Hashing { entries, files_read: kept.files, bytes_read: kept.bytes, on_clone };
    run.note(|journal| journal.hashes = Some(hashing));
    Ok(kept)
}

/// The hashes that were kept last, if they are of this clone.
fn last(dir: &Dir, name: &OsStr, clone: &str) -> Option<Hashes> {
    match Hashes::open(dir, name) {
        Ok(hashes) => hashes.filter(|hashes| hashes.header.clone == clone),
        Err(error) => {
            let path = dir.shown().join(name);
            let why = display::reason(&error);
            info!("The hashes in {} cannot be used: {why}.", display::path(&path));
            None
        }
    }
}

/// Walks the clone; returns the file, and how many entries are in it.
fn write(
    run: &Run<'_>,
    made: Made<'_>,
    clone: String,
    old: Option<&Hashes>,
    file: File,
) -> io::Result<(File, u64, Kept)> {
    let clock = std::time::Instant::now();
    let kept = Stamp::about_now();
    // With another one nothing would be known again.
    let mut key = old.map_or([0; 16], |old| old.header.key);
    if old.is_none() {
        getrandom::fill(&mut key).map_err(io::Error::other)?;
    }
    let header = Header { clone, key, started: run.started.timestamp(), kept };
    let busy = run.screen().busy("Hashing what is new");
    let ground = Ground {
        interrupts: run.machine.interrupts,
        prefix: &run.plan.prefix,
        apart: made.rules.apart.iter().map(|path| path.as_encoded_bytes()).collect(),
        key,
        began: kept,
    };
    let old = old.map(Hashes::read).transpose()?;
    let mut keeper = Keeper::new(ground, old, Writer::new(file, &header));
    let walked = walk(&made.ends.destination.dir, &mut keeper);
    let (mut kept, writer) = keeper.end();
    drop(busy);
    if let Some(error) = kept.failed.take() {
        return Err(error);
    }
    walked?;
    let (file, entries) = writer.end()?;
    info!(
        "Hashes are kept of {} files and links; {} files were read for it ({}) in {}.",
        count(entries),
        count(kept.files),
        indicatif::HumanBytes(kept.bytes),
        took(clock.elapsed())
    );
    Ok((file, entries, kept))
}

/// Copies the hashes to the clone; whether that has succeeded.
fn copy(run: &Run<'_>, path: &Path, clone: &Dir) -> bool {
    let name = run.plan.prefix.hashes();
    let copy = || {
        let mut from = File::open(path)?;
        // Our files must not change the modification time copied from the source's root.
        let root = clone.metadata()?;
        let (mut file, temporary) = clone.temporary(&name, 0o600)?;
        let written = io::copy(&mut from, &mut file).and_then(|_| clone.commit(&file, &temporary, &name));
        if written.is_err() {
            // The first error is the one to report.
            let _ = clone.remove(&temporary);
        }
        clone.set_modified(root.mtime(), root.mtime_nsec())?;
        clone.sync()?;
        written
    };
    let copied: io::Result<()> = copy();
    if let Err(error) = &copied {
        run.warn_publicly(format_args!(
            "the hashes could not be written to {}: {}. This machine has them.",
            display::path(&run.plan.destination.join(&name)),
            display::reason(error)
        ));
    }
    copied.is_ok()
}
