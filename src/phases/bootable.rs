//! Makes the clone start a machine: its tables name its own filesystems, and it gets a boot loader of its own.
//!
//! The files that differ from the source's are left out of the copy by rules, and made from the **source's** files each
//! time, written only when they change: no run undoes what the one before did. The clone's own programs install the boot
//! loader, as on a running system, in a namespace that has the clone as its root.

pub mod detect;
mod extlinux;
mod grub;
mod initramfs;
pub mod layout;
mod stamp;
mod tables;
mod tools;
mod trees;
pub mod way;

use std::path::{Path, PathBuf};

use log::info;

use crate::display;
use crate::failure::{Failure, Obstacle};
use crate::host::platform::Platform;
use crate::phases::bootable::detect::Loader;
use crate::phases::bootable::trees::Trees;
use crate::phases::bootable::way::Way;
use crate::phases::endpoints::Endpoints;
use crate::phases::transfer::verdict::Ended;
use crate::rsync::filter::rules::Rules;
use crate::run::Run;

/// What makes this clone start, or why it cannot.
#[derive(Debug)]
pub struct Preparation {
    /// The files that the clone has of its own, by their paths in the system.
    generated: Vec<PathBuf>,
    /// What to do.
    way: Result<Way, Failure>,
}

/// Finds out what this clone needs to start, and leaves the files that it will have of its own out of the copy.
///
/// What is in the way is reported now, but the copy comes first; `None` without `--bootable`.
pub fn prepare(run: &Run<'_>, ends: &Endpoints, rules: &mut Rules) -> Result<Option<Preparation>, Failure> {
    if !run.plan.bootable {
        return Ok(None);
    }
    run.go_on()?;
    let trees = Trees::of(ends);
    let found = find_way(run, &trees).and_then(|way| {
        let mut generated = tables::differing(&trees, &way.layout)?;
        generated.extend(way.loader.generated());
        if initramfs::is_needed(&way.layout) {
            generated.extend(initramfs::images(&trees));
        }
        Ok((way, generated))
    });
    run.go_on()?;
    let (way, mut generated) = match found {
        Ok((way, generated)) => (Ok(way), generated),
        // What an earlier run has made stays; in doubt, one has.
        Err(failure) if stamp::exists(run, &trees).unwrap_or(true) => {
            let mut made = tables::existing(&trees);
            made.extend(detect::of_any_loader());
            made.retain(|path| trees.clone_has(path).unwrap_or(true));
            (Err(failure), made)
        }
        Err(failure) => (Err(failure), Vec::new()),
    };
    for path in &mut generated {
        let own = of_its_own(&trees, path).to_owned();
        *path = own;
    }
    generated.sort();
    generated.dedup();
    for path in &generated {
        // Those on another filesystem are left out of the copy of that one.
        let (pair, relative) = trees.find(path);
        if pair.is_root() {
            rules.set_generated(relative.as_os_str());
        }
    }
    match &way {
        Ok(way) => info!("The clone will start by {}.", way.loader),
        Err(failure) => {
            let (all, public) = (beforehand(&failure.to_string()), beforehand(&failure.for_everybody()));
            run.warn_publicly(public.trim_end_matches('.').to_owned() + ".");
            if all != public {
                info!("{all}");
            }
        }
    }
    Ok(Some(Preparation { generated, way }))
}

/// The topmost directory above a path, or the path itself, that only the clone has: one that holds what was made is not
/// deleted from around it.
fn of_its_own<'a>(trees: &Trees<'_>, path: &'a Path) -> &'a Path {
    let is_at_source = |path: &Path| trees.has(path).unwrap_or(true);
    let missing = path.ancestors().skip(1).take_while(|above| !is_at_source(above));
    missing.last().unwrap_or(path)
}

/// What the doctor says: how the clone would start, or why it could not.
pub fn look(run: &Run<'_>, ends: &Endpoints) -> Result<String, Failure> {
    let trees = Trees::of(ends);
    let way = find_way(run, &trees)?;
    tables::check(&trees, &way.layout)?;
    match &way.loader {
        Loader::Grub(_) => grub::look(&trees)?,
        Loader::Extlinux { .. } => extlinux::look(&trees)?,
        Loader::RaspberryPi { .. } => {}
    }
    Ok(way.loader.to_string())
}

fn find_way(run: &Run<'_>, trees: &Trees<'_>) -> Result<Way, Failure> {
    let place = |why: String| Failure::not_bootable(Obstacle::Place, why);
    match run.machine.host.platform {
        Platform::Linux if run.machine.host.is_root() => {}
        Platform::Linux => return Err(place("that takes root".to_owned())),
        Platform::MacOs(_) => {
            return Err(place("on a Mac that is done by hand, see docs/guide.md".to_owned()));
        }
    }
    let loader = detect::loader(trees)?;
    let (layout, disks) = layout::of(run, trees)?;
    loader.check(trees, &disks)?;
    Ok(Way { layout, disks, loader })
}

/// Makes a complete copy start a machine. What keeps it from that is returned as the failure that the run ends with; any
/// other failure, as of the disk, means that the copy is not complete either.
pub fn make(
    run: &Run<'_>,
    ends: &Endpoints,
    preparation: Option<Preparation>,
    transferred: &Ended,
) -> Result<Option<Failure>, Failure> {
    if transferred.1.is_err() {
        return Ok(None);
    }
    let destination = &ends.destination.dir;
    let Some(preparation) = preparation else {
        return stamp::remove(run, destination).map(|()| None).map_err(|error| not_written(run, error));
    };
    run.go_on()?;
    let _phase = run.phase("bootable");
    let trees = Trees::of(ends);
    let made = preparation.way.and_then(|way| {
        stamp::begin(run, &trees).map_err(|error| not_written(run, error))?;
        carry_out(run, &trees, &way)
    });
    run.go_on()?;
    if made.is_err() {
        // What was left out of the copy must not be missing.
        tables::copy_missing(&trees, &preparation.generated);
    }
    trees.restore_times(&preparation.generated);
    destination
        .flush_filesystem()
        .map_err(|error| Failure::FlushFailed { path: run.plan.destination.clone(), why: error.into() })?;
    match made {
        Ok(()) => Ok(None),
        Err(failure @ Failure::NotBootable { .. }) => Ok(Some(failure)),
        Err(failure) => Err(failure),
    }
}

fn not_written(run: &Run<'_>, error: std::io::Error) -> Failure {
    Failure::MarkerNotWritten { path: run.plan.destination.join(stamp::name(run)), why: error.into() }
}

fn carry_out(run: &Run<'_>, trees: &Trees<'_>, way: &Way) -> Result<(), Failure> {
    let written = tables::write(trees, &way.layout)?;
    for path in &written {
        info!("Written for the clone: {}", display::path(path));
    }
    match &way.loader {
        Loader::Grub(grub) => grub::install(run, trees, way, grub),
        Loader::Extlinux { dir } => extlinux::install(run, trees, way, dir),
        Loader::RaspberryPi { .. } => Ok(()),
    }
}

/// The sentence of a failure, before the copy.
#[must_use]
pub fn beforehand(sentence: &str) -> String {
    sentence.replacen("The copy is complete, but it could not", "the clone cannot", 1)
}
