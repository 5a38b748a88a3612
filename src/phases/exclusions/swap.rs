//! Swap files in the source: a copy of one has holes, and cannot be used for swapping.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use log::info;

use crate::display;
use crate::fs::dir::Dir;
use crate::fs::small_file;
use crate::host::platform::Platform;
use crate::linux::swaps;
use crate::logging::warning;
use crate::phases::endpoints::Source;
use crate::run::Run;
use crate::volume::mounts;

/// The largest table that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The largest unit file, in bytes.
const LARGEST_UNIT: u64 = 64 << 10;

/// The swap files of this machine that lie in the source, by their relative paths, sorted.
pub fn below(run: &Run<'_>, source: &Source) -> Vec<OsString> {
    match run.machine.host.platform {
        Platform::Linux => {}
        // There they lie in a directory that the built-in exclusions cover.
        Platform::MacOs(_) => return Vec::new(),
    }
    let named = named(run);
    let all = |dir: &Dir| named.iter().filter_map(|path| relative(dir, path)).collect::<Vec<_>>();
    let mut found = all(&source.dir);
    for it in &source.filesystems {
        found.extend(all(&it.dir).into_iter().map(|path| it.place.join(path).into_os_string()));
    }
    found.sort();
    found.dedup();
    for path in &found {
        info!("Excluded as swap: {}", display::path(&source.dir.path().join(path)));
    }
    found
}

/// Everything that the machine is configured to swap to, files or not.
fn named(run: &Run<'_>) -> Vec<PathBuf> {
    let root = &run.machine.host.tools.system_root;
    let mut named = swaps::active(&read(&root.join("proc/swaps"), "the swap files in use"));
    named.extend(swaps::of_fstab(&read(&root.join("etc/fstab"), "the swap files of /etc/fstab")));
    named.extend(of_units(&run.machine.host.job_dir));
    named
}

/// Warns if a file cannot be read, and goes on with the rest; a missing file names nothing.
fn read(path: &Path, what: &str) -> Vec<u8> {
    // A kernel table is a regular file too; without swap it does not exist.
    match std::fs::canonicalize(path).and_then(|path| small_file::read(&path, LARGEST)) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            warning(format_args!(
                "{what} are not known, since {} cannot be read ({}): one of them may be cloned needlessly.",
                display::path(path),
                display::reason(&error)
            ));
            Vec::new()
        }
    }
}

fn of_units(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let units = entries.flatten().map(|entry| entry.path());
    let units = units.filter(|path| path.extension() == Some(OsStr::new("swap")));
    let read = |path: PathBuf| swaps::of_unit(&small_file::read(&path, LARGEST_UNIT).ok()?);
    units.filter_map(read).collect()
}

/// The path of a swap file relative to the source, by any mount; `None` if it is not a regular file in there.
fn relative(source: &Dir, path: &Path) -> Option<OsString> {
    let path = std::fs::canonicalize(path).ok()?;
    let file = std::fs::symlink_metadata(&path).ok().filter(Metadata::is_file)?;
    let by_path = || Some(path.strip_prefix(source.path()).ok()?.to_owned());
    // A file on another filesystem is not part of the source.
    let is_here = source.identity().is_ok_and(|identity| identity.device == file.dev());
    let is_it = |relative: &PathBuf| {
        let found = source.stat(relative.as_os_str()).ok().flatten();
        is_here && found.is_some_and(|found| found.st_ino == file.ino())
    };
    // A mount that is in no table, such as one made just for us, is found by the path.
    let found = by_mount(source, &path).filter(is_it).or_else(|| by_path().filter(is_it))?;
    Some(found.into_os_string())
}

/// Compares locations on the filesystem: the machine may refer to a different mount of it than the source.
fn by_mount(source: &Dir, path: &Path) -> Option<PathBuf> {
    let place = |dir: &Dir| {
        // If in doubt, the file is copied: that costs space and loses nothing.
        mounts::locate(&mounts::of(dir).ok()??, dir).ok()
    };
    let (device, top) = place(source)?;
    let (other, above) = place(&Dir::open(path.parent()?).ok()?)?;
    let below = above.strip_prefix(&top).ok().filter(|_| device == other)?;
    Some(below.join(path.file_name()?))
}
