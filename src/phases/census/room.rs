//! Whether the clone can fit at the destination, and whether the disks of the log and the server backup are short.
//!
//! Only what surely cannot fit is refused, since a refusal by mistake means a night without a clone, and rsync finds
//! out about anything closer by itself, with the same code. So the need is counted low: the contents alone, without what a
//! filesystem rounds up; and the room is counted high: all that the destination holds may be given back.

use std::path::Path;

use indicatif::HumanBytes;
use log::info;

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::fs::space::Space;
use crate::host::platform::Platform;
use crate::logging::warning;
use crate::phases::census::survey::Census;
use crate::phases::census::tally::count;
use crate::phases::endpoints::Endpoints;
use crate::rsync::filter::matcher::LeftOut;
use crate::rsync::filter::rules::Rules;
use crate::run::Run;
use crate::volume::mount_point::mount_point;
use crate::volume::mounts;
use crate::volume::mounts::Place;

/// Less than this is short for a log or a server backup, in bytes.
const SHORT: u64 = 64 << 20;

/// What a clone needs, or what there is for it.
#[derive(Debug, Clone, Copy, Default)]
struct Room {
    bytes: u64,
    inodes: u64,
}

/// Refuses a clone that cannot fit; where not every exclusion is counted out, only warns.
pub fn check(run: &Run<'_>, ends: &Endpoints, census: &Census, is_exact: bool) -> Result<(), Failure> {
    if run.plan.no_space_check {
        return Ok(());
    }
    let dir = &ends.destination.dir;
    let kept = keeping(run, dir);
    // A filesystem without a size of its own fills the memory, or whatever lies behind it.
    let space = || Space::of(dir).ok().filter(|space| kept.bytes && space.total > 0);
    let Some(now) = space() else {
        info!("Whether the clone fits is not checked: the destination's filesystem does not tell.");
        return Ok(());
    };
    let need = Room { bytes: census.content, inodes: if kept.inodes { census.inodes } else { 0 } };
    if need.lack(free(run, &now)).is_none() {
        return Ok(());
    }
    // btrfs counts what was just deleted as free only when that is on the disk. Should the flush fail, what is told
    // before it has to do.
    let _ = dir.flush_filesystem();
    let now = space().unwrap_or(now);
    let room = free(run, &now).and(held(run, dir, &now));
    run.go_on()?;
    let Some(what) = need.lack(room) else { return Ok(()) };
    if is_exact {
        return Err(Failure::NoRoom { path: run.plan.destination.clone(), what });
    }
    warning(format_args!("the clone may not fit, unless your exclusions leave out enough: {what}."));
    Ok(())
}

impl Room {
    fn and(self, more: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(more.bytes), inodes: self.inodes.saturating_add(more.inodes) }
    }

    /// What of it `room` has too little of, in words.
    fn lack(self, room: Self) -> Option<String> {
        if self.bytes > room.bytes {
            let (need, room) = (HumanBytes(self.bytes), HumanBytes(room.bytes));
            return Some(format!(
                "the source's files hold {need}; the destination has room for {room}, what it holds now included"
            ));
        }
        (self.inodes > room.inodes).then(|| {
            let (need, room) = (self.inodes, room.inodes);
            format!(
                "the source has {need} files and directories; the destination has {room} inodes, those in use included"
            )
        })
    }
}

/// What the destination's filesystem says can be relied on.
struct Keeping {
    /// A file's contents take the room that they take at the source.
    bytes: bool,
    /// There are so many inodes and no more.
    inodes: bool,
}

fn keeping(run: &Run<'_>, dir: &Dir) -> Keeping {
    match run.host.platform {
        Platform::Linux => mounts::of(dir).ok().flatten().as_ref().and_then(Place::mount).map_or(
            Keeping { bytes: false, inodes: false },
            |mount| Keeping { bytes: mount.keeps_sizes(), inodes: mount.has_fixed_inodes() },
        ),
        Platform::MacOs(_) => Keeping { bytes: true, inodes: false },
    }
}

fn free(run: &Run<'_>, space: &Space) -> Room {
    Room { bytes: space.free_for(run.host.is_root()), inodes: space.free_inodes }
}

/// What the destination holds, and this clone may replace.
fn held(run: &Run<'_>, dir: &Dir, space: &Space) -> Room {
    if mount_point(dir.path()) == dir.path() {
        return Room { bytes: space.used(), inodes: space.inodes.saturating_sub(space.free_inodes) };
    }
    match count(dir, &LeftOut::default(), run.interrupts) {
        Ok(found) if found.unreadable == 0 => Room { bytes: found.bytes, inodes: found.inodes },
        // Then rsync has to find out.
        Ok(_) | Err(_) => Room { bytes: space.total, inodes: space.inodes },
    }
}

/// How many bytes the clone itself may grow by, without what lies in safety nets; 0 where all of the source would fit.
#[must_use]
pub fn growth(run: &Run<'_>, dir: &Dir, census: &Census) -> u64 {
    let fits = |space: &Space| space.free_for(run.host.is_root()) >= census.content;
    if Space::of(dir).is_ok_and(|space| fits(&space)) {
        return 0;
    }
    let without_nets = LeftOut::of(&Rules::default(), &run.plan.prefix, None);
    match count(dir, &without_nets, run.interrupts) {
        Ok(found) if found.unreadable == 0 => census.content.saturating_sub(found.content),
        // A guess would cost nets that may not have to go.
        Ok(_) | Err(_) => 0,
    }
}

/// Warns when the log or the server backup may run out of room; the clone itself does not need it.
pub fn warn_of_short_disks(run: &Run<'_>) {
    warn_if_short("log", run.plan.log_dir.as_deref().unwrap_or(&run.host.log_dir), 0);
    if run.plan.backup.is_some() {
        let path = run.plan.backup_dir.as_deref().unwrap_or(&run.host.backup_dir);
        // A dump gives way to a new one only when that is whole.
        let dumps = Dir::open(path).and_then(|dir| count(&dir, &LeftOut::default(), run.interrupts));
        warn_if_short("server backup", path, dumps.map_or(0, |dumps| dumps.bytes));
    }
}

fn warn_if_short(what: &str, path: &Path, need: u64) {
    // What is yet to be made will be on the disk of what there is.
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
