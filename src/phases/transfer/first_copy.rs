//! The first copy: what the destination does not have at all is copied by a few threads, and a full pass of rsync over it
//! has the last word.
//!
//! It only adds names, so it needs no safety net. What it cannot copy exactly, and what may be changing, it leaves out.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use indicatif::HumanBytes;
use log::info;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, UtimensatFlags, fstat, mkdirat, utimensat};
use nix::sys::time::{TimeSpec, TimeValLike as _};
use nix::unistd::{Gid, Uid, fchownat, geteuid, symlinkat};

use crate::fs::copy::{Copied, Ways, contents, properties};
use crate::fs::dir::UNNOTICED;
use crate::fs::{is_no_room, nameless};
use crate::logging::changes::Changes;
use crate::phases::survey;
use crate::phases::survey::found::Survey;
use crate::phases::survey::memory::Stamp;
use crate::phases::transfer::Transfer;
use crate::phases::transfer::meter::Meter;
use crate::record::{Kinds, Statistics};
use crate::rsync::names;
use crate::tree::pair::{Entry, Here, Visitor, kind, walk};

/// A source with fewer entries that the destination lacks is left to rsync.
const LEAST: u64 = 1000;

/// The rest of rsync's letters for what is new.
const CREATED: &str = "+++++++++";

/// Whether it is worth it: most of the source is not at the destination, and everything that may not be copied is known.
#[must_use]
pub fn is_fit(survey: &Survey) -> bool {
    let lacks_most = survey.differences.created > survey.census.entries / 2;
    lacks_most
        && survey.differences.created >= LEAST
        && survey.is_exact
        && survey.locked.is_empty()
        && survey.census.unreadable + survey.clone.unreadable == 0
}

/// Copies what the destination lacks and what has not changed since `began`; returns what was copied.
pub fn copy(transfer: &Transfer<'_>, survey: &Survey, began: Stamp) -> Statistics {
    let Transfer { run, ends, rules, meter, .. } = *transfer;
    let left_out = survey::left_out(run, ends, rules);
    let clock = Instant::now();
    let copier = Copier {
        began,
        ways: Ways::default(),
        is_over: AtomicBool::new(false),
        stopped: &|| run.machine.interrupts.received().is_some(),
        meter,
        changes: run.changes(),
    };
    info!(
        "First copy: {} entries, {}.",
        survey.differences.created,
        HumanBytes(survey.differences.written())
    );
    let mut sum = Part::default();
    // A root that cannot be read is rsync's to report.
    if let Ok((_, parts)) = walk(&survey::trees(ends, &left_out), run.machine.interrupts, &copier) {
        for part in &parts {
            sum.add(part);
        }
    }
    meter.clear();
    copier.changes.flush();
    let seconds = clock.elapsed().as_secs_f64();
    info!("First copy: {} copied in {seconds:.1} s. A full pass follows.", HumanBytes(sum.bytes));
    sum.statistics()
}

/// What one thread has copied.
#[derive(Default)]
struct Part {
    /// The open directory of the destination is ours alone.
    is_ours: bool,
    kinds: Kinds,
    bytes: u64,
    buffer: Vec<u8>,
}

impl Part {
    fn add(&mut self, other: &Self) {
        self.kinds.add(&other.kinds);
        self.bytes += other.bytes;
    }

    fn statistics(&self) -> Statistics {
        let Kinds { files, dirs, links, .. } = self.kinds;
        Statistics {
            created: Some(files + dirs + links),
            transferred: Some(files),
            transferred_size: Some(self.bytes),
            literal: Some(self.bytes),
            created_by_kind: Some(self.kinds),
            ..Statistics::default()
        }
    }
}

struct Copier<'a> {
    /// What has changed since may be changing now.
    began: Stamp,
    ways: Ways,
    /// The destination is full.
    is_over: AtomicBool,
    stopped: &'a (dyn Fn() -> bool + Sync),
    meter: &'a Meter,
    changes: Changes,
}

impl Visitor for Copier<'_> {
    type Kept = Part;

    fn enter(&self, here: &Here<'_>, part: &mut Part) {
        let is_top = here.path.as_os_str().is_empty();
        part.is_ours = here.dirs.source.is_some()
            && !here.is_locked
            && here.dirs.destination.is_some_and(|dir| is_ours(dir, is_top));
    }

    fn see(&self, here: &Here<'_>, entry: &Entry<'_>, part: &mut Part) {
        let (Some(stat), None) = (entry.stats.source, entry.stats.destination) else { return };
        let (Some(from), Some(to)) = (here.dirs.source, here.dirs.destination) else { return };
        // rsync links names of one file, which takes a path.
        if !part.is_ours || stat.st_nlink != 1 || self.is_over.load(Ordering::Relaxed) {
            return;
        }
        match kind(stat) {
            SFlag::S_IFREG => match self.copy_file(from, to, entry.name, &mut part.buffer) {
                Ok(Some(bytes)) => {
                    part.kinds.files += 1;
                    part.bytes += bytes;
                    self.list(">f", here, entry.name, "");
                }
                Ok(None) => {}
                Err(error) => self.give_up(&error),
            },
            SFlag::S_IFLNK if Stamp::of(stat).is_before(self.began) => {
                match copy_link(from, to, entry.name, stat) {
                    Ok(()) => {
                        part.kinds.links += 1;
                        self.list("cL", here, entry.name, "");
                    }
                    Err(error) => self.give_up(&error),
                }
            }
            _ => {}
        }
    }

    fn makes(&self, here: &Here<'_>, name: &CStr, part: &mut Part) -> bool {
        let Some(to) = here.dirs.destination.filter(|_| part.is_ours) else { return false };
        let is_made = !self.is_over.load(Ordering::Relaxed) && mkdirat(to, name, Mode::S_IRWXU).is_ok();
        part.kinds.dirs += u64::from(is_made);
        if is_made {
            self.list("cd", here, name, "/");
        }
        is_made
    }

    fn leave(&self, here: &Here<'_>, part: &mut Part) {
        let (Some(from), Some(to)) = (here.dirs.source, here.dirs.destination) else { return };
        if part.is_ours && !here.path.as_os_str().is_empty() {
            // rsync sets what cannot be set here, or reports it.
            let _ = fstat(from).map_err(io::Error::from).and_then(|stat| properties(from, to, &stat));
        }
    }
}

/// Whether nobody else can have made or exchanged what is in an open directory: the destination itself, or one that was
/// made by [`Visitor::makes`] and has not got its properties yet.
///
/// In another user's, that user could put one that is open to all in the place of one that is not.
fn is_ours(dir: &OwnedFd, is_top: bool) -> bool {
    let others = if is_top { Mode::S_IWGRP | Mode::S_IWOTH } else { Mode::S_IRWXG | Mode::S_IRWXO };
    fstat(dir).is_ok_and(|stat| stat.st_uid == geteuid().as_raw() && stat.st_mode & others.bits() == 0)
}

impl Copier<'_> {
    /// Lists what was created, as rsync would.
    fn list(&self, letters: &str, here: &Here<'_>, name: &CStr, end: &str) {
        if self.changes.is_wanted() {
            let path = here.path.join(OsStr::from_bytes(name.to_bytes()));
            let mut name = names::escaped(&path);
            name.extend_from_slice(end.as_bytes());
            self.changes.add(&format!("{letters}{CREATED}"), &name);
        }
    }

    /// rsync reports what has failed; without room nothing more is tried.
    fn give_up(&self, error: &io::Error) {
        if is_no_room(error) {
            self.is_over.store(true, Ordering::Relaxed);
        }
    }

    /// Copies a file; returns its size, or `None` if it is left to rsync.
    fn copy_file(
        &self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &CStr,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Option<u64>> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let source = File::from(openat(from, name, flags | OFlag::O_RDONLY | UNNOTICED, Mode::empty())?);
        let stat = fstat(&source)?;
        if kind(&stat) != SFlag::S_IFREG || stat.st_nlink != 1 || !Stamp::of(&stat).is_before(self.began) {
            return Ok(None);
        }
        // Without a name until it is whole: what kills us leaves no half file.
        let copy = nameless::create_in(to)?;
        let go_on = |bytes| {
            self.meter.add(bytes);
            !(self.stopped)()
        };
        let file = Copied { from: &source, to: &copy, stat: &stat };
        contents(&self.ways, file, buffer, &go_on)?;
        if is_changed(&source, &stat)? {
            return Ok(None);
        }
        properties(&source, &copy, &stat)?;
        nameless::give_name(&copy, to, name)?;
        Ok(Some(u64::try_from(stat.st_size).unwrap_or(0)))
    }
}

/// Whether an open file has changed since its metadata were read.
fn is_changed(file: &File, before: &FileStat) -> io::Result<bool> {
    let key = |stat: &FileStat| {
        (stat.st_size, stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec)
    };
    Ok(key(&fstat(file)?) != key(before))
}

/// Copies a symbolic link into a directory that is ours alone.
fn copy_link(from: &OwnedFd, to: &OwnedFd, name: &CStr, stat: &FileStat) -> io::Result<()> {
    let target = readlinkat(from, name)?;
    symlinkat(&*target, to, name)?;
    let (owner, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    fchownat(to, name, Some(owner), Some(group), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let modified = TimeSpec::seconds(stat.st_mtime) + TimeSpec::nanoseconds(stat.st_mtime_nsec);
    Ok(utimensat(to, name, &TimeSpec::UTIME_OMIT, &modified, UtimensatFlags::NoFollowSymlink)?)
}
