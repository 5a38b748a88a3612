//! Probes what a filesystem can hold, with files in a directory of our own that is removed afterwards.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use nix::unistd::{linkat, symlinkat};
use unicode_normalization::UnicodeNormalization as _;

use crate::fs::attributes;
use crate::fs::dir::{Dir, TEMPORARY, random_hex};
use crate::fs::space::Space;
use crate::marker::Prefix;
use crate::phases::capacity::holds::Capacity;
use crate::phases::capacity::known;
use crate::phases::capacity::names::{Folds, Unusual};
use crate::phases::survey::Needs;
use crate::volume::limits;

/// A present-day time, in seconds, that every filesystem can store; FAT rounds it to an even second.
const NOWADAYS: i64 = 1_000_000_001;

/// The longest symbolic link target, in bytes.
const LONGEST_TARGET: u64 = 4095;

/// The longest name that is probed for the limit, in bytes; longer names are tried one by one.
const LONGEST_NAME: u64 = 255;

/// Every filesystem accepts names of this length.
const SHORT_NAME: u64 = 64;

/// The largest attribute that the kernel supports, in bytes.
const LARGEST_ATTRIBUTE: usize = 1 << 16;

/// With less free space than this, in bytes, a rejected attribute proves nothing about attributes.
const ROOM: u64 = 1 << 20;

/// A directory for probing, one thing at a time.
#[derive(Debug)]
pub struct Probe {
    dir: Dir,
    name: OsString,
    one_at_a_time: Mutex<()>,
}

/// How a name was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// As it was given.
    AsGiven,
    /// In another Unicode form, but it can be found under the given name too.
    InAnotherForm,
    /// Not at all, or as something else.
    Not,
}

impl Probe {
    /// Creates the directory in `above`.
    pub fn begin(above: &Dir, prefix: &Prefix) -> io::Result<Self> {
        let name = OsString::from(format!("{}probe{TEMPORARY}{}", prefix.stem(), random_hex(4)?));
        above.make_dir(&name)?;
        match above.enter(&name) {
            Ok(dir) => Ok(Self { dir, name, one_at_a_time: Mutex::default() }),
            Err(error) => {
                let _ = above.remove_empty(&name);
                Err(error)
            }
        }
    }

    /// Removes it; if that fails, the next run does.
    pub fn end(self, above: &Dir) {
        for name in self.dir.names().unwrap_or_default() {
            let _ = self.dir.remove_file(&name);
        }
        let _ = above.remove_empty(&self.name);
    }

    /// Probes the limits that a source with these needs might exceed. What no entry needs is not probed.
    pub fn measure(&self, needs: &Needs) -> io::Result<Capacity> {
        let mut capacity = known::of(&self.dir);
        let (file, name) = self.measured()?;
        capacity.folds = self.folds(&name)?;
        capacity.times = times(&file, needs)?;
        capacity.size = if limits::reaches(&file, needs.size) { capacity.size } else { largest_size(&file)? };
        if needs.attributes > 0 {
            capacity.attributes = self.attributes(&file)?;
        }
        if needs.links > 1 && !self.links(&name)? {
            capacity.links = Some(1);
        }
        // On NFS and FUSE, a file that is removed while open stays under another name.
        drop(file);
        self.dir.remove_file(&name)?;
        if needs.target > 0 {
            capacity.target = self.longest_target(needs.target)?;
        }
        if needs.name > SHORT_NAME {
            capacity.name = self.longest_name(needs.name)?;
        }
        self.unusual_names(&mut capacity)?;
        Ok(capacity)
    }

    /// Creates a file whose name any filesystem may fold, or one with a plain name if that is rejected.
    fn measured(&self) -> io::Result<(File, OsString)> {
        let name = OsString::from("a\u{e9}\u{df}");
        match self.dir.create_new(&name, 0o600) {
            Ok(file) => return Ok((file, name)),
            Err(error) => trouble(error).map_or(Ok(()), Err)?,
        }
        let name = OsString::from("a");
        Ok((self.dir.create_new(&name, 0o600)?, name))
    }

    /// Finds out by which other names a file is found.
    fn folds(&self, name: &OsStr) -> io::Result<Folds> {
        let Some(name) = name.to_str() else { return Ok(Folds::default()) };
        let is_found = |part: &str, other: &str| {
            let other = name.replace(part, other);
            if other == name {
                return Ok(false);
            }
            match self.dir.stat(OsStr::new(&other)) {
                Ok(found) => Ok(found.is_some()),
                // A rejected name does not match.
                Err(error) => trouble(error).map_or(Ok(false), Err),
            }
        };
        Ok(Folds {
            case: is_found("a", "A")? || is_found("\u{e9}", "\u{c9}")? || is_found("\u{df}", "ss")?,
            form: is_found("\u{e9}", "e\u{301}")? || is_found("a", "a\u{200d}")?,
        })
    }

    /// Whether a file can have hard links.
    fn links(&self, name: &OsStr) -> io::Result<bool> {
        match linkat(&self.dir, name, &self.dir, "linked", AtFlags::empty()) {
            Ok(()) => self.dir.remove_file(OsStr::new("linked")).map(|()| true),
            Err(error) if is_unsupported(error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn unusual_names(&self, capacity: &mut Capacity) -> io::Result<()> {
        if self.store(Unusual::TOGETHER)? == Stored::AsGiven {
            return Ok(());
        }
        for (kind, samples) in Unusual::ALL {
            for sample in samples {
                match self.store(sample)? {
                    Stored::AsGiven => {}
                    Stored::InAnotherForm => capacity.changes_form = true,
                    Stored::Not => {
                        capacity.refuses.push(kind);
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// The longest accepted name, if shorter than needed: a filesystem may count bytes or characters.
    fn longest_name(&self, need: u64) -> io::Result<Option<u64>> {
        let longest = |unit: &str| {
            let holds = |length: u64| {
                let count = usize::try_from(length).unwrap_or(0);
                Ok(self.store(unit.repeat(count).as_bytes())? != Stored::Not)
            };
            let need = need.min(LONGEST_NAME) / unit.len() as u64;
            io::Result::Ok(last(0, need, holds)?.map(|count| count * unit.len() as u64))
        };
        // If no such character is accepted, nothing is known about the length of such names.
        let wide = longest("\u{3042}")?.filter(|bytes| *bytes > 0);
        // A length that is not a multiple of three may be needed as well.
        let wide = wide.map(|bytes| if bytes + 3 > need { need } else { bytes });
        Ok([longest("a")?, wide].into_iter().flatten().min())
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates a file under each name in turn and returns for each the earlier name that it clashes with, if any.
    ///
    /// A name that cannot be created at all clashes with none.
    pub fn clashes(&self, names: &[&[u8]]) -> io::Result<Vec<Option<usize>>> {
        let _alone = self.alone();
        let mut made: Vec<(u64, usize)> = Vec::new();
        let mut clashes = Vec::with_capacity(names.len());
        let mut problem = None;
        for (index, name) in names.iter().enumerate() {
            let name = OsStr::from_bytes(name);
            let clash = match self.dir.create_new(name, 0o600) {
                Ok(file) => {
                    made.push((file.metadata().map_or(0, |found| found.ino()), index));
                    None
                }
                Err(error) if error.raw_os_error() == Some(Errno::EEXIST as i32) => {
                    let there = self.dir.stat(name).ok().flatten().map_or(0, |stat| stat.st_ino);
                    let by_number = made.iter().find(|(number, _)| *number == there);
                    by_number.or(made.first()).map(|(_, index)| *index)
                }
                Err(error) => {
                    problem = problem.or(trouble(error));
                    None
                }
            };
            clashes.push(clash);
        }
        for (_, index) in made {
            self.dir.remove_file(OsStr::from_bytes(names[index]))?;
        }
        problem.map_or(Ok(clashes), Err)
    }

    /// Creates a file with this name and checks under which name it is stored.
    pub fn store(&self, name: &[u8]) -> io::Result<Stored> {
        let _alone = self.alone();
        let name = OsStr::from_bytes(name);
        match self.dir.create_new(name, 0o600) {
            Ok(_) => {}
            Err(error) => return trouble(error).map_or(Ok(Stored::Not), Err),
        }
        let there = self.dir.names();
        self.dir.remove_file(name)?;
        let form = |name: &OsStr| name.to_str().map(|text| text.nfd().collect::<String>());
        Ok(match there?.as_slice() {
            [there] if there == name => Stored::AsGiven,
            [there] if form(there).is_some() && form(there) == form(name) => Stored::InAnotherForm,
            _ => Stored::Not,
        })
    }

    /// Whether the attributes of an entry fit.
    pub fn holds_attributes(&self, directory: &OwnedFd, name: &CStr) -> io::Result<bool> {
        let _alone = self.alone();
        let probe = OsStr::new("attributes");
        let file = self.dir.create_new(probe, 0o600)?;
        let holds = attributes::fit(directory, name, &file);
        drop(file);
        self.dir.remove_file(probe)?;
        Ok(holds)
    }

    /// The longest attribute, if that is less than the kernel allows.
    fn attributes(&self, file: &File) -> io::Result<Option<u64>> {
        use xattr::FileExt as _;
        let too_large = [Errno::ENOSPC, Errno::E2BIG, Errno::ERANGE].map(|error| error as i32);
        let space = Space::of(&self.dir)?;
        // On a full disk the error proves nothing about attributes.
        if space.total > 0 && space.available < ROOM {
            return Ok(None);
        }
        let value = vec![b'x'; LARGEST_ATTRIBUTE];
        let set = |length: u64| {
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(value.len());
            match file.set_xattr("user.counterpart.probe", &value[..length]) {
                Ok(()) => Ok(true),
                Err(error) if error.raw_os_error().is_some_and(|number| too_large.contains(&number)) => {
                    Ok(false)
                }
                Err(error) => Err(error),
            }
        };
        let most = value.len() as u64;
        match last(1, most, set) {
            Ok(found) => Ok(found.filter(|length| *length < most)),
            Err(error) => trouble(error).map_or(Ok(None), Err),
        }
    }

    /// The longest symbolic link target, if shorter than needed; 0 if symbolic links are not supported.
    fn longest_target(&self, need: u64) -> io::Result<Option<u64>> {
        let name = OsStr::new("link");
        let holds = |length: u64| {
            let length = usize::try_from(length).unwrap_or(0);
            match symlinkat(&*OsString::from_vec(vec![b'x'; length]), &self.dir, name) {
                Ok(()) => self.dir.remove_file(name).map(|()| true),
                Err(Errno::ENAMETOOLONG | Errno::EINVAL) => Ok(false),
                Err(error) if is_unsupported(error) => Ok(false),
                Err(error) => Err(error.into()),
            }
        };
        let need = need.min(LONGEST_TARGET);
        Ok(last(0, need, holds)?.filter(|length| *length < need))
    }
}

/// An error that is not about the name: the filesystem cannot create any file now.
fn trouble(error: io::Error) -> Option<io::Error> {
    let other =
        [Errno::EIO, Errno::ENOSPC, Errno::EDQUOT, Errno::EROFS, Errno::ENOMEM, Errno::EMFILE, Errno::ENFILE];
    other.iter().any(|errno| error.raw_os_error() == Some(*errno as i32)).then_some(error)
}

fn is_unsupported(error: Errno) -> bool {
    [Errno::EPERM, Errno::EOPNOTSUPP, Errno::ENOTSUP, Errno::ENOSYS, Errno::EMLINK].contains(&error)
}

/// The largest value up to `most` for which `holds` is true, assuming that it is for all smaller ones down to `least`;
/// `None` if it is not even for `least`. It always is for 0.
fn last(least: u64, most: u64, holds: impl Fn(u64) -> io::Result<bool>) -> io::Result<Option<u64>> {
    if holds(most)? {
        return Ok(Some(most));
    }
    if least > 0 && !holds(least)? {
        return Ok(None);
    }
    let (mut good, mut bad) = (least, most);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if holds(middle)? { good = middle } else { bad = middle }
    }
    Ok(Some(good))
}

/// The earliest and latest modification time that can be stored; `None` if everything needed can.
fn times(file: &File, needs: &Needs) -> io::Result<Option<(i64, i64)>> {
    let error = |seconds: i64| match futimens(file, &TimeSpec::UTIME_OMIT, &TimeSpec::new(seconds, 0)) {
        Ok(()) => Ok(Some(i128::from(file.metadata()?.mtime()) - i128::from(seconds))),
        Err(errno) => trouble(errno.into()).map_or(Ok(None), Err),
    };
    // A coarse clock may lose a second.
    let Some(step) = error(NOWADAYS)?.filter(|error| (-1..=0).contains(error)) else { return Ok(None) };
    let keeps =
        |seconds: i64| io::Result::Ok(error(seconds)?.is_some_and(|error| (step..=0).contains(&error)));
    if keeps(needs.earliest.min(NOWADAYS))? && keeps(needs.latest.max(NOWADAYS))? {
        return Ok(None);
    }
    let later = last(0, NOWADAYS.abs_diff(i64::MAX), |more| keeps(NOWADAYS.saturating_add_unsigned(more)))?;
    let sooner = last(0, NOWADAYS.abs_diff(i64::MIN), |less| keeps(NOWADAYS.saturating_sub_unsigned(less)))?;
    let earliest = sooner.map_or(i64::MIN, |less| NOWADAYS.saturating_sub_unsigned(less));
    let latest = later.map_or(i64::MAX, |more| NOWADAYS.saturating_add_unsigned(more));
    Ok(Some((earliest, latest)).filter(|range| *range != (i64::MIN, i64::MAX)))
}

/// The largest file size, if there is a limit; it can be found without writing anything.
fn largest_size(file: &File) -> io::Result<Option<u64>> {
    let most = i64::MAX.unsigned_abs();
    let found = last(0, most, |size| Ok(limits::reaches(file, size)))?;
    Ok(found.filter(|size| *size > 0 && *size < most))
}

#[cfg(test)]
mod tests {
    use super::last;

    #[test]
    fn the_last_value_that_holds_is_found() {
        for limit in [1, 2, 3, 142, 143, 254, 255] {
            assert_eq!(last(1, 255, |value| Ok(value <= limit)).unwrap(), Some(limit));
        }
        assert_eq!(last(1, 255, |_| Ok(false)).unwrap(), None);
        assert_eq!(last(0, 255, |_| Ok(false)).unwrap(), Some(0));
        assert!(last(0, 255, |_| Err(std::io::ErrorKind::Other.into())).is_err());
    }
}
