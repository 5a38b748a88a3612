//! Where rsync copies to: for root, a directory inside the target that nobody else can enter. Complete files are
//! renamed into place at the end, atomically, and only if the name is free.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::RenameFlags;
use rustix::io::Errno;

use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::fs::dir::{Dir, random_hex};
use crate::fs::resolve;
use crate::restore::output::unreadable;

/// The start of its name; a random part follows.
const NAME: &str = ".counterpart-restore-";

/// The directory that rsync copies to.
#[derive(Debug)]
pub struct Place<'a> {
    target: &'a Dir,
    /// `None` without root, which would gain nothing and might be unable to move a directory out of it.
    private: Option<(OsString, Dir)>,
}

/// An open directory that another program can reach.
#[derive(Debug)]
pub struct Reached {
    /// Its path in that program.
    pub path: PathBuf,
    /// The descriptor that the program has to inherit.
    pub descriptor: OwnedFd,
}

/// Lets another program reach an open directory, whatever happens to its path.
pub fn reach(dir: &Dir) -> Result<Reached, Refusal> {
    let reached = || -> io::Result<Reached> {
        let file = dir.file().try_clone()?;
        Ok(Reached { path: resolve::path_to(&file)?, descriptor: file.into() })
    };
    reached().map_err(|error| unreadable(dir.shown(), &error))
}

impl<'a> Place<'a> {
    /// Creates the directory.
    pub fn make(target: &'a Dir, is_root: bool) -> Result<Self, Refusal> {
        if !is_root {
            return Ok(Self { target, private: None });
        }
        let made = || -> io::Result<(OsString, Dir)> {
            let name = OsString::from(NAME.to_owned() + &random_hex(8)?);
            target.make_dir(&name)?;
            let dir = target.enter(&name)?;
            // Another user who can write there may have replaced it.
            dir.make_private()?;
            if !dir.names()?.is_empty() {
                return Err(io::Error::other("something else is writing there"));
            }
            Ok((name, dir))
        };
        let made = made().map_err(|error| {
            let sentence = format!(
                "Nothing can be restored to {}: {}.",
                display::path(target.path()),
                display::reason(&error)
            );
            Refusal(ExitCode::DESTINATION, sentence)
        })?;
        Ok(Self { target, private: Some(made) })
    }

    /// The directory itself.
    #[must_use]
    pub fn dir(&self) -> &Dir {
        self.private.as_ref().map_or(self.target, |(_, dir)| dir)
    }

    /// Renames what was copied into the target; false if there was nothing.
    pub fn put(&self, name: &OsStr) -> Result<bool, Refusal> {
        let Some((_, dir)) = &self.private else { return Ok(true) };
        let put = || -> io::Result<bool> {
            if dir.kind(name)?.is_none() {
                return Ok(false);
            }
            match rustix::fs::renameat_with(dir, name, self.target, name, RenameFlags::NOREPLACE) {
                Ok(()) => Ok(true),
                // Not every filesystem can rename without replacing in one step.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if self.target.kind(name)?.is_none() => {
                    rustix::fs::renameat(dir, name, self.target, name)?;
                    Ok(true)
                }
                Err(error) => Err(error.into()),
            }
        };
        put().map_err(|error| {
            let (to, from) = (self.target.path().join(name), dir.path().join(name));
            let sentence = format!(
                "{} cannot be put in its place: {}. It is {}.",
                display::path(&to),
                display::reason(&error),
                display::path(&from)
            );
            Refusal(ExitCode::DESTINATION, sentence)
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some((name, dir)) = &self.private else { return };
        let is_this = || -> io::Result<bool> {
            let there = self.target.enter(name)?;
            Ok(there.identity()? == dir.identity()?)
        };
        // What could not be renamed stays there, and was reported.
        if is_this().unwrap_or(false) {
            let _ = self.target.remove_empty(name);
        }
    }
}
