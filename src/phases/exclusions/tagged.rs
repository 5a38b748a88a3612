//! Directories that are excluded by a tag in them: caches by the Cache Directory Tagging Specification
//! (<https://bford.info/cachedir/>), and those that hold an entry of a name that the user has chosen.
//!
//! rsync has no such rule. So the source is walked once before the survey, and each directory gets rules by its path, which
//! everything else in the run goes by.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use log::info;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::Uid;

use crate::display;
use crate::fs::dir::UNNOTICED;
use crate::logging::Busy;
use crate::plan::Tags;
use crate::process::interrupts::Interrupts;
use crate::rsync::filter::rules::{Rules, Tagged};
use crate::run::Run;
use crate::tree::pair::{Entry, Here, Trees, Unreadable, Visitor, kind, walk};

/// The name of a cache's tag.
const CACHE_TAG: &CStr = c"CACHEDIR.TAG";

/// What it begins with.
const SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// How many directories are excluded so.
const MOST: usize = 10_000;

/// The limit on the total length of their paths, in bytes: in a full pass rsync compares every entry with the rules of each,
/// byte by byte as far as they are equal.
const MOST_BYTES: usize = 512 << 10;

/// How many of them may have a line end in their paths: their rules are arguments.
const MOST_ODD: usize = 64;

/// The limit on the total length of those paths, in bytes.
const MOST_ODD_BYTES: usize = 16 << 10;

/// How many are named in the log.
const NAMED: usize = 10;

/// The directories that were found.
#[derive(Debug, Default)]
pub struct Found {
    /// By their paths below the source: the tags that stay.
    dirs: HashMap<PathBuf, Vec<OsString>>,
    bytes: usize,
    odd: (usize, usize),
    /// How many more there are.
    more: u64,
    /// Directories with tags that others may have put there: how many, and one.
    doubtful: (u64, Option<PathBuf>),
    /// The source itself has a tag.
    is_top_tagged: bool,
}

/// Looks for tags in every directory of the source that the clone does not leave out.
pub fn find(
    tags: &Tags,
    trees: &Trees<'_>,
    interrupts: &Interrupts,
    busy: &Busy,
) -> Result<Found, Unreadable> {
    // The command line has no zero bytes.
    let names = tags.names.iter().filter_map(|name| CString::new(name.as_bytes()).ok()).collect();
    let finder = Finder { names, caches: tags.caches, found: Mutex::default(), busy };
    walk(trees, interrupts, &finder)?;
    Ok(finder.found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Finder<'a> {
    names: Vec<CString>,
    caches: bool,
    found: Mutex<Found>,
    busy: &'a Busy,
}

impl Visitor for Finder<'_> {
    type Kept = ();

    fn enter(&self, here: &Here<'_>, (): &mut ()) {
        let Some(dir) = here.dirs.source.filter(|_| !here.is_locked) else { return };
        let (kept, is_doubtful) = self.tags_in(dir);
        if !kept.is_empty() || is_doubtful {
            self.found.lock().unwrap_or_else(PoisonError::into_inner).add(here.path, kept, is_doubtful);
        }
    }

    fn see(&self, _here: &Here<'_>, _entry: &Entry<'_>, (): &mut ()) {}

    fn leave(&self, _here: &Here<'_>, (): &mut ()) {
        self.busy.count(1);
    }
}

impl Finder<'_> {
    /// The tags in a directory, and whether there is one that others may have put there.
    fn tags_in(&self, dir: &OwnedFd) -> (Vec<OsString>, bool) {
        let Ok(place) = fstat(dir) else { return (Vec::new(), false) };
        let (mut kept, mut is_doubtful) = (Vec::new(), false);
        let cache_tag = [CACHE_TAG].into_iter().filter(|_| self.caches);
        for (name, must_be_signed) in
            cache_tag.map(|name| (name, true)).chain(self.names.iter().map(|name| (name.as_c_str(), false)))
        {
            let Ok(tag) = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) else { continue };
            if must_be_signed && !is_signed(dir, name, &tag) {
                continue;
            }
            let name = OsStr::from_bytes(name.to_bytes());
            if !is_of_owner(&place, &tag) {
                is_doubtful = true;
            } else if !kept.iter().any(|kept| kept == name) {
                kept.push(name.to_owned());
            }
        }
        (kept, is_doubtful)
    }
}

/// Whether only whoever may do with the directory what he likes can have put the tag there: a tag in a directory where all
/// may write would exclude the files of others from the clone.
fn is_of_owner(place: &FileStat, tag: &FileStat) -> bool {
    let has = |bits: Mode| place.st_mode & bits.bits() != 0;
    let is_shared = has(Mode::S_IWOTH) || has(Mode::S_ISVTX) && has(Mode::S_IWGRP);
    !is_shared && (tag.st_uid == place.st_uid || Uid::from_raw(tag.st_uid).is_root())
}

/// Whether a file is a valid tag of a cache: a regular one that begins with the signature.
fn is_signed(dir: &OwnedFd, name: &CStr, stat: &FileStat) -> bool {
    if kind(stat) != SFlag::S_IFREG {
        return false;
    }
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    // Only the owner and root may open it unnoticed.
    let opened = openat(dir, name, flags | UNNOTICED, Mode::empty())
        .or_else(|_| openat(dir, name, flags, Mode::empty()));
    let Ok(file) = opened.map(File::from) else { return false };
    // It may have been replaced meanwhile.
    if !fstat(&file).is_ok_and(|stat| kind(&stat) == SFlag::S_IFREG) {
        return false;
    }
    let mut read = Vec::with_capacity(SIGNATURE.len());
    file.take(SIGNATURE.len() as u64).read_to_end(&mut read).is_ok() && read == SIGNATURE
}

impl Found {
    fn add(&mut self, path: &Path, kept: Vec<OsString>, is_doubtful: bool) {
        if self.is_excluded(path) {
            return;
        }
        if kept.is_empty() {
            self.doubtful.0 += u64::from(is_doubtful);
            self.doubtful.1.get_or_insert_with(|| path.to_owned());
        } else if path.as_os_str().is_empty() {
            self.is_top_tagged = true;
        } else {
            self.exclude_dir(Tagged { dir: path.to_owned(), kept });
        }
    }

    /// Whether a path is in a directory that is excluded already. Each is entered after those above it.
    fn is_excluded(&self, path: &Path) -> bool {
        path.ancestors().skip(1).any(|above| {
            let Some(kept) = self.dirs.get(above) else { return false };
            let below = path.strip_prefix(above).ok().and_then(|below| below.components().next());
            !matches!(below, Some(Component::Normal(name)) if kept.iter().any(|kept| kept == name))
        })
    }

    fn exclude_dir(&mut self, tagged: Tagged) {
        let length = tagged.dir.as_os_str().len();
        let is_odd = tagged.is_odd();
        let has_room = self.dirs.len() < MOST && self.bytes + length <= MOST_BYTES;
        let has_room_for_odd = self.odd.0 < MOST_ODD && self.odd.1 + length <= MOST_ODD_BYTES;
        if !has_room || is_odd && !has_room_for_odd || !tagged.is_fit() {
            self.more += 1;
            return;
        }
        self.bytes += length;
        if is_odd {
            self.odd = (self.odd.0 + 1, self.odd.1 + length);
        }
        self.dirs.insert(tagged.dir, tagged.kept);
    }

    /// Adds the rules, and logs for which directories.
    pub fn exclude(self, run: &Run<'_>, rules: &mut Rules) {
        let shown = |path: &Path| display::path(&run.plan.source.join(path)).to_string();
        let mut tagged: Vec<Tagged> = self.dirs.into_iter().map(|(dir, kept)| Tagged { dir, kept }).collect();
        tagged.sort_unstable_by(|one, other| one.dir.cmp(&other.dir));
        if !tagged.is_empty() {
            let named = tagged.iter().take(NAMED).map(|tagged| shown(&tagged.dir));
            let more = tagged.len().saturating_sub(NAMED);
            let named =
                named.chain((more > 0).then(|| format!("{more} more"))).collect::<Vec<_>>().join(", ");
            info!("Excluded by tags in them: {}: {named}.", counted(tagged.len() as u64));
        }
        if self.is_top_tagged {
            run.warn("the source itself has a tag in it, which does not exclude it.");
        }
        if let (count @ 1.., Some(first)) = &self.doubtful {
            info!(
                "Not excluded: {}, where others than the owner may have put the tag. The first is {}.",
                counted(*count),
                shown(first)
            );
        }
        if self.more > 0 {
            run.warn_publicly(format_args!(
                "{} with tags are too many, or have too long paths, and are cloned.",
                counted(self.more)
            ));
        }
        rules.tagged = tagged;
    }
}

fn counted(count: u64) -> String {
    if count == 1 { "1 directory".to_owned() } else { format!("{count} directories") }
}

#[cfg(test)]
mod tests {
    use super::{Found, MOST, MOST_ODD};
    use std::path::Path;

    fn found(paths: impl IntoIterator<Item = String>) -> Found {
        let mut found = Found::default();
        paths.into_iter().for_each(|path| found.add(Path::new(&path), vec!["TAG".into()], false));
        found
    }

    #[test]
    fn what_is_inside_an_excluded_directory_needs_no_rule() {
        let found = found(["a", "a/b", "a/b/c", "a/TAG/d", "ab"].map(str::to_owned));
        let mut dirs: Vec<_> = found.dirs.keys().map(|path| path.to_str().unwrap()).collect();
        dirs.sort_unstable();
        assert_eq!((dirs, found.more), (vec!["a", "a/TAG/d", "ab"], 0));
    }

    #[test]
    fn there_is_an_end_to_them() {
        let many = found((0..MOST + 5).map(|number| format!("{number}")));
        assert_eq!((many.dirs.len(), many.more), (MOST, 5));
        let odd = found((0..MOST_ODD + 5).map(|number| format!("\n{number}")).chain(["b".to_owned()]));
        assert_eq!((odd.dirs.len(), odd.more), (MOST_ODD + 1, 5));
        let long = found(["x/".repeat(2048), "y".to_owned()]);
        assert_eq!((long.dirs.len(), long.more), (1, 1));
    }
}
