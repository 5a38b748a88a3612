//! The filesystems of source and clone, and the files in them by their paths in the system.

use std::ffi::{CString, OsStr};
use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, fchmod, futimens};
use nix::sys::time::{TimeSpec, TimeValLike as _};
use nix::unistd::{Gid, Uid, fchown};

use crate::display;
use crate::fs::attributes;
use crate::fs::dir::Dir;
use crate::logging::warning;
use crate::phases::endpoints::Endpoints;

/// The largest file that is rewritten, in bytes.
const LARGEST: u64 = 1 << 20;

/// A filesystem of the source and its copy.
#[derive(Debug)]
pub struct Pair<'a> {
    /// Where the system mounts it.
    pub point: PathBuf,
    /// The source's.
    pub source: &'a Dir,
    /// The clone's.
    pub destination: &'a Dir,
}

/// All of them, the root first.
#[derive(Debug)]
pub struct Trees<'a>(pub Vec<Pair<'a>>);

impl Pair<'_> {
    /// Whether it is the root of the system.
    pub fn is_root(&self) -> bool {
        self.point == Path::new("/")
    }
}

impl<'a> Trees<'a> {
    /// Those of a clone.
    pub fn of(ends: &'a Endpoints) -> Self {
        let root = Pair { point: "/".into(), source: &ends.source.dir, destination: &ends.destination.dir };
        Self(vec![root])
    }

    /// The root.
    pub fn root(&self) -> &Pair<'a> {
        &self.0[0]
    }

    /// Where a path of the system is: its filesystem, and its path there.
    pub fn find<'b>(&self, path: &'b Path) -> (&Pair<'a>, &'b Path) {
        let fits = self.0.iter().filter_map(|pair| Some((pair, path.strip_prefix(&pair.point).ok()?)));
        let deepest = fits.max_by_key(|(pair, _)| pair.point.components().count());
        deepest.unwrap_or((&self.0[0], path))
    }

    /// A file of the source; `None` if there is none. Follows no link.
    pub fn read_source(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let (pair, relative) = self.find(path);
        Ok(read(pair.source, relative)?.map(|(_, content)| content))
    }

    /// A file of the clone.
    pub fn read_clone(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let (pair, relative) = self.find(path);
        Ok(read(pair.destination, relative)?.map(|(_, content)| content))
    }

    /// The names in a directory of the source; none if there is no such directory.
    pub fn names(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let (pair, relative) = self.find(path);
        let Some(dir) = missing(pair.source.enter_path(relative))? else { return Ok(Vec::new()) };
        let mut names: Vec<PathBuf> = dir.names()?.into_iter().map(|name| path.join(name)).collect();
        names.sort();
        Ok(names)
    }

    /// Whether the source has something at this path; links are not followed.
    pub fn has(&self, path: &Path) -> io::Result<bool> {
        let (pair, relative) = self.find(path);
        has(pair.source, relative)
    }

    /// Whether the clone has.
    pub fn clone_has(&self, path: &Path) -> io::Result<bool> {
        let (pair, relative) = self.find(path);
        has(pair.destination, relative)
    }

    /// Copies what the clone lacks: a file, or a directory with the files in it.
    pub fn copy_missing(&self, path: &Path) -> io::Result<()> {
        if self.clone_has(path)? || !self.has(path)? {
            return Ok(());
        }
        let (pair, relative) = self.find(path);
        let (Some(above), Some(name)) = (relative.parent(), relative.file_name()) else { return Ok(()) };
        let (from, to) = (pair.source.enter_path(above)?, pair.destination.enter_path(above)?);
        if let Some(mut file) = from.open_regular(name)? {
            let wanted = file.metadata()?;
            return put(&from, &to, name, &wanted, true, |copy| io::copy(&mut file, copy).map(|_| ()));
        }
        let Some(dir) = missing(from.enter(name))? else { return Ok(()) };
        to.make_dir(name)?;
        fchmod(&to.enter(name)?, mode_of(&dir.metadata()?))?;
        dir.names()?.iter().try_for_each(|name| {
            let file = path.join(name);
            match dir.open_regular(name)? {
                Some(_) => self.copy_missing(&file),
                None => Ok(()),
            }
        })
    }

    /// Gives the clone's file this content, and everything else as the source's has it. Returns whether it had to be
    /// written.
    pub fn write(&self, path: &Path, content: &[u8]) -> io::Result<bool> {
        let (pair, relative) = self.find(path);
        let (Some(above), Some(name)) = (relative.parent(), relative.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let from = pair.source.enter_path(above)?;
        let to = pair.destination.enter_path(above)?;
        let (wanted, original) = from.read_file(name, LARGEST)?.ok_or(io::ErrorKind::NotFound)?;
        let is_same = |found: &Metadata| {
            (found.mode(), found.uid(), found.gid()) == (wanted.mode(), wanted.uid(), wanted.gid())
        };
        if let Ok(Some((found, there))) = to.read_file(name, LARGEST)
            && there == content
            && is_same(&found)
        {
            return Ok(false);
        }
        // Another content with the same time, and perhaps the same size, would be a copy for rsync once the option is left
        // out.
        let keeps_time = content == original;
        put(&from, &to, name, &wanted, keeps_time, |file| file.write_all(content)).map(|()| true)
    }

    /// Gives the directories above these files the times that the source's have: the next run finds no difference.
    pub fn restore_times(&self, paths: &[PathBuf]) {
        let mut above: Vec<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
        above.extend([Path::new("/boot"), Path::new("/etc")]);
        above.sort_unstable();
        above.dedup();
        for path in above {
            let (pair, relative) = self.find(path);
            let (Ok(from), Ok(to)) =
                (pair.source.enter_path(relative), pair.destination.enter_path(relative))
            else {
                continue;
            };
            let set = from.metadata().and_then(|from| {
                let (wanted, found) = ((from.mtime(), from.mtime_nsec()), to.metadata()?);
                if wanted == (found.mtime(), found.mtime_nsec()) {
                    return Ok(());
                }
                to.set_modified(wanted.0, wanted.1)
            });
            if let Err(error) = set {
                warning(format_args!(
                    "the time of {} could not be set: {}.",
                    display::path(path),
                    display::reason(&error)
                ));
            }
        }
    }
}

fn has(root: &Dir, relative: &Path) -> io::Result<bool> {
    let (Some(above), Some(name)) = (relative.parent(), relative.file_name()) else { return Ok(true) };
    match missing(root.enter_path(above))? {
        Some(dir) => Ok(dir.kind(name)?.is_some()),
        None => Ok(false),
    }
}

/// Puts a file into place with the owner, the mode and the attributes of the source's.
fn put(
    from: &Dir,
    to: &Dir,
    name: &OsStr,
    wanted: &Metadata,
    keeps_time: bool,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    sweep(to, name)?;
    let (mut copy, temporary) = to.temporary(name, 0o600)?;
    let finish = |file: &mut File| {
        fill(file)?;
        // A filesystem without owners and modes keeps what it shows.
        let _ = fchown(&*file, Some(Uid::from_raw(wanted.uid())), Some(Gid::from_raw(wanted.gid())));
        let _ = fchmod(&*file, mode_of(wanted));
        let _ = attributes::fit(
            &from.as_fd().try_clone_to_owned()?,
            &CString::new(name.as_encoded_bytes())?,
            file,
        );
        if keeps_time {
            let modified = TimeSpec::seconds(wanted.mtime()) + TimeSpec::nanoseconds(wanted.mtime_nsec());
            futimens(&*file, &TimeSpec::UTIME_OMIT, &modified)?;
        }
        to.commit(file, &temporary, name)
    };
    let written = finish(&mut copy);
    if written.is_err() {
        // The first error is the one to report.
        let _ = to.remove(&temporary);
    }
    written
}

#[allow(clippy::cast_possible_truncation, clippy::unnecessary_cast, reason = "mode_t differs by system")]
fn mode_of(metadata: &Metadata) -> Mode {
    Mode::from_bits_truncate(metadata.mode() as nix::libc::mode_t & 0o7777)
}

/// Removes what a killed run left behind.
fn sweep(dir: &Dir, name: &OsStr) -> io::Result<()> {
    dir.names_that(|found| Dir::is_temporary(found, name))?.iter().try_for_each(|left| dir.remove(left))
}

fn read(root: &Dir, relative: &Path) -> io::Result<Option<(Metadata, Vec<u8>)>> {
    let (Some(above), Some(name)) = (relative.parent(), relative.file_name()) else { return Ok(None) };
    match missing(root.enter_path(above))? {
        Some(dir) => dir.read_file(name, LARGEST),
        None => Ok(None),
    }
}

/// A path of which a part does not exist, or is no directory, leads to nothing.
pub fn missing<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        // A link in its place.
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => Ok(None),
        Err(error) => Err(error),
    }
}
