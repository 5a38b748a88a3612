//! What the clone's boot loader was made from, and what came of it: while both are the same, it is not made again.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use nix::sys::stat::{FileStat, SFlag};
use sha2::{Digest as _, Sha256};

use crate::fs::dir::Dir;
use crate::phases::bootable::trees::{Pair, Trees, missing};
use crate::phases::bootable::way::Way;
use crate::run::Run;
use crate::tree::pair::kind;

/// Changes when the loader is to be made again although nothing else has changed.
const VERSION: &str = "1";

/// The size of a sector, in which the kernel counts.
const SECTOR: u64 = 512;

/// How much of a disk's beginning may hold a loader, in bytes.
const BEGINNING: u64 = 1 << 20;

/// The file at the destination's root.
pub fn name(run: &Run<'_>) -> OsString {
    OsString::from(run.plan.prefix.stem() + "boot")
}

/// Whether the loader was made from the same, and is still as it was made.
pub fn is_current(run: &Run<'_>, trees: &Trees<'_>, stamp: &str) -> bool {
    // In doubt it is made again.
    let known = trees.root().destination.read(&name(run), 1024).ok().flatten();
    known.is_some_and(|known| known == stamp.as_bytes())
}

/// What it says while the clone is being made bootable, and if that has failed; no stamp is equal to it.
const UNFINISHED: &str = "unfinished\n";

/// Whether an earlier run has made files for the clone, which are not the source's. Errors if that cannot be determined.
pub fn exists(run: &Run<'_>, trees: &Trees<'_>) -> io::Result<bool> {
    Ok(trees.root().destination.kind(&name(run))?.is_some())
}

/// Notes that there are such files from now on.
pub fn begin(run: &Run<'_>, trees: &Trees<'_>) -> io::Result<()> {
    if exists(run, trees)? { Ok(()) } else { forget(run, trees) }
}

/// Forgets what the loader was made from, before that is changed.
pub fn forget(run: &Run<'_>, trees: &Trees<'_>) -> io::Result<()> {
    trees.root().destination.replace(&name(run), 0o600, UNFINISHED.as_bytes())
}

/// Removes it: without the option the source's files have been copied.
pub fn remove(run: &Run<'_>, destination: &Dir) -> io::Result<()> {
    destination.remove(&name(run))
}

/// Keeps it.
pub fn keep(run: &Run<'_>, trees: &Trees<'_>, stamp: &str) -> io::Result<()> {
    trees.root().destination.replace(&name(run), 0o600, stamp.as_bytes())
}

/// The stamp of now: one line for what goes in, and one for what came out. `inputs` and `outputs` are files or directories
/// of source and clone.
pub fn of(trees: &Trees<'_>, way: &Way, inputs: &[PathBuf], outputs: &[PathBuf]) -> io::Result<String> {
    let mut digest = Sha256::new();
    digest.update(format!("{VERSION} {}\0", env!("CARGO_PKG_VERSION")));
    for (part, clone) in way.layout.filesystems() {
        // A device has another name tomorrow.
        let names = [&clone.uuid, &clone.part_uuid, &clone.subvolume];
        let volumes: Vec<_> = clone.volumes().map(|volume| &volume.uuid).collect();
        let kind = &clone.kind;
        digest.update(part.point.as_os_str().as_encoded_bytes());
        digest.update(format!(
            "\0{kind} {names:?} {volumes:?} {:?} {}\0",
            clone.logical_volume(),
            way.loader
        ));
    }
    for path in inputs {
        let (pair, relative) = trees.find(path);
        add(&mut digest, pair.source, relative)?;
    }
    let made_from = hex(digest);
    let mut digest = Sha256::new();
    for path in outputs {
        let (Pair { destination, .. }, relative) = trees.find(path);
        add(&mut digest, destination, relative)?;
    }
    boot_code(&mut digest, way)?;
    Ok(format!("{made_from}\n{}\n", hex(digest)))
}

/// Adds name, size and time of a file, or of all files in a directory.
fn add(digest: &mut Sha256, root: &Dir, relative: &Path) -> io::Result<()> {
    digest.update(relative.as_os_str().as_encoded_bytes());
    let (Some(above), Some(name)) = (relative.parent(), relative.file_name()) else { return Ok(()) };
    let Some(above) = missing(root.enter_path(above))? else { return Ok(()) };
    let mut one = |dir: &Dir, name: &OsStr| {
        // The time of a directory is set again afterwards.
        let is_dir = |found: &FileStat| kind(found) == SFlag::S_IFDIR;
        if let Some(found) = dir.stat(name)?.filter(|found| !is_dir(found)) {
            digest.update(name.as_encoded_bytes());
            digest.update(format!(
                "\0{:o} {} {}.{}\0",
                found.st_mode, found.st_size, found.st_mtime, found.st_mtime_nsec
            ));
        }
        io::Result::Ok(())
    };
    match missing(above.enter(name))? {
        Some(dir) => {
            let mut names = dir.names()?;
            names.sort();
            names.iter().try_for_each(|name| one(&dir, name))
        }
        None => one(&above, name),
    }
}

/// Adds what a BIOS starts: the boot sector without the partition table, and what is before the first partition or in the
/// BIOS boot partition.
fn boot_code(digest: &mut Sha256, way: &Way) -> io::Result<()> {
    let mut disk = File::open(&way.disks.disk)?;
    let mut sector = [0; 440];
    disk.read_exact(&mut sector)?;
    digest.update(sector);
    let mut code = Vec::new();
    if let Some(partition) = &way.disks.bios_boot {
        File::open(partition)?.take(BEGINNING).read_to_end(&mut code)?;
    } else if way.disks.table.as_deref() == Some("dos") {
        disk.seek(SeekFrom::Start(SECTOR))?;
        let starts = way.disks.filesystems.iter().filter_map(|device| {
            let path = format!("/sys/dev/block/{}/start", device.number());
            std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()
        });
        let end = starts.min().map_or(BEGINNING, |start| start.saturating_mul(SECTOR).min(BEGINNING));
        disk.take(end.saturating_sub(SECTOR)).read_to_end(&mut code)?;
    }
    digest.update(&code);
    Ok(())
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
