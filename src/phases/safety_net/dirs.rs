//! The directories of a destination as they were before a clone: rsync does not move directories into a net but
//! recreates them as needed, without their times, and omits empty ones.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::{Mode, fchmod, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown};
use xattr::FileExt as _;

use crate::fs::dir::Dir;
use crate::fs::walk::{Visitor, walk};
use crate::marker::Prefix;
use crate::phases::safety_net::cursor::Cursor;
use crate::phases::safety_net::spool::Spool;
use crate::rsync::filter::rules;

/// XFS exposes each access control list a second time under such a name; setting the list itself is enough.
const LISTS_OF_XFS: &str = "trusted.SGI_ACL_";

/// The types of notes in the spool, stored in the first byte; the length and the content follow.
const DIR: u8 = 1;
/// An attribute of the directory before it.
const ATTRIBUTE: u8 = 2;
/// The properties of the directory before it could not be read.
const UNREADABLE: u8 = 3;

/// The size of a note's header, in bytes.
const HEAD: usize = 5;

/// The number of bytes before a directory's name.
const FIXED: usize = 32;

/// Every directory of a tree, parents before children. Other users choose their number, names and attributes, so only
/// few are in memory at a time.
#[derive(Debug, Default)]
pub struct Dirs {
    spool: Spool,
}

/// What [`Dirs::repair`] failed to do.
#[derive(Debug, Default)]
pub struct Repaired {
    /// How many directories were not restored.
    pub failed: u64,
    /// The first of them, relative to the net, and why.
    pub problem: Option<(PathBuf, io::Error)>,
}

impl Repaired {
    fn note(&mut self, way: &[Level], error: io::Error) {
        self.failed += 1;
        self.problem.get_or_insert_with(|| (way.iter().map(|level| &level.name).collect(), error));
    }
}

struct Recorder<'a> {
    spool: Spool,
    depth: u32,
    place: &'a Dir,
    prefix: &'a Prefix,
    stops: &'a dyn Fn() -> bool,
    failed: Option<io::Error>,
}

impl Recorder<'_> {
    fn note(&mut self, kind: u8, content: &[&[u8]]) -> io::Result<()> {
        let length = content.iter().map(|part| part.len()).sum::<usize>();
        let length = u32::try_from(length).map_err(io::Error::other)?;
        self.spool.push(&[kind], self.place)?;
        self.spool.push(&length.to_be_bytes(), self.place)?;
        content.iter().try_for_each(|part| self.spool.push(part, self.place))
    }

    fn record(&mut self, dir: &File, name: &OsStr) -> io::Result<()> {
        let metadata = dir.metadata();
        let of = |value: Option<u32>| value.unwrap_or(0).to_be_bytes();
        let found = metadata.as_ref().ok();
        self.note(
            DIR,
            &[
                &self.depth.to_be_bytes(),
                &of(found.map(|found| found.mode() & 0o7777)),
                &of(found.map(MetadataExt::uid)),
                &of(found.map(MetadataExt::gid)),
                &found.map_or(0_i64, MetadataExt::mtime).to_be_bytes(),
                &found.map_or(0_i64, MetadataExt::mtime_nsec).to_be_bytes(),
                name.as_bytes(),
            ],
        )?;
        if metadata.is_err() { self.note(UNREADABLE, &[]) } else { self.record_attributes(dir) }
    }

    fn record_attributes(&mut self, dir: &File) -> io::Result<()> {
        let Ok(names) = attributes(dir) else { return self.note(UNREADABLE, &[]) };
        for name in names {
            match dir.get_xattr(&name) {
                Ok(Some(value)) => {
                    let length = u16::try_from(name.len()).map_err(io::Error::other)?;
                    self.note(ATTRIBUTE, &[&length.to_be_bytes(), name.as_bytes(), &value])?;
                }
                Ok(None) => {}
                Err(_) => return self.note(UNREADABLE, &[]),
            }
        }
        Ok(())
    }
}

impl Visitor for Recorder<'_> {
    fn enter(&mut self, dir: &File, name: &OsStr) -> io::Result<()> {
        if let Err(error) = self.record(dir, name) {
            self.failed.get_or_insert(error);
        }
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self, _above: &File, _name: &OsStr) -> io::Result<()> {
        self.depth -= 1;
        Ok(())
    }

    fn leaves_out(&self, name: &OsStr) -> bool {
        rules::hides(self.prefix, name)
    }

    fn stops(&self) -> bool {
        self.failed.is_some() || (self.stops)()
    }

    // rsync will meet and report the same problem.
    fn problem(&mut self, _path: &Path, _error: io::Error) {}
}

/// A note in the spool.
struct Note {
    kind: u8,
    /// Where its content begins.
    at: u64,
    length: usize,
}

impl Note {
    fn end(&self) -> u64 {
        self.at + self.length as u64
    }
}

/// A directory on the path from the root to the one being repaired.
struct Level {
    name: OsString,
    /// Where the notes of its attributes begin.
    attributes: u64,
    /// It still exists at the destination.
    stays: bool,
    /// The cursor at the destination is in it.
    is_open: bool,
    /// It is in the net, and the cursor there is in it.
    in_net: bool,
    properties: [u8; FIXED],
}

impl Dirs {
    /// Reads the properties of every directory of the destination; `Interrupted` as soon as `stops` returns true. What
    /// does not fit in memory goes to a file in `place`.
    pub fn record(
        destination: &Dir,
        place: &Dir,
        prefix: &Prefix,
        stops: &dyn Fn() -> bool,
    ) -> io::Result<Self> {
        let mut recorder = Recorder { spool: Spool::default(), depth: 0, place, prefix, stops, failed: None };
        let walked = walk(destination, &mut recorder);
        if let Some(error) = recorder.failed {
            return Err(error);
        }
        walked.map(|()| Self { spool: recorder.spool })
    }

    /// Restores the properties of the directories in the net, and creates those that are gone from the destination and
    /// contained nothing for rsync to move.
    #[must_use]
    pub fn repair(&self, destination: &Dir, net: &Dir) -> Repaired {
        let mut repaired = Repaired::default();
        let mut way = Vec::new();
        if let Err(error) = self.repair_all(destination, net, &mut way, &mut repaired) {
            repaired.note(&way, error);
        }
        repaired
    }

    /// Fails only if nothing more can be done.
    fn repair_all(
        &self,
        destination: &Dir,
        net: &Dir,
        way: &mut Vec<Level>,
        repaired: &mut Repaired,
    ) -> io::Result<()> {
        let mut there = Cursor::new(destination)?;
        let mut kept = Cursor::new(net)?;
        let mut at = 0;
        while let Some(note) = self.note(at)? {
            at = note.end();
            if note.kind != DIR {
                continue;
            }
            let (depth, level) = self.level(&note)?;
            while way.len() > depth {
                self.leave(way, &mut there, &mut kept, repaired)?;
            }
            // The root is not part of the net.
            let Some(above) = way.last() else {
                way.push(Level { stays: true, is_open: true, in_net: true, ..level });
                continue;
            };
            let (above_stays, above_is_open, above_in_net) = (above.stays, above.is_open, above.in_net);
            way.push(level);
            let found = enter(
                &mut there,
                &mut kept,
                &way[way.len() - 1].name,
                (above_stays, above_is_open, above_in_net),
            );
            if let Some(level) = way.last_mut() {
                (level.stays, level.is_open, level.in_net) = (found.stays, found.is_open, found.in_net);
            }
            if let Some(error) = found.problem {
                repaired.note(way, error);
            }
        }
        while way.len() > 1 {
            self.leave(way, &mut there, &mut kept, repaired)?;
        }
        Ok(())
    }

    /// Goes one level up. Children come first: a directory may be inaccessible once its properties are restored.
    fn leave(
        &self,
        way: &mut Vec<Level>,
        there: &mut Cursor,
        kept: &mut Cursor,
        repaired: &mut Repaired,
    ) -> io::Result<()> {
        let Some(level) = way.last() else { return Ok(()) };
        if level.is_open
            && let Err(error) = there.leave()
        {
            // What still exists is no longer known: create no directory that may still be there.
            repaired.note(way, error);
            for level in way.iter_mut() {
                (level.stays, level.is_open) = (true, false);
            }
        }
        let Some(level) = way.last() else { return Ok(()) };
        if level.in_net {
            let dir = kept.leave()?;
            if let Err(error) = self.give(level, &dir) {
                repaired.note(way, error);
            }
        }
        way.pop();
        Ok(())
    }

    fn give(&self, level: &Level, dir: &File) -> io::Result<()> {
        if self.notes(level.attributes).any(|note| note.is_ok_and(|note| note.kind == UNREADABLE)) {
            return Ok(());
        }
        let word = |from: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&level.properties[from..from + 4]);
            u32::from_be_bytes(bytes)
        };
        let long = |from: usize| i64::from(word(from)) << 32 | i64::from(word(from + 4));
        let (mode, uid, gid) = (word(4), word(8), word(12));
        let now = dir.metadata()?;
        if (now.uid(), now.gid()) != (uid, gid) {
            fchown(dir, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        self.give_attributes(level, dir)?;
        // `mode_t` has 16 bits on Apple's systems; modes have 12.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::unnecessary_cast,
            reason = "mode_t differs by system"
        )]
        fchmod(dir, Mode::from_bits_truncate(mode as nix::libc::mode_t))?;
        let modified = TimeSpec::new(long(16), long(24));
        Ok(futimens(dir, &TimeSpec::UTIME_OMIT, &modified)?)
    }

    fn give_attributes(&self, level: &Level, dir: &File) -> io::Result<()> {
        let wanted = || self.notes(level.attributes).map(|note| self.attribute(&note?));
        let names = wanted().map(|pair| Ok(pair?.0)).collect::<io::Result<BTreeSet<OsString>>>()?;
        for name in attributes(dir)?.iter().filter(|name| !names.contains(*name)) {
            dir.remove_xattr(name)?;
        }
        for pair in wanted() {
            let (name, value) = pair?;
            if dir.get_xattr(&name)?.as_ref() != Some(&value) {
                dir.set_xattr(&name, &value)?;
            }
        }
        Ok(())
    }

    /// The notes from there on that belong to the same directory.
    fn notes(&self, mut at: u64) -> impl Iterator<Item = io::Result<Note>> {
        std::iter::from_fn(move || match self.note(at) {
            Ok(Some(note)) if note.kind != DIR => {
                at = note.end();
                Some(Ok(note))
            }
            Ok(_) => None,
            Err(error) => {
                at = self.spool.length();
                Some(Err(error))
            }
        })
    }

    fn note(&self, at: u64) -> io::Result<Option<Note>> {
        if at >= self.spool.length() {
            return Ok(None);
        }
        let mut head = [0; HEAD];
        self.spool.read(at, &mut head)?;
        let [kind, length @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
        Ok(Some(Note { kind, at: at + HEAD as u64, length }))
    }

    fn content(&self, note: &Note) -> io::Result<Vec<u8>> {
        let mut content = vec![0; note.length];
        self.spool.read(note.at, &mut content)?;
        Ok(content)
    }

    /// Reads a directory and its depth.
    fn level(&self, note: &Note) -> io::Result<(usize, Level)> {
        let content = self.content(note)?;
        let (fixed, name) = content.split_first_chunk::<FIXED>().ok_or(io::ErrorKind::InvalidData)?;
        let (depth, _) = fixed.split_first_chunk::<4>().ok_or(io::ErrorKind::InvalidData)?;
        let depth = usize::try_from(u32::from_be_bytes(*depth)).map_err(io::Error::other)?;
        let level = Level {
            name: OsStr::from_bytes(name).to_owned(),
            attributes: note.end(),
            stays: true,
            is_open: false,
            in_net: false,
            properties: *fixed,
        };
        Ok((depth, level))
    }

    fn attribute(&self, note: &Note) -> io::Result<(OsString, Vec<u8>)> {
        let mut content = self.content(note)?;
        let (length, _) = content.split_first_chunk::<2>().ok_or(io::ErrorKind::InvalidData)?;
        let length = 2 + usize::from(u16::from_be_bytes(*length));
        let name = OsStr::from_bytes(content.get(2..length).ok_or(io::ErrorKind::InvalidData)?).to_owned();
        content.drain(..length);
        Ok((name, content))
    }
}

/// What has become of a directory.
struct Entered {
    stays: bool,
    is_open: bool,
    in_net: bool,
    problem: Option<io::Error>,
}

/// Goes one level down, at the destination and in the net as far as the directory exists; `above` is the state of its
/// parent. If it is gone from the destination, it is created in the net.
fn enter(there: &mut Cursor, kept: &mut Cursor, name: &OsStr, above: (bool, bool, bool)) -> Entered {
    let (above_stays, above_is_open, above_in_net) = above;
    let (stays, is_open) = if above_is_open {
        // If it cannot be entered, it exists.
        there.enter(name).map_or((true, false), |is_dir| (is_dir, is_dir))
    } else {
        (above_stays, false)
    };
    let mut found = || -> io::Result<bool> {
        if !above_in_net || kept.enter(name)? {
            return Ok(above_in_net);
        }
        if stays {
            return Ok(false);
        }
        mkdirat(kept.here(), name, Mode::S_IRWXU)?;
        kept.enter(name)
    };
    match found() {
        Ok(in_net) => Entered { stays, is_open, in_net, problem: None },
        Err(error) => Entered { stays, is_open, in_net: false, problem: Some(error) },
    }
}

/// The names of the extended attributes, including Linux's access control lists; empty if not supported.
fn attributes(dir: &File) -> io::Result<Vec<OsString>> {
    let names = match dir.list_xattr() {
        Ok(names) => names,
        Err(error) if error.raw_os_error() == Some(Errno::EOPNOTSUPP as i32) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(names.filter(|name| !name.as_bytes().starts_with(LISTS_OF_XFS.as_bytes())).collect())
}
