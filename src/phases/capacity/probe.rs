//! Tries what a filesystem can hold, with files in a directory of our own that is gone afterwards.

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

use super::names::{Folds, Unusual};
use super::{Capacity, known};
use crate::host::attributes;
use crate::host::folder::{Folder, TEMPORARY, random_hex};
use crate::host::limits;
use crate::host::space::Space;
use crate::plan::Prefix;

/// A time of our days that every filesystem keeps, in seconds; FAT makes it even.
const NOWADAYS: i64 = 1_000_000_001;

/// The longest that the target of a symbolic link can be, in bytes.
const LONGEST_TARGET: usize = 4095;

/// The largest attribute that the kernel knows, in bytes.
const LARGEST_ATTRIBUTE: usize = 1 << 16;

/// With less room than this, in bytes, a refused attribute says nothing about attributes.
const ROOM: u64 = 1 << 20;

/// A directory in which things are tried, one at a time.
#[derive(Debug)]
pub struct Probe {
    folder: Folder,
    name: OsString,
    one_at_a_time: Mutex<()>,
}

/// What became of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is there as it was given.
    AsGiven,
    /// It is there in another Unicode form, by which it is found as well.
    InAnotherForm,
    /// It is not, or as something else.
    Not,
}

impl Probe {
    /// Makes the directory below `above`.
    pub fn begin(above: &Folder, prefix: &Prefix) -> io::Result<Self> {
        let name = OsString::from(format!("{}probe{TEMPORARY}{}", prefix.stem(), random_hex(4)?));
        above.make_folder(&name)?;
        match above.enter(&name) {
            Ok(folder) => Ok(Self { folder, name, one_at_a_time: Mutex::default() }),
            Err(error) => {
                let _ = above.remove_empty(&name);
                Err(error)
            }
        }
    }

    /// Removes it; should that fail, the next run does it.
    pub fn end(self, above: &Folder) {
        for name in self.folder.names().unwrap_or_default() {
            let _ = self.folder.remove_file(&name);
        }
        let _ = above.remove_empty(&self.name);
    }

    /// Measures everything.
    pub fn measure(&self) -> io::Result<Capacity> {
        let mut capacity = known::of(&self.folder);
        let name = OsStr::new("measured");
        let file = self.folder.create_new(name, 0o600)?;
        capacity.times = times(&file);
        capacity.size = match largest_size(&file) {
            Some(size) => Some(size),
            None => capacity.size,
        };
        capacity.attributes = self.attributes(&file);
        if linkat(&self.folder, name, &self.folder, "linked", AtFlags::empty()).is_err_and(is_unsupported) {
            capacity.links = Some(1);
        }
        // What fails for another reason says nothing of this.
        let _ = self.folder.remove_file(OsStr::new("linked"));
        // What is removed while it is open stays under another name on NFS and FUSE.
        drop(file);
        self.folder.remove_file(name)?;
        capacity.target = self.longest_target();
        self.measure_names(&mut capacity)?;
        Ok(capacity)
    }

    fn measure_names(&self, capacity: &mut Capacity) -> io::Result<()> {
        capacity.folds = Folds {
            case: self.is_one("a", "A")?
                || self.is_one("\u{e9}", "\u{c9}")?
                || self.is_one("\u{df}", "ss")?,
            form: self.is_one("\u{e9}", "e\u{301}")? || self.is_one("ab", "a\u{200d}b")?,
        };
        capacity.refuses.clear();
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
        let longest = |unit: &str, most: u64| {
            let holds = |length: u64| {
                let count = usize::try_from(length).unwrap_or(0);
                self.store(unit.repeat(count).as_bytes()).is_ok_and(|stored| stored != Stored::Not)
            };
            last(0, most, holds).map(|count| count * unit.len() as u64)
        };
        // Where no such character is taken, nothing is known of its length.
        let wide = longest("\u{3042}", 255).filter(|bytes| *bytes > 0);
        capacity.name = [longest("a", 255), wide].into_iter().flatten().min();
        Ok(())
    }

    /// Whether these are one name here.
    fn is_one(&self, one: &str, other: &str) -> io::Result<bool> {
        Ok(self.clashes(&[one.as_bytes(), other.as_bytes()])?[1].is_some())
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a file of each name after the other, and says for each which earlier one has been in its place.
    ///
    /// A name that cannot be had at all is in nobody's.
    pub fn clashes(&self, names: &[&[u8]]) -> io::Result<Vec<Option<usize>>> {
        let _alone = self.alone();
        let mut made: Vec<(u64, usize)> = Vec::new();
        let mut clashes = Vec::with_capacity(names.len());
        let mut problem = None;
        for (index, name) in names.iter().enumerate() {
            let name = OsStr::from_bytes(name);
            let clash = match self.folder.create_new(name, 0o600) {
                Ok(file) => {
                    made.push((file.metadata().map_or(0, |found| found.ino()), index));
                    None
                }
                Err(error) if error.raw_os_error() == Some(Errno::EEXIST as i32) => {
                    let there = self.folder.stat(name).ok().flatten().map_or(0, |stat| stat.st_ino);
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
            self.folder.remove_file(OsStr::from_bytes(names[index]))?;
        }
        problem.map_or(Ok(clashes), Err)
    }

    /// Makes a file of this name and looks under which name it is there.
    pub fn store(&self, name: &[u8]) -> io::Result<Stored> {
        let _alone = self.alone();
        let name = OsStr::from_bytes(name);
        match self.folder.create_new(name, 0o600) {
            Ok(_) => {}
            Err(error) => return trouble(error).map_or(Ok(Stored::Not), Err),
        }
        let there = self.folder.names();
        self.folder.remove_file(name)?;
        let form = |name: &OsStr| name.to_str().map(|text| text.nfd().collect::<String>());
        Ok(match there?.as_slice() {
            [there] if there == name => Stored::AsGiven,
            [there] if form(there).is_some() && form(there) == form(name) => Stored::InAnotherForm,
            _ => Stored::Not,
        })
    }

    /// Whether what an entry has of attributes fits.
    pub fn holds_attributes(&self, directory: &OwnedFd, name: &CStr) -> io::Result<bool> {
        let _alone = self.alone();
        let probe = OsStr::new("attributes");
        let file = self.folder.create_new(probe, 0o600)?;
        let holds = attributes::fit(directory, name, &file);
        drop(file);
        self.folder.remove_file(probe)?;
        Ok(holds)
    }

    /// The longest attribute, where that is less than the kernel allows.
    fn attributes(&self, file: &File) -> Option<u64> {
        use xattr::FileExt as _;
        let value = vec![b'x'; LARGEST_ATTRIBUTE];
        let set = |length: u64| {
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(value.len());
            file.set_xattr("user.counterpart.probe", &value[..length])
        };
        let too_large = [Errno::ENOSPC, Errno::E2BIG, Errno::ERANGE].map(|error| error as i32);
        let refused = set(value.len() as u64).err()?;
        let has_room = Space::of(&self.folder).is_ok_and(|space| space.total == 0 || space.available >= ROOM);
        if !has_room || !refused.raw_os_error().is_some_and(|number| too_large.contains(&number)) {
            return None;
        }
        last(1, value.len() as u64, |length| set(length).is_ok())
    }

    /// The longest target of a symbolic link, where that is less than the kernel allows; 0 where there are no such links.
    fn longest_target(&self) -> Option<u64> {
        let name = OsStr::new("link");
        let make = |length: u64| {
            let length = usize::try_from(length).unwrap_or(LONGEST_TARGET).min(LONGEST_TARGET);
            let target = OsString::from_vec(vec![b'x'; length]);
            let made = symlinkat(&*target, &self.folder, name);
            let _ = self.folder.remove_file(name);
            made
        };
        match make(LONGEST_TARGET as u64) {
            Err(Errno::ENAMETOOLONG | Errno::EINVAL) => {
                last(0, LONGEST_TARGET as u64, |length| make(length).is_ok())
            }
            Err(error) if is_unsupported(error) => Some(0),
            Ok(()) | Err(_) => None,
        }
    }
}

/// An error that says nothing about a name: the filesystem cannot make any file now.
fn trouble(error: io::Error) -> Option<io::Error> {
    let other =
        [Errno::EIO, Errno::ENOSPC, Errno::EDQUOT, Errno::EROFS, Errno::ENOMEM, Errno::EMFILE, Errno::ENFILE];
    other.iter().any(|errno| error.raw_os_error() == Some(*errno as i32)).then_some(error)
}

fn is_unsupported(error: Errno) -> bool {
    [Errno::EPERM, Errno::EOPNOTSUPP, Errno::ENOTSUP, Errno::ENOSYS, Errno::EMLINK].contains(&error)
}

/// The largest value up to `most` that `holds`, which all smaller ones down to `least` do; `None` where not even that one
/// does, and `most` where all do.
fn last(least: u64, most: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    if holds(most) {
        return Some(most);
    }
    let (mut good, mut bad) = (least, most);
    if least > 0 && !holds(least) {
        return None;
    }
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if holds(middle) { good = middle } else { bad = middle }
    }
    Some(good)
}

/// The earliest and the latest modification time that a file keeps, unless it keeps all.
fn times(file: &File) -> Option<(i64, i64)> {
    let error = |seconds: i64| {
        futimens(file, &TimeSpec::UTIME_OMIT, &TimeSpec::new(seconds, 0)).ok()?;
        Some(i128::from(file.metadata().ok()?.mtime()) - i128::from(seconds))
    };
    // What is coarse loses a second.
    let step = error(NOWADAYS).filter(|error| (-1..=0).contains(error))?;
    let keeps = |seconds: i64| error(seconds).is_some_and(|error| (step..=0).contains(&error));
    let later = last(0, NOWADAYS.abs_diff(i64::MAX), |more| keeps(NOWADAYS.saturating_add_unsigned(more)))?;
    let sooner = last(0, NOWADAYS.abs_diff(i64::MIN), |less| keeps(NOWADAYS.saturating_sub_unsigned(less)))?;
    let range = (NOWADAYS.saturating_sub_unsigned(sooner), NOWADAYS.saturating_add_unsigned(later));
    (range != (i64::MIN, i64::MAX)).then_some(range)
}

/// The largest size, where there is one; nothing has to be written to find it.
fn largest_size(file: &File) -> Option<u64> {
    let most = i64::MAX.unsigned_abs();
    last(0, most, |size| limits::reaches(file, size)).filter(|size| *size > 0 && *size < most)
}

#[cfg(test)]
mod tests {
    use super::last;

    #[test]
    fn the_last_value_that_holds_is_found() {
        for limit in [1, 2, 3, 142, 143, 254, 255] {
            assert_eq!(last(1, 255, |value| value <= limit), Some(limit));
        }
        assert_eq!(last(1, 255, |_| false), None);
        assert_eq!(last(0, 255, |_| false), Some(0));
    }
}
