//! Checks whether the clone fits at the destination, and warns if the disk of the log or server backup is nearly full.
//!
//! Only what certainly cannot fit is refused: a wrong refusal costs a night's clone, and in close cases rsync finds out
//! by itself and ends with the same code. So the need is underestimated: only file contents, not rounded up to blocks;
//! and the room is overestimated: each name of what is deleted counts in full.

use std::io;
use std::path::Path;

use indicatif::HumanBytes;
use log::info;

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::fs::space::Space;
use crate::host::platform::Platform;
use crate::logging::warning;
use crate::phases::endpoints::Endpoints;
use crate::phases::survey::census::Census;
use crate::phases::survey::found::Survey;
use crate::phases::survey::tally::count;
use crate::rsync::filter::matcher::LeftOut;
use crate::rsync::filter::rules::Rules;
use crate::run::Run;
use crate::volume::mounts;
use crate::volume::mounts::Place;

/// A log or server backup disk with less free space than this, in bytes, is nearly full.
const SHORT: u64 = 64 << 20;

/// The space that a clone needs, or that is available for it.
#[derive(Debug, Clone, Copy, Default)]
struct Room {
    bytes: u64,
    inodes: u64,
}

/// Refuses a clone that cannot fit; only warns if some exclusions could not be taken into account.
pub fn check(run: &Run<'_>, ends: &Endpoints, survey: &Survey) -> Result<(), Failure> {
    if run.plan.no_space_check {
        return Ok(());
    }
    let dir = &ends.destination.dir;
    let kept = keeping(run, dir);
    // A filesystem that reports no size fills the memory, or whatever backs it.
    let space = || Space::of(dir).ok().filter(|space| kept.bytes && space.total > 0);
    let Some(now) = space() else {
        info!(
            "Whether the clone fits is not checked: it cannot be determined on the destination's filesystem."
        );
        return Ok(());
    };
    let need = need(survey, &kept);
    let lack = |room: Room| need.lack(room).or_else(|| lacks_for_largest(survey, room));
    if lack(free(run, &now)).is_none() {
        return Ok(());
    }
    // btrfs counts deleted files as free only once that is on the disk. If the flush fails, the earlier figures count.
    let _ = dir.flush_filesystem();
    let now = space().unwrap_or(now);
    let nets = nets(run, dir);
    run.go_on()?;
    let Some(what) = lack(free(run, &now).and(freed(survey)).and(nets.unwrap_or_default())) else {
        return Ok(());
    };
    if !survey.is_exact {
        warning(format_args!("the clone may not fit, unless your exclusions leave out enough: {what}."));
    } else if survey.knows_clone && nets.is_some() {
        return Err(Failure::NoRoom { path: run.plan.destination.clone(), what });
    } else {
        warning(format_args!(
            "the clone may not fit, unless what cannot be read at the destination is enough of it: {what}."
        ));
    }
    Ok(())
}

/// Describes what `room`, which includes the old copy, lacks for the replaced file that takes the most.
fn lacks_for_largest(survey: &Survey, room: Room) -> Option<String> {
    // What is written in place has no second copy meanwhile.
    let need = survey.differences.largest.max(survey.in_place.replaced);
    (need > room.bytes).then(|| {
        let (need, room) = (HumanBytes(need), HumanBytes(room.bytes));
        format!(
            "the largest file that has changed and its old copy, which is kept until the new one is whole, take {need}; \
             the destination has room for {room}, including what the clone deletes"
        )
    })
}

impl Room {
    fn and(self, more: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(more.bytes), inodes: self.inodes.saturating_add(more.inodes) }
    }

    /// Describes what `room` lacks.
    fn lack(self, room: Self) -> Option<String> {
        if self.bytes > room.bytes {
            let (need, room) = (HumanBytes(self.bytes), HumanBytes(room.bytes));
            return Some(format!(
                "{need} have to be written; the destination has room for {room}, including what the clone deletes"
            ));
        }
        (self.inodes > room.inodes).then(|| {
            let (need, room) = (self.inodes, room.inodes);
            format!(
                "{need} files and directories have to be created; the destination has {room} inodes, including those that \
                 the clone deletes"
            )
        })
    }
}

/// Which figures of the destination's filesystem can be relied on.
struct Keeping {
    /// A file's contents take as much space as at the source.
    bytes: bool,
    /// The number of inodes is fixed.
    inodes: bool,
}

fn keeping(run: &Run<'_>, dir: &Dir) -> Keeping {
    match run.machine.host.platform {
        Platform::Linux => mounts::of(dir).ok().flatten().as_ref().and_then(Place::mount).map_or(
            Keeping { bytes: false, inodes: false },
            |mount| Keeping { bytes: mount.keeps_sizes(), inodes: mount.has_fixed_inodes() },
        ),
        Platform::MacOs(_) => Keeping { bytes: true, inodes: false },
    }
}

fn free(run: &Run<'_>, space: &Space) -> Room {
    Room { bytes: space.free_for(run.machine.host.is_root()), inodes: space.free_inodes }
}

/// What a clone has to write.
fn need(survey: &Survey, kept: &Keeping) -> Room {
    // A name more of a file that is there already is no inode: never more than the source has beyond the clone.
    let more = survey.census.inodes.saturating_sub(survey.clone.inodes);
    let created = survey.differences.created.saturating_sub(survey.census.entries - survey.census.inodes);
    Room { bytes: survey.differences.written(), inodes: if kept.inodes { created.max(more) } else { 0 } }
}

/// What the clone deletes or replaces.
fn freed(survey: &Survey) -> Room {
    let differences = &survey.differences;
    Room {
        bytes: differences.freed.min(survey.clone.bytes),
        inodes: differences.deleted().entries.saturating_add(differences.replaced),
    }
}

/// What safety nets hold, which are removed if the clone needs the space; `None` if that is not known.
fn nets(run: &Run<'_>, dir: &Dir) -> Option<Room> {
    let nets = match dir.enter(&run.plan.prefix.safety_net()) {
        Ok(nets) => nets,
        Err(error) => return (error.kind() == io::ErrorKind::NotFound).then(Room::default),
    };
    let found = count(&nets, &LeftOut::default(), run.machine.interrupts).ok()?;
    (found.unreadable == 0).then_some(Room { bytes: found.bytes, inodes: found.inodes })
}

/// By how many bytes the clone may grow, not counting safety nets; 0 if the whole source fits into the free space.
///
/// What the clone holds is counted if the survey of it is not given, or is out of date.
#[must_use]
pub fn growth(run: &Run<'_>, dir: &Dir, census: &Census, clone: Option<&Census>) -> u64 {
    let fits = |space: &Space| space.free_for(run.machine.host.is_root()) >= census.content;
    if Space::of(dir).is_ok_and(|space| fits(&space)) {
        return 0;
    }
    if let Some(clone) = clone {
        return census.content.saturating_sub(clone.content);
    }
    let without_nets = LeftOut::of(&Rules::default(), &run.plan.prefix, None);
    match count(dir, &without_nets, run.machine.interrupts) {
        Ok(found) if found.unreadable == 0 => census.content.saturating_sub(found.content),
        // A guess could remove safety nets needlessly.
        Ok(_) | Err(_) => 0,
    }
}

/// Warns if the log or the server backup may run out of space; the clone itself is not affected.
pub fn warn_of_short_disks(run: &Run<'_>) {
    warn_if_short("log", run.plan.log_dir.as_deref().unwrap_or(&run.machine.host.log_dir), 0);
    if run.plan.backup.is_some() {
        let path = run.plan.backup_dir.as_deref().unwrap_or(&run.machine.host.backup_dir);
        // An old dump is only replaced once the new one is complete.
        let dumps = Dir::open(path).and_then(|dir| count(&dir, &LeftOut::default(), run.machine.interrupts));
        warn_if_short("server backup", path, dumps.map_or(0, |dumps| dumps.bytes));
    }
}

fn warn_if_short(what: &str, path: &Path, need: u64) {
    // A directory that is yet to be created will be on the same disk as its nearest existing parent.
    let Some(space) = path
        .ancestors()
        .find_map(|above| std::fs::canonicalize(above).and_then(|path| Dir::open(&path)).ok())
        .and_then(|dir| Space::of(dir).ok())
        .filter(|space| space.total > 0)
    else {
        return;
    };
    if space.free < SHORT.max(need) {
        warning(format_args!(
            "the disk of the {what} directory {} has only {} left of {}.",
            display::path(path),
            HumanBytes(space.free),
            HumanBytes(space.total)
        ));
    }
}
