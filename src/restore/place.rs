//! Where rsync copies to: for root a folder that nobody else can enter, in the folder that was asked for. What is whole gets
//! its name there at the end, in one step, and only if nothing has that name.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::RenameFlags;
use rustix::io::Errno;

use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::fs::dir::{Folder, random_hex};
use crate::fs::resolve;
use crate::restore::output::unreadable;

/// The start of its name; a random part follows.
const NAME: &str = ".counterpart-restore-";

/// The folder that is copied to.
#[derive(Debug)]
pub struct Place<'a> {
    target: &'a Folder,
    /// None without root, who gains nothing by it and may be unable to move a folder out of it.
    private: Option<(OsString, Folder)>,
}

/// An open folder as another program can reach it.
#[derive(Debug)]
pub struct Reached {
    /// Its path there.
    pub path: PathBuf,
    /// What the program has to inherit.
    pub descriptor: OwnedFd,
}

/// Makes an open folder one that another program reaches, whatever becomes of its path.
pub fn reach(folder: &Folder) -> Result<Reached, Refusal> {
    let reached = || -> io::Result<Reached> {
        let file = folder.file().try_clone()?;
        Ok(Reached { path: resolve::path_to(&file)?, descriptor: file.into() })
    };
    reached().map_err(|error| unreadable(folder.path(), &error))
}

impl<'a> Place<'a> {
    /// Makes it.
    pub fn make(target: &'a Folder, is_root: bool) -> Result<Self, Refusal> {
        if !is_root {
            return Ok(Self { target, private: None });
        }
        let made = || -> io::Result<(OsString, Folder)> {
            let name = OsString::from(NAME.to_owned() + &random_hex(8)?);
            target.make_folder(&name)?;
            let folder = target.enter(&name)?;
            // Somebody who can write there may have put another one in its place.
            folder.make_private()?;
            if !folder.names()?.is_empty() {
                return Err(io::Error::other("somebody else writes there just now"));
            }
            Ok((name, folder))
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

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        self.private.as_ref().map_or(self.target, |(_, folder)| folder)
    }

    /// Gives what was copied its name in the folder that was asked for; false if nothing was.
    pub fn put(&self, name: &OsStr) -> Result<bool, Refusal> {
        let Some((_, folder)) = &self.private else { return Ok(true) };
        let put = || -> io::Result<bool> {
            if folder.kind(name)?.is_none() {
                return Ok(false);
            }
            match rustix::fs::renameat_with(folder, name, self.target, name, RenameFlags::NOREPLACE) {
                Ok(()) => Ok(true),
                // Not every filesystem can do both in one step.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if self.target.kind(name)?.is_none() => {
                    rustix::fs::renameat(folder, name, self.target, name)?;
                    Ok(true)
                }
                Err(error) => Err(error.into()),
            }
        };
        put().map_err(|error| {
            let (to, from) = (self.target.path().join(name), folder.path().join(name));
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
        let Some((name, folder)) = &self.private else { return };
        let is_this = || -> io::Result<bool> {
            let there = self.target.enter(name)?;
            Ok(there.identity()? == folder.identity()?)
        };
        // What could not be given its name stays there, and was told.
        if is_this().unwrap_or(false) {
            let _ = self.target.remove_empty(name);
        }
    }
}
