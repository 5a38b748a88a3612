//! Compares each entry of both ends, during a walk.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};

use crate::display;
use crate::fs::dir::{Dir, is_too_long};
use crate::fs::reading;
use crate::phases::endpoints::Endpoints;
use crate::phases::transfer::meter::Meter;
use crate::process::interrupts::Interrupts;
use crate::rsync::filter::matcher::LeftOut;
use crate::tree::pair::{Entry, Here, Visitor, kind};
use crate::tree::sides::Side;
use crate::verify::contents::{Buffers, Compared, Difference, compare};
use crate::verify::finding::{Findings, Flaw};
use crate::verify::kept::{Kept, number};
use crate::verify::links::{Linked, Links};
use crate::verify::sample::Chosen;

/// What entries are compared by.
pub struct Verifier<'a> {
    /// Both ends.
    pub ends: &'a Endpoints,
    /// What the source leaves out.
    pub left_out: &'a LeftOut,
    /// The signals that may end us.
    pub interrupts: &'a Interrupts,
    /// Counts what is read.
    pub meter: &'a Meter,
    /// What a clone keeps.
    pub kept: Kept,
    /// When the clone was begun, in seconds since 1970.
    pub started: i64,
    /// The source's filesystems stamp every change of an inode.
    pub stamps_changes: bool,
    /// The files that are read.
    pub chosen: Chosen,
    /// The hard links of both ends.
    pub links: Links,
}

/// What one thread has found.
#[derive(Default)]
pub struct Part {
    /// What it has found.
    pub findings: Findings,
    /// The source's directory has changed since the clone: entries have come or gone.
    dir_has_changed: bool,
    buffers: Buffers,
}

/// What reading a file and its copy has come to.
enum Read {
    /// They are equal, or have this flaw.
    Compared(Option<Flaw>),
    /// The source cannot be read.
    NoSource(String),
    /// The source has changed meanwhile.
    Changed,
    /// A signal has asked us to stop.
    Interrupted,
}

impl Visitor for Verifier<'_> {
    type Kept = Part;

    fn enter(&self, here: &Here<'_>, part: &mut Part) {
        let dir = here.dirs.source.map(fstat);
        part.dir_has_changed = dir.is_some_and(|stat| stat.map_or(true, |stat| self.has_changed(&stat)));
        if here.is_locked && !here.is_inside_locked {
            let why = "it is encrypted, and its key is not available".to_owned();
            part.findings.leave(here.path.to_owned(), Side::Source, why);
        }
    }

    fn see(&self, here: &Here<'_>, entry: &Entry<'_>, part: &mut Part) {
        if here.is_locked {
            return;
        }
        match (entry.stats.source, entry.stats.destination) {
            (Some(source), Some(copy)) => self.both(here, entry.name, (source, copy), part),
            (Some(source), None) => self.missing(here, entry.name, source, part),
            (None, Some(copy)) => self.extra(here, entry, copy, part),
            (None, None) => {}
        }
    }

    fn unreadable(&self, side: Side, path: &Path, part: &mut Part) {
        match side {
            Side::Source => {
                let why = why_unreadable(&self.ends.source.dir, path);
                part.findings.leave(path.to_owned(), side, why);
            }
            Side::Destination => {
                let why = why_unreadable(&self.ends.destination.dir, path);
                part.findings.damage(path.to_owned(), vec![Flaw::Unreadable(why)]);
            }
        }
    }
}

impl Verifier<'_> {
    /// Compares the roots themselves.
    pub fn roots(&self, here: &Here<'_>, (source, copy): (&FileStat, &FileStat), part: &mut Part) {
        part.findings.entries += 1;
        let flaws = self.kept.flaws(here, c".", (source, copy));
        part.judge(PathBuf::from("."), flaws, self.has_changed(source));
    }

    /// Whether an inode of the source has changed since the clone was begun.
    fn has_changed(&self, stat: &FileStat) -> bool {
        stat.st_ctime >= self.started || !self.stamps_changes && stat.st_mtime >= self.started
    }

    fn missing(&self, here: &Here<'_>, name: &CStr, source: &FileStat, part: &mut Part) {
        // What is in a directory that is missing is missing with it.
        let Some(dir) = here.dirs.destination else { return };
        if !self.kept.copies(source) {
            return;
        }
        match fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            // The list of names was cut short, which was reported.
            Ok(copy) => return self.both(here, name, (source, &copy), part),
            Err(Errno::ENOENT) => {}
            // So was this.
            Err(_) => return,
        }
        part.findings.entries += 1;
        // What has come since has changed its directory too.
        let has_changed = part.dir_has_changed && self.has_changed(source);
        part.judge(here.path_of(name), vec![Flaw::Missing], has_changed);
    }

    fn extra(&self, here: &Here<'_>, entry: &Entry<'_>, copy: &FileStat, part: &mut Part) {
        // What is in a directory that the source does not have goes with it.
        if here.dirs.source.is_none() || entry.is_left_out {
            return;
        }
        let is_dir = kind(copy) == SFlag::S_IFDIR;
        if self.left_out.has(here.place, entry.name.to_bytes(), is_dir) {
            return;
        }
        part.findings.entries += 1;
        part.judge(here.path_of(entry.name), vec![Flaw::Extra], part.dir_has_changed);
    }

    fn both(&self, here: &Here<'_>, name: &CStr, (source, copy): (&FileStat, &FileStat), part: &mut Part) {
        part.findings.entries += 1;
        let mut has_changed = self.has_changed(source);
        let mut flaws = self.kept.flaws(here, name, (source, copy));
        match self.links.see(source, copy) {
            Linked::Agree => {}
            Linked::Differ => flaws.push(Flaw::HardLinks),
            Linked::Unknown => part.findings.links_left = true,
        }
        if kind(source) == SFlag::S_IFDIR && kind(copy) == SFlag::S_IFDIR {
            part.note_boundary(here, name, copy);
        }
        let are_files = kind(source) == SFlag::S_IFREG && kind(copy) == SFlag::S_IFREG;
        // What has changed, and shows it, need not be read to be known.
        let is_known = has_changed && !flaws.is_empty();
        if are_files && !is_known && self.reads(here, name, (source, copy)) {
            match self.read(here, name, source, part) {
                Read::Compared(flaw) => {
                    part.findings.files += 1;
                    flaws.splice(0..0, flaw);
                }
                Read::NoSource(why) => part.findings.leave(here.path_of(name), Side::Source, why),
                Read::Changed => {
                    has_changed = true;
                    // It counts, although by what it differs is not known.
                    flaws.push(Flaw::Modified);
                }
                Read::Interrupted => return,
            }
        }
        if flaws.is_empty() {
            return;
        }
        // It may have changed just now, since its properties were asked for.
        has_changed = has_changed || changes_now(here.dirs.source, name, source);
        part.judge(here.path_of(name), flaws, has_changed);
    }

    /// Whether the contents of a file are to be read: those of a hard-linked one once.
    fn reads(&self, here: &Here<'_>, name: &CStr, (source, copy): (&FileStat, &FileStat)) -> bool {
        self.chosen.has(&here.path_of(name)) && self.links.is_first_read(source, copy)
    }

    fn read(&self, here: &Here<'_>, name: &CStr, source: &FileStat, part: &mut Part) -> Read {
        let (Some(here), Some(there)) = (here.dirs.source, here.dirs.destination) else {
            return Read::Compared(None);
        };
        let file = match reading::open(here, name) {
            Ok(Some(file)) => file,
            Ok(None) => return Read::Changed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Read::Changed,
            Err(error) => return Read::NoSource(display::reason(&error)),
        };
        let copy = match reading::open(there, name) {
            Ok(Some(copy)) => copy,
            Ok(None) => return unreadable("it is not a file any more".to_owned()),
            Err(error) => return unreadable(display::reason(&error)),
        };
        let length = |file| fstat(file).map(|stat| number(stat.st_size)).map_err(io::Error::from);
        let lengths = match (length(&file), length(&copy)) {
            (Ok(source), Ok(copy)) => (source, copy),
            (Err(error), _) => return Read::NoSource(display::reason(&error)),
            (_, Err(error)) => return unreadable(display::reason(&error)),
        };
        let Part { findings, buffers, .. } = part;
        let bytes = std::cell::Cell::new(0_u64);
        let count = |more: u64| {
            bytes.set(bytes.get() + more);
            self.meter.add(more);
        };
        let compared = compare((&file, &copy), lengths, buffers, self.interrupts, &count);
        findings.bytes += bytes.get();
        let is_other = fstat(&file).map_or(true, |now| now.st_ino != source.st_ino || is_later(&now, source));
        match compared {
            Compared::Interrupted => Read::Interrupted,
            Compared::Failed(Side::Source, at, error) => Read::NoSource(reason_at(at, &error)),
            Compared::Failed(Side::Destination, at, error) => unreadable(reason_at(at, &error)),
            Compared::Read(Some(_)) if is_other => Read::Changed,
            Compared::Read(Some(difference @ Difference { .. })) => {
                Read::Compared(Some(Flaw::Contents(difference)))
            }
            Compared::Read(None) => Read::Compared(None),
        }
    }
}

impl Part {
    /// Adds an entry with these flaws, if it has any.
    fn judge(&mut self, path: PathBuf, flaws: Vec<Flaw>, has_changed: bool) {
        if flaws.is_empty() {
            return;
        }
        // What the clone has and cannot be read is lost there, whatever the source does.
        if has_changed && !flaws.iter().any(|flaw| matches!(flaw, Flaw::Unreadable(_))) {
            self.findings.changed += 1;
        } else {
            self.findings.damage(path, flaws);
        }
    }

    /// Another filesystem that begins in the clone is not entered.
    fn note_boundary(&mut self, here: &Here<'_>, name: &CStr, copy: &FileStat) {
        if Some(copy.st_dev) != here.devices.destination {
            let why = "another filesystem begins there in the clone".to_owned();
            self.findings.leave(here.path_of(name), Side::Destination, why);
        }
    }
}

/// Whether an entry of the source has changed since it was looked at.
fn changes_now(dir: Option<&OwnedFd>, name: &CStr, before: &FileStat) -> bool {
    let now = dir.map(|dir| fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW));
    match now {
        Some(Ok(now)) => now.st_ino != before.st_ino || is_later(&now, before),
        Some(Err(Errno::ENOENT)) => true,
        Some(Err(_)) | None => false,
    }
}

fn is_later(now: &FileStat, before: &FileStat) -> bool {
    let times = |stat: &FileStat| (stat.st_ctime, stat.st_ctime_nsec, stat.st_mtime, stat.st_mtime_nsec);
    times(now) != times(before)
}

fn unreadable(why: String) -> Read {
    Read::Compared(Some(Flaw::Unreadable(why)))
}

fn reason_at(at: u64, error: &io::Error) -> String {
    format!("{}, at offset {at}", display::reason(error))
}

/// Asks once more for what cannot be examined, to know why.
fn why_unreadable(root: &Dir, path: &Path) -> String {
    let look = || {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return root.names().map(drop);
        };
        if CString::new(name.as_bytes()).is_ok_and(|name| is_too_long(parent, &name)) {
            return Err(io::Error::other("its path is too long"));
        }
        let parent = root.enter_path(parent)?;
        match parent.kind(OsStr::new(name))? {
            Some(SFlag::S_IFDIR) => parent.enter(name)?.names().map(drop),
            Some(_) | None => Ok(()),
        }
    };
    match look() {
        Err(error) => display::reason(&error),
        Ok(()) => "an error that did not occur a second time".to_owned(),
    }
}
