//! Separates hard links of the clone that no longer exist at the source, and that rsync would keep.
//!
//! Two names of one file become two files with the same size and time, for instance by `cp -p`. Every rsync from 3.2.3
//! to 3.5.1 considers the clone's one file up to date for both names, leaves it, and sets the permissions of one after
//! the other: what only its owner may read at the source, everybody may read in the clone. The exit code is 0, and no
//! later run repairs it.
//!
//! So before rsync starts, the modification time of such a file in the clone is changed. rsync then copies it to a new
//! file for each of its names, and the clone is never incomplete meanwhile. Symbolic links and special files have no
//! contents, so their excess names are removed instead, and rsync recreates them.
//!
//! The survey collects the links as it goes; only if some are to be separated are both trees walked once more.

pub mod groups;

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::info;
use nix::fcntl::readlinkat;
use nix::libc::ino_t;
use nix::sys::stat::{FileStat, SFlag, UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::display;
use crate::failure::Failure;
use crate::phases::hard_links::groups::{Groups, Name, Original};
use crate::run::Run;
use crate::tree::pair::{Entry, Here, Trees, Visitor, kind, names_of, walk};

/// What a survey has collected about the hard links of both ends.
#[derive(Debug)]
pub struct Links {
    share: Share,
    is_root: bool,
    known: Mutex<Known>,
    /// The groups at the source, if rsync may be given a list.
    groups: Option<Groups>,
}

impl Links {
    /// Nothing is known yet. Groups are collected only if rsync may be given a list.
    #[must_use]
    pub fn new(is_root: bool, groups: bool) -> Self {
        Self { groups: groups.then(Groups::default), ..Self::of(Share { number: 0, of: 1 }, is_root) }
    }

    fn of(share: Share, is_root: bool) -> Self {
        Self { share, is_root, known: Mutex::default(), groups: None }
    }

    /// The inodes of the source of which every name has to be handed to rsync; `None` if that is not known.
    #[must_use]
    pub fn regrouped(&self) -> Option<HashSet<Original>> {
        self.groups.as_ref().and_then(Groups::wanted)
    }

    /// Adds an entry that is hard-linked on either side; `is_listed` if rsync is to look at it by its name.
    pub fn see(&self, here: &Here<'_>, entry: &Entry<'_>, is_listed: bool) {
        let is_file = |stat: &&FileStat| kind(stat) != SFlag::S_IFDIR;
        if let Some(groups) = &self.groups
            && let Some(source) = entry.stats.source.filter(is_file).filter(|stat| stat.st_nlink > 1)
        {
            let copy = entry.stats.destination.filter(is_file).map(|stat| stat.st_ino);
            let original = (source.st_dev, source.st_ino);
            groups.see(Name { original, names: names_of(source), copy, is_listed });
        }
        if let Some(linked) = Linked::of(here, entry).filter(|linked| self.share.has(linked)) {
            self.note(&linked);
        }
    }

    fn note(&self, linked: &Linked<'_>) {
        let inode = linked.clone.st_ino;
        if linked.stays(self.is_root) {
            let mut known = locked(&self.known);
            if known.originals.len() >= MOST {
                known.is_full = true;
                return;
            }
            let first = *known.originals.entry(inode).or_insert(linked.original());
            if first != linked.original() {
                known.wrong.insert(inode);
                drop(known);
                self.groups.iter().for_each(|groups| groups.split([first, linked.original()]));
            }
        } else if linked.is_regular() && linked.clone.st_size == linked.source.st_size {
            let mut known = locked(&self.known);
            if known.times >= MOST {
                known.is_full = true;
                return;
            }
            let is_new = known.forbidden.entry(inode).or_default().insert(linked.source.st_mtime);
            known.times += usize::from(is_new);
        }
    }

    fn take_known(&self) -> Known {
        std::mem::take(&mut *locked(&self.known))
    }
}

impl Visitor for Links {
    type Kept = ();

    fn see(&self, here: &Here<'_>, entry: &Entry<'_>, (): &mut ()) {
        Self::see(self, here, entry, false);
    }
}

/// Ensures that rsync creates separate files for names that are linked at the destination and separate at the source.
pub fn separate(run: &Run<'_>, trees: &Trees<'_>, links: &Links) -> Result<(), Failure> {
    run.go_on()?;
    let _phase = run.phase("links");
    let known = links.take_known();
    if known.is_full {
        separate_in_shares(run, trees);
    } else {
        part(run, trees, known);
    }
    run.go_on()
}

/// Anybody who can create links could fill the memory: does more walks, each for fewer inodes.
fn separate_in_shares(run: &Run<'_>, trees: &Trees<'_>) {
    let mut share = Share { number: 0, of: 4 };
    while share.number < share.of && run.machine.interrupts.received().is_none() {
        let links = Links::of(share, run.machine.host.is_root());
        // If the roots cannot be walked, rsync reports it.
        let walked = walk(trees, run.machine.interrupts, &links);
        let known = links.take_known();
        if known.is_full {
            share = Share { number: 0, of: share.of.saturating_mul(4) };
            if share.of > MOST_WALKS {
                run.warn_publicly("the clone has too many hard links to compare them all with the source's.");
                return;
            }
            continue;
        }
        if walked.is_ok() {
            part(run, trees, known);
        }
        share.number += 1;
    }
}

/// Separates what is known to be wrongly linked.
fn part(run: &Run<'_>, trees: &Trees<'_>, known: Known) {
    if known.wrong.is_empty() || run.machine.interrupts.received().is_some() {
        return;
    }
    info!(
        "{} files of the clone are hard links of each other but separate files at the source: unlinking them.",
        known.wrong.len()
    );
    let parting = Parting { known, is_root: run.machine.host.is_root(), done: Mutex::default() };
    // The roots were opened once before; if that fails now, rsync reports it.
    let _ = walk(trees, run.machine.interrupts, &parting);
    parting.report(run);
}

/// Something that is hard-linked at the destination, by one of its names that also exists at the source.
struct Linked<'a> {
    here: &'a Here<'a>,
    dirs: (&'a OwnedFd, &'a OwnedFd),
    name: &'a CStr,
    /// Its metadata at the source.
    source: &'a FileStat,
    /// Its metadata at the destination; never a directory.
    clone: &'a FileStat,
}

impl<'a> Linked<'a> {
    fn of(here: &'a Here<'a>, entry: &Entry<'a>) -> Option<Self> {
        let (source, clone) = (entry.stats.source?, entry.stats.destination?);
        let dirs = (here.dirs.source?, here.dirs.destination?);
        let is_linked = clone.st_nlink > 1 && kind(clone) != SFlag::S_IFDIR && kind(source) != SFlag::S_IFDIR;
        is_linked.then_some(Self { here, dirs, name: entry.name, source, clone })
    }
}

/// The maximum number of walks: more would mean a single file with hundreds of thousands of names.
const MOST_WALKS: ino_t = 4096;

/// The inodes of the destination that one walk covers.
#[derive(Debug, Clone, Copy)]
struct Share {
    number: ino_t,
    of: ino_t,
}

impl Share {
    fn has(self, linked: &Linked<'_>) -> bool {
        linked.clone.st_ino % self.of == self.number
    }
}

/// What is known about the destination's hard-linked inodes.
#[derive(Debug, Default)]
struct Known {
    /// The source inode for which rsync would keep it, by the first name met.
    originals: HashMap<ino_t, Original>,
    /// Inodes that it would also keep for another source inode.
    wrong: HashSet<ino_t>,
    /// Times, in seconds, that the inode must not get: rsync would take it for an up-to-date copy of another file.
    forbidden: HashMap<ino_t, HashSet<i64>>,
    /// The total number of such times.
    times: usize,
    /// There were more than can be remembered.
    is_full: bool,
}

/// How many inodes and times are remembered in one walk: some 50 MB.
const MOST: usize = 1 << 19;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Linked<'_> {
    fn original(&self) -> Original {
        (self.source.st_dev, self.source.st_ino)
    }

    fn is_regular(&self) -> bool {
        [self.clone, self.source].into_iter().all(|stat| kind(stat) == SFlag::S_IFREG)
    }

    /// Whether rsync would keep the inode for this name. If it compares nanoseconds too, a file is copied needlessly.
    fn stays(&self, is_root: bool) -> bool {
        let kinds = (kind(self.clone), kind(self.source));
        let device = [SFlag::S_IFCHR, SFlag::S_IFBLK];
        match kinds {
            (SFlag::S_IFREG, SFlag::S_IFREG) => {
                self.clone.st_size == self.source.st_size && self.clone.st_mtime == self.source.st_mtime
            }
            (SFlag::S_IFLNK, SFlag::S_IFLNK) => {
                let target = |dir| readlinkat(dir, self.name).ok();
                let here = target(self.dirs.1);
                here.is_some() && here == target(self.dirs.0)
            }
            // Without root, rsync creates none of the rest.
            _ if !is_root => false,
            // rsync treats both kinds of device alike.
            (one, other) if device.contains(&one) && device.contains(&other) => {
                self.clone.st_rdev == self.source.st_rdev
            }
            (one, other) => one == other,
        }
    }
}

/// Separates what is wrongly linked.
struct Parting {
    known: Known,
    is_root: bool,
    done: Mutex<Done>,
}

#[derive(Default)]
struct Done {
    /// Files whose time has already been changed.
    files: HashSet<ino_t>,
    /// What could not be separated, and why.
    failed: Vec<String>,
}

impl Visitor for Parting {
    type Kept = ();

    fn see(&self, here: &Here<'_>, entry: &Entry<'_>, (): &mut ()) {
        if let Some(linked) = Linked::of(here, entry) {
            self.visit(&linked);
        }
    }
}

impl Parting {
    fn visit(&self, linked: &Linked<'_>) {
        let inode = linked.clone.st_ino;
        if !self.known.wrong.contains(&inode) || !linked.stays(self.is_root) {
            return;
        }
        let separated = if linked.is_regular() {
            if !locked(&self.done).files.insert(inode) {
                return;
            }
            self.set_another_time(linked)
        } else if self.known.originals.get(&inode) == Some(&linked.original()) {
            return;
        } else {
            unlinkat(linked.dirs.1, linked.name, UnlinkatFlags::NoRemoveDir).map_err(io::Error::from)
        };
        if let Err(error) = separated {
            let path = linked.here.path_of(linked.name);
            locked(&self.done).failed.push(format!("{}: {}", display::path(&path), display::reason(&error)));
        }
    }

    /// Shifts the time by a second or a few, so that a safety net shows almost the file's old time.
    fn set_another_time(&self, linked: &Linked<'_>) -> io::Result<()> {
        let old = linked.clone.st_mtime;
        let forbidden = self.known.forbidden.get(&linked.clone.st_ino);
        // Towards 1970, or away from it if close: no filesystem's range ends there.
        let step = if old > 0 { -1 } else { 1 };
        let mut new = old + step;
        while forbidden.is_some_and(|times| times.contains(&new)) {
            new += step;
        }
        let new = TimeSpec::new(new, linked.clone.st_mtime_nsec);
        let dir = linked.dirs.1;
        let flags = UtimensatFlags::NoFollowSymlink;
        Ok(utimensat(dir, linked.name, &TimeSpec::UTIME_OMIT, &new, flags)?)
    }

    fn report(self, run: &Run<'_>) {
        let done = self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = done.failed.first() {
            run.warn(format_args!(
                "{} files of the clone that are separate at the source could not be unlinked and remain one file, with \
                 the permissions of one of them. The first is {first}.",
                done.failed.len()
            ));
        }
    }
}
