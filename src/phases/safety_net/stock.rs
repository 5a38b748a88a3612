//! The nets at a destination.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use chrono::{DateTime, Utc};
use log::info;
use nix::sys::stat::SFlag;
use nix::unistd::geteuid;

use crate::display;
use crate::fs::dir::Dir;
use crate::fs::remove::remove_tree;
use crate::logging::warning;
use crate::marker::Prefix;
use crate::phases::safety_net::ages;
use crate::phases::safety_net::ages::Ages;
use crate::phases::safety_net::name::NetName;
use crate::phases::safety_net::spool;
use crate::run::Run;

/// How many numbers are tried if the name is taken.
const MOST: u64 = 1000;

/// The directory of the nets, accessible only to its owner.
#[derive(Debug)]
pub struct Stock {
    dir: Dir,
}

impl Stock {
    /// Opens the nets of a destination; `None` if there are none.
    ///
    /// Changes nothing. Fails if the name belongs to something other than a directory, if somebody else owns it or can
    /// write to it, or if another filesystem is mounted there.
    pub fn open(destination: &Dir, prefix: &Prefix) -> io::Result<Option<Self>> {
        let name = prefix.safety_net();
        match destination.kind(&name)? {
            None => return Ok(None),
            Some(SFlag::S_IFDIR) => {}
            Some(_) => {
                return Err(io::Error::other("something that is not a directory has its name; move it away"));
            }
        }
        let dir = destination.enter(&name)?;
        if dir.metadata()?.dev() != destination.metadata()?.dev() {
            return Err(io::Error::other(
                "another filesystem is mounted there, to which nothing can be moved",
            ));
        }
        let metadata = dir.metadata()?;
        if metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
            let why = "another user owns it or can write to it; check what it holds, and move it away";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(Some(Self { dir }))
    }

    /// Opens the nets, creating their directory if it is missing.
    pub fn open_or_make(destination: &Dir, prefix: &Prefix) -> io::Result<Self> {
        let name = prefix.safety_net();
        if destination.kind(&name)?.is_none() {
            destination.make_dir(&name)?;
        }
        let stock =
            Self::open(destination, prefix)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        stock.dir.make_private()?;
        Ok(stock)
    }

    /// The directory that holds them.
    #[must_use]
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The nets, oldest first.
    pub fn names(&self) -> io::Result<Vec<NetName>> {
        let mut names = Vec::new();
        for name in self.dir.names_that(|name| NetName::read(name).is_some())? {
            if self.dir.kind(&name)? == Some(SFlag::S_IFDIR) {
                names.extend(NetName::read(&name));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Creates an empty net, newer than all others.
    pub fn add(&self, time: DateTime<Utc>) -> io::Result<(NetName, Dir)> {
        let numbers = self.dir.names()?;
        let numbers = numbers.iter().filter_map(|name| {
            NetName::read(name).or_else(|| NetName::read_removing(name)).and_then(NetName::number)
        });
        let highest = numbers.max().unwrap_or(0);
        // A name has no fraction of a second.
        let time = DateTime::from_timestamp(time.timestamp(), 0).unwrap_or(time).naive_utc();
        for more in 1..=MOST {
            let number =
                highest.checked_add(more).ok_or_else(|| io::Error::other("no number is left for it"))?;
            let name = NetName::Counted { number, time };
            match self.dir.make_dir(&name.to_os_string()) {
                Ok(()) => return self.dir.enter(&name.to_os_string()).map(|dir| (name, dir)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Removes what killed runs left: empty nets, and those whose removal had begun. Anything else is left alone.
    pub fn tidy(&self, run: &Run<'_>) -> io::Result<()> {
        for name in self.dir.names()? {
            let is_dir = self.dir.kind(&name)? == Some(SFlag::S_IFDIR);
            if is_dir && NetName::read(&name).is_some() {
                self.dir.remove_empty(&name)?;
            } else if is_dir && NetName::read_removing(&name).is_some() {
                self.remove(run, &name);
            } else if spool::is_own(&name) {
                self.dir.remove(&name)?;
            } else if !ages::is_own(&name) {
                let path = self.dir.shown().join(&name);
                warning(format_args!("{} is not a safety net and is left alone.", display::path(&path)));
            }
        }
        Ok(())
    }

    /// Removes the nets that are older than `days`, but not the newest.
    pub fn expire(&self, run: &Run<'_>, days: u32) -> io::Result<()> {
        let names = self.names()?;
        let ages = match Ages::advance(&self.dir, &names, run.started.to_utc(), days) {
            Ok(ages) => ages,
            Err(error) => {
                warning(format_args!(
                    "the ages of the safety nets cannot be saved: {}; none is removed because of its age.",
                    display::reason(&error)
                ));
                return Ok(());
            }
        };
        ages.report(&names, days);
        for name in names.iter().rev().skip(1).rev().filter(|name| ages.is_older(**name, days)) {
            if run.go_on().is_err() {
                break;
            }
            info!("The safety net {name} is older than {days} days and is removed.");
            self.discard(run, *name)?;
        }
        Ok(())
    }

    /// Removes the oldest nets, but not the newest, until `enough`, given the number of bytes freed, returns true.
    pub fn trim(&self, run: &Run<'_>, enough: &dyn Fn(u64) -> io::Result<bool>) -> io::Result<()> {
        let names = self.names()?;
        let mut freed = 0;
        for name in names.iter().rev().skip(1).rev() {
            if run.go_on().is_err() || enough(freed)? {
                break;
            }
            info!("Space is short at the destination: the safety net {name}, the oldest, is removed.");
            freed += self.discard(run, *name)?;
        }
        Ok(())
    }

    /// Sacrifices nets for a clone that has run out of space, oldest first: at least one, even the newest if necessary,
    /// but none that is `spared`, until `enough` returns true. Returns how many.
    pub fn give_up(
        &self,
        run: &Run<'_>,
        spared: &dyn Fn(NetName) -> bool,
        enough: &dyn Fn(u64) -> io::Result<bool>,
    ) -> io::Result<usize> {
        let names = self.names()?;
        let (mut freed, mut given) = (0, 0);
        for (number, name) in names.iter().enumerate().filter(|(_, name)| !spared(**name)) {
            if run.go_on().is_err() || (given > 0 && enough(freed)?) {
                break;
            }
            let which = if number + 1 == names.len() { "the last one" } else { "the oldest" };
            run.warn(format_args!(
                "the destination has no room for the clone: the safety net {name}, {which}, is deleted."
            ));
            freed += self.discard(run, *name)?;
            given += 1;
        }
        Ok(given)
    }

    /// Renames it first: a partial net must not look like a whole one.
    fn discard(&self, run: &Run<'_>, name: NetName) -> io::Result<u64> {
        self.dir.rename(&name.to_os_string(), &name.removing())?;
        Ok(self.remove(run, &name.removing()))
    }

    fn remove(&self, run: &Run<'_>, name: &OsStr) -> u64 {
        let path = self.dir.shown().join(name);
        match remove_tree(self.dir.file(), name, &|| run.go_on().is_ok()) {
            Ok(removal) => {
                if let Some((below, error)) = removal.problem {
                    warning(format_args!(
                        "{} could not be removed: {}.",
                        display::path(&path.join(below)),
                        display::reason(&error)
                    ));
                }
                removal.freed
            }
            Err(error) => {
                let why = display::reason(&error);
                warning(format_args!("{} could not be removed: {why}.", display::path(&path)));
                0
            }
        }
    }
}
