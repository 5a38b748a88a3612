//! Walks a clone, and takes the hash of whatever is not as it was when hashes were taken last.

use std::collections::HashSet;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::iter::Peekable;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::AtFlags;
use nix::sys::stat::{fstat, fstatat};

use crate::display;
use crate::fs::reading;
use crate::fs::walk::Visitor;
use crate::marker::Prefix;
use crate::phases::survey::memory::Stamp;
use crate::process::interrupts::Interrupts;
use crate::rsync::filter::rules;
use crate::tree::parallel;
use crate::verify::hashes::contents::{self, NoHash};
use crate::verify::hashes::entry::{Hashed, Kind, LONGEST, UNSETTLED, order, seen};
use crate::verify::hashes::file::{Entries, Writer};

/// How many files are open at once.
const OPEN: usize = 64;

/// How many entries wait for those before them.
const WAITING: usize = 4096;

/// How many names of one directory are held in memory.
const NAMES: usize = 1 << 20;

/// How many entries without a hash are named.
const NAMED: usize = 100;

/// An entry, and the file that is still to be read for it.
type Waiting = (Hashed, Option<File>);

/// What belongs to a clone, and how its inodes are known again.
#[derive(Debug)]
pub struct Ground<'a> {
    /// The signals that may end us.
    pub interrupts: &'a Interrupts,
    /// The prefix of our own files.
    pub prefix: &'a Prefix,
    /// Directories that are no part of the clone.
    pub apart: HashSet<&'a [u8]>,
    /// The key of [`seen`].
    pub key: [u8; 16],
    /// This moment: what changes later may have been read before.
    pub began: Stamp,
}

/// What a walk has come to.
#[derive(Debug, Default)]
pub struct Kept {
    /// Files that were read.
    pub files: u64,
    /// How much was read of them, in bytes.
    pub bytes: u64,
    /// What cannot be read, by its path, and why; as much as is named.
    pub unreadable: Vec<(PathBuf, String)>,
    /// How much there is of it.
    pub damaged: u64,
    /// What is too much to be hashed, by its path, and why; as much as is named.
    pub left: Vec<(PathBuf, String)>,
    /// What has kept the hashes from being written.
    pub failed: Option<io::Error>,
}

/// Takes hashes during a walk.
#[derive(Debug)]
pub struct Keeper<'a> {
    ground: Ground<'a>,
    /// What is left of the hashes that were taken last.
    old: Option<Peekable<Entries<'a>>>,
    writer: Writer,
    /// The directory, with a slash at the end; empty for the root.
    path: Vec<u8>,
    waiting: Vec<Waiting>,
    open: usize,
    kept: Kept,
}

impl<'a> Keeper<'a> {
    /// One that knows these hashes.
    #[must_use]
    pub fn new(ground: Ground<'a>, old: Option<Entries<'a>>, writer: Writer) -> Self {
        let old = old.map(Iterator::peekable);
        let (path, waiting, kept) = (Vec::new(), Vec::new(), Kept::default());
        Self { ground, old, writer, path, waiting, open: 0, kept }
    }

    /// What the walk has come to, and what is written.
    #[must_use]
    pub fn end(mut self) -> (Kept, Writer) {
        self.flush();
        (self.kept, self.writer)
    }

    /// The entry of this path among those that were taken last.
    fn before(&mut self, path: &[u8]) -> Option<Hashed> {
        let old = self.old.as_mut()?;
        // Damage was looked for; if it has come since, the rest is read anew.
        while old.next_if(|entry| entry.as_ref().is_ok_and(|it| order(&it.path, path).is_lt())).is_some() {}
        old.next_if(|entry| entry.as_ref().is_ok_and(|it| it.path == path))?.ok()
    }

    fn wait(&mut self, entry: Hashed, file: Option<File>) {
        self.open += usize::from(file.is_some());
        self.waiting.push((entry, file));
        if self.open >= OPEN || self.waiting.len() >= WAITING {
            self.flush();
        }
    }

    /// Reads the files that are open, and writes what has waited.
    fn flush(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        if std::mem::take(&mut self.open) == 0 {
            for (entry, _) in waiting {
                self.write(entry);
            }
            return;
        }
        let Ground { interrupts, key, .. } = self.ground;
        let read = |(entry, file): Waiting| match file {
            None => (entry, 0, Ok(false)),
            Some(file) => {
                let bytes = std::cell::Cell::new(0);
                let mut entry = entry;
                let hash =
                    contents::of_file(&file, entry.size, interrupts, &|more| bytes.set(bytes.get() + more));
                let hashed = hash.map(|hash| {
                    entry.hash = hash;
                    if fstat(&file).map_or(true, |now| seen(key, &now) != entry.seen) {
                        entry.seen = UNSETTLED;
                    }
                    true
                });
                (entry, bytes.get(), hashed)
            }
        };
        for (entry, bytes, hashed) in parallel::each(waiting, interrupts, read).into_iter().flatten() {
            match hashed {
                Ok(was_read) => {
                    self.kept.files += u64::from(was_read);
                    self.kept.bytes += bytes;
                    self.write(entry);
                }
                Err(NoHash::Failed(at, error)) => {
                    let why = format!("{}, at offset {at}", display::reason(&error));
                    self.miss(entry.path(), why);
                    // No contents have this hash, so that a verification finds it too.
                    self.write(Hashed { seen: UNSETTLED, ..entry });
                }
                Err(NoHash::Interrupted) => {}
            }
        }
    }

    fn write(&mut self, entry: Hashed) {
        if self.kept.failed.is_none() {
            self.kept.failed = self.writer.add(entry).err();
        }
    }

    fn miss(&mut self, path: &Path, why: String) {
        self.kept.damaged += 1;
        if self.kept.unreadable.len() < NAMED {
            self.kept.unreadable.push((path.to_owned(), why));
        }
    }

    fn pass_over(&mut self, path: &Path, why: &str) {
        if self.kept.left.len() < NAMED {
            self.kept.left.push((path.to_owned(), why.to_owned()));
        }
    }
}

impl Visitor for Keeper<'_> {
    fn enter(&mut self, _dir: &File, name: &OsStr) -> io::Result<()> {
        if !name.is_empty() {
            self.path.extend_from_slice(name.as_bytes());
            self.path.push(b'/');
        }
        Ok(())
    }

    fn entry(&mut self, dir: &File, name: &OsStr) -> io::Result<()> {
        let c_name = CString::new(name.as_bytes())?;
        let stat = fstatat(dir, &*c_name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let Some(kind) = Kind::of(&stat) else { return Ok(()) };
        let path = [&self.path, name.as_bytes()].concat();
        if path.len() > LONGEST {
            self.pass_over(Path::new(OsStr::from_bytes(&path)), "its path is too long");
            return Ok(());
        }
        let is_settled = Stamp::of(&stat).is_before(self.ground.began);
        let seen = if is_settled { seen(self.ground.key, &stat) } else { UNSETTLED };
        let mut entry = Hashed::new(path, kind, &stat, seen);
        if let Some(before) = self.before(&entry.path)
            && entry.is_as_before(&before)
        {
            self.wait(before, None);
            return Ok(());
        }
        match kind {
            Kind::Link => {
                entry.hash = contents::of_link(dir, &c_name)?;
                self.wait(entry, None);
            }
            Kind::File => {
                if let Some(file) = reading::open(dir, &c_name)? {
                    self.wait(entry, Some(file));
                }
            }
        }
        Ok(())
    }

    fn leave(&mut self, _above: &File, name: &OsStr) -> io::Result<()> {
        self.path.truncate(self.path.len().saturating_sub(name.len() + 1));
        Ok(())
    }

    fn leaves_out(&self, name: &OsStr) -> bool {
        rules::hides(self.ground.prefix, name)
    }

    fn enters(&self, name: &OsStr) -> bool {
        let path = [&self.path, name.as_bytes()].concat();
        !self.ground.apart.contains(&*path)
    }

    fn most_names(&self) -> usize {
        NAMES
    }

    fn stops(&self) -> bool {
        self.kept.failed.is_some() || self.ground.interrupts.received().is_some()
    }

    fn problem(&mut self, path: &Path, error: io::Error) {
        let kind = error.kind();
        if kind == io::ErrorKind::OutOfMemory {
            self.pass_over(path, "it holds too many entries");
        } else if kind != io::ErrorKind::NotFound {
            // What has gone meanwhile has gone by nothing of ours.
            self.miss(path, display::reason(&error));
        }
    }
}
