//! Looks once more at what a quick pass was given: if none of it has changed since the run began, the clone need not be
//! surveyed again.
//!
//! Whatever is moved during a run changes the directories that it leaves and enters. So if the directories of everything
//! that was listed are as they were before, nothing was deleted from the clone that has only moved.

use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::libc::{dev_t, ino_t};
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};

use crate::fs::dir::Dir;
use crate::phases::endpoints::Endpoints;
use crate::phases::survey::memory::{Memory, Settled, Stamp};
use crate::rsync::filter::matcher::Place;
use crate::run::Run;
use crate::tree::compare::{Difference, compare};
use crate::tree::pair::{Here, kind};
use crate::tree::sides::Sides;

/// Returns the hashes of what was listed, with those of the directories above; `None` if anything has changed meanwhile, or
/// is not as it should be. `paths` is the list as rsync was given it.
#[must_use]
pub fn keys(
    run: &Run<'_>,
    ends: &Endpoints,
    memory: &Memory<'_>,
    settled: Settled,
    paths: &[u8],
) -> Option<Vec<u64>> {
    let mut recheck = Recheck { memory, settled, keys: Vec::new(), links: Links::default() };
    if !Stamp::of(&fstat(&ends.source.dir).ok()?).is_before(settled.source) {
        return None;
    }
    let mut entries = with_ancestors(paths);
    entries.sort_unstable();
    entries.dedup();
    let mut rest = &entries[..];
    while let Some((parent, _)) = rest.first() {
        run.go_on().ok()?;
        let (here, others) = rest.split_at(rest.partition_point(|(other, _)| other == parent));
        rest = others;
        let path = Path::new(OsStr::from_bytes(parent));
        let names = here.iter().map(|(_, name)| *name);
        recheck.dir(&ends.source.dir, &ends.destination.dir, path, names).ok()??;
    }
    Some(recheck.keys)
}

/// Each path, and each directory above it, as its parent and its name.
fn with_ancestors(paths: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut entries = Vec::new();
    for path in paths.split(|byte| *byte == 0) {
        let mut path = path.strip_prefix(b"/").unwrap_or(path);
        while !path.is_empty() {
            let at = path.iter().rposition(|byte| *byte == b'/');
            let (parent, name) = at.map_or((&b""[..], path), |at| (&path[..at], &path[at + 1..]));
            entries.push((parent, name));
            path = parent;
        }
    }
    entries
}

struct Recheck<'a> {
    memory: &'a Memory<'a>,
    settled: Settled,
    keys: Vec<u64>,
    links: Links,
}

/// An inode, with its device.
type Inode = (dev_t, ino_t);

/// The inodes of hard-linked entries, each way.
#[derive(Default)]
struct Links {
    copies: HashMap<Inode, Inode>,
    originals: HashMap<Inode, Inode>,
}

impl Links {
    /// Whether this pair of inodes agrees with all before it.
    fn agree(&mut self, source: &FileStat, copy: &FileStat) -> bool {
        if source.st_nlink <= 1 && copy.st_nlink <= 1 || kind(source) == SFlag::S_IFDIR {
            return true;
        }
        let of = |stat: &FileStat| (stat.st_dev, stat.st_ino);
        let (source, copy) = (of(source), of(copy));
        *self.copies.entry(source).or_insert(copy) == copy
            && *self.originals.entry(copy).or_insert(source) == source
    }
}

impl Recheck<'_> {
    /// Looks at entries of one directory; `None` if one has changed.
    fn dir<'n>(
        &mut self,
        source: &Dir,
        destination: &Dir,
        path: &Path,
        names: impl Iterator<Item = &'n [u8]>,
    ) -> io::Result<Option<()>> {
        let (source, destination) = (source.enter_path(path)?, destination.enter_path(path)?);
        let open = |dir: &Dir| dir.as_fd().try_clone_to_owned();
        let (source, destination) = (open(&source)?, open(&destination)?);
        let here = Here {
            dirs: Sides::both(&source, &destination),
            path,
            is_locked: false,
            is_inside_locked: false,
            devices: Sides::default(),
            points: &[],
            place: &Place::default(),
        };
        let place = self.memory.key.place(path);
        for name in names {
            let name = CString::new(name)?;
            let (source, copy) = match (look(&source, &name)?, look(&destination, &name)?) {
                (Some(source), Some(copy)) => (source, copy),
                // It was deleted, and is still gone.
                (None, None) => continue,
                (Some(_), None) | (None, Some(_)) => return Ok(None),
            };
            if !Stamp::of(&source).is_before(self.settled.source)
                || compare(&here, &name, &source, &copy, true) != Difference::Nothing
                || !self.memory.has_equal_attributes(&here, &name, (&source, &copy))
                || !self.links.agree(&source, &copy)
            {
                return Ok(None);
            }
            if Stamp::of(&copy).is_before(self.settled.destination) {
                self.keys.push(self.memory.key.entry(place, name.to_bytes(), &source, Some(&copy)));
            }
        }
        Ok(Some(()))
    }
}

fn look(dir: &OwnedFd, name: &CString) -> io::Result<Option<FileStat>> {
    match fstatat(dir, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::with_ancestors;

    #[test]
    fn every_directory_above_a_path_is_looked_at() {
        let found = with_ancestors(b"/a/b/c\0/d\0");
        let expected: [(&[u8], &[u8]); 4] = [(b"a/b", b"c"), (b"a", b"b"), (b"", b"a"), (b"", b"d")];
        assert_eq!(found, expected);
    }
}
