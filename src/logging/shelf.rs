//! The directory of the logs: the number of this run's log, and the removal of older ones.
//!
//! Their names contain the local time, which may be wrong for a night or be set back. So each log also has a number,
//! one higher than any before, in an extended attribute; where the filesystem has none, the name decides.
//!
//! The log of a run that ended early, before everything that was asked of it had been checked, has another attribute: a
//! path was mistyped, or the disk was missing. Such logs are counted apart, so that they take no place from the others.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use xattr::FileExt as _;

use crate::display;
use crate::fs::dir::Dir;
use crate::logging::warn::warning;

/// The extended attribute with a log's number, in decimal digits.
const NUMBER: &str = "user.counterpart.number";

/// The extended attribute of a log whose run has ended early, or has just begun.
const EARLY: &str = "user.counterpart.early";

/// What the name of a list of changes adds to that of its log.
const CHANGES: &[u8] = b".changes";

/// The sort key of logs: the number, then the time in the name and the number after it. Logs without a number are older
/// than numbering.
type Order = (Option<u64>, String, u32);

/// The directory of the logs, and this run's log in it.
#[derive(Debug)]
pub struct Shelf {
    dir: Dir,
    log: File,
    name: OsString,
}

/// Another log.
struct Other {
    order: Order,
    name: OsString,
    is_early: bool,
}

impl Shelf {
    /// Numbers the log `name`, which was just created.
    pub fn new(dir: Dir, log: File, name: OsString) -> Self {
        let shelf = Self { dir, log, name };
        let highest = shelf.others().map(|others| others.iter().filter_map(|other| other.order.0).max());
        // Without a number the log is sorted by name.
        if let Ok(highest) = highest
            && let Some(number) = highest.unwrap_or(0).checked_add(1)
        {
            let _ = shelf.log.set_xattr(NUMBER, number.to_string().as_bytes());
        }
        let _ = shelf.log.set_xattr(EARLY, b"");
        shelf
    }

    /// Creates the list of changes beside the log; returns its path as well.
    pub fn create_list(&self) -> io::Result<(File, PathBuf)> {
        let name = list_of(&self.name);
        Ok((self.dir.create_new(&name, 0o600)?, self.dir.path().join(name)))
    }

    /// The run does not end early. The oldest logs of its kind are removed until `keep` are left, including this one, and
    /// so are the oldest of the other kind; without a number none is.
    pub fn go_on(&self, keep: Option<NonZeroUsize>) {
        let _ = self.log.remove_xattr(EARLY);
        let Some(keep) = keep else { return };
        // The log of this run is kept in any case, even if only the names can be sorted by.
        self.remove_old(keep.get() - 1, keep.get());
    }

    /// The run ends. If it does so early, the oldest logs of that kind alone make room for this one.
    pub fn end(&self, keep: NonZeroUsize) {
        if is_early(&self.log) {
            self.remove_old(usize::MAX, keep.get() - 1);
        }
    }

    /// Removes the oldest other logs until so many of each kind are left. A failure is only a warning.
    fn remove_old(&self, full: usize, early: usize) {
        let mut others = match self.others() {
            Ok(others) => others,
            Err(error) => {
                warning(format_args!(
                    "older logs in {} cannot be listed: {}.",
                    display::path(self.dir.path()),
                    display::reason(&error)
                ));
                return;
            }
        };
        others.sort_by(|one, another| another.order.cmp(&one.order));
        let (mut full, mut early) = (full, early);
        for other in &others {
            let left = if other.is_early { &mut early } else { &mut full };
            if *left > 0 {
                *left -= 1;
            } else {
                self.remove_one(&other.name);
            }
        }
        self.remove_lone_lists();
    }

    /// All our logs except the current one.
    fn others(&self) -> io::Result<Vec<Other>> {
        let mut found = Vec::new();
        for name in self.dir.names_that(|name| name != self.name && order(name).is_some())? {
            if let Some((time, count)) = order(&name)
                && let Some(log) = self.dir.open_regular(&name)?
                && is_own(&log)?
            {
                let (order, is_early) = ((number_of(&log), time, count), is_early(&log));
                found.push(Other { order, name, is_early });
            }
        }
        Ok(found)
    }

    /// Removes the lists of changes whose logs are gone.
    fn remove_lone_lists(&self) {
        let Ok(lists) = self.dir.names_that(|name| log_of(name).is_some()) else { return };
        for list in lists {
            let has_log = log_of(&list).is_none_or(|log| !matches!(self.dir.stat(log), Ok(None)));
            let is_own = !has_log
                && matches!(self.dir.open_regular(&list), Ok(Some(list)) if is_own(&list).unwrap_or(false));
            if is_own {
                self.remove_one(&list);
            }
        }
    }

    fn remove_one(&self, name: &OsStr) {
        if let Err(error) = self.dir.remove_file(name) {
            warning(format_args!(
                "the old log {} cannot be removed: {}.",
                display::path(&self.dir.path().join(name)),
                display::reason(&error)
            ));
        }
    }
}

fn is_own(log: &File) -> io::Result<bool> {
    Ok(log.metadata()?.uid() == nix::unistd::geteuid().as_raw())
}

fn is_early(log: &File) -> bool {
    log.get_xattr(EARLY).is_ok_and(|value| value.is_some())
}

fn number_of(log: &File) -> Option<u64> {
    let value = log.get_xattr(NUMBER).ok()??;
    std::str::from_utf8(&value).ok()?.parse().ok()
}

/// The name of a log's list of changes.
fn list_of(log: &OsStr) -> OsString {
    let mut name = log.to_owned();
    name.push(OsStr::from_bytes(CHANGES));
    name
}

/// The log that a list of changes is named after; `None` for any other name.
fn log_of(list: &OsStr) -> Option<&OsStr> {
    let log = OsStr::from_bytes(list.as_bytes().strip_suffix(CHANGES)?);
    order(log).map(|_| log)
}

/// The sort key in a log's name, its time and the number after it; `None` for any other name.
fn order(name: &OsStr) -> Option<(String, u32)> {
    const PATTERN: &[u8] = b"00-00-00_00-00-00";
    let rest = name.to_str()?.strip_prefix("Counterpart_")?;
    let (time, number) = rest.split_at_checked(PATTERN.len())?;
    let fits = |(byte, pattern): (u8, &u8)| match pattern {
        b'0' => byte.is_ascii_digit(),
        other => byte == *other,
    };
    if !time.bytes().zip(PATTERN).all(fits) {
        return None;
    }
    let number = match number.strip_prefix('_') {
        None if number.is_empty() => 1,
        None => return None,
        // In the form in which we write it: 2 and up, without a sign or leading zero.
        Some(digits) => {
            digits.parse().ok().filter(|number: &u32| *number > 1 && number.to_string() == digits)?
        }
    };
    Some((time.to_owned(), number))
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn only_names_of_logs_are_ordered() {
        let of = |name: &str| order(name.as_ref());
        assert!(of("Counterpart_26-01-02_03-04-05") < of("Counterpart_26-01-02_03-04-05_2"));
        assert!(of("Counterpart_26-01-02_03-04-05_9") < of("Counterpart_26-01-02_03-04-05_10"));
        assert!(of("Counterpart_26-01-02_03-04-05_10") < of("Counterpart_26-01-02_03-04-06"));
        for other in [
            "Counterpart_26-01-02_03-04-05_",
            "Counterpart_26-01-02_03-04-05_1",
            "Counterpart_26-01-02_03-04-05_02",
            "Counterpart_26-01-02_03-04-05_+2",
            "Counterpart_26-01-02_03-04-05_x",
            "Counterpart_26-01-02_03-04-05.gz",
            "Counterpart_26-01-02_03-04-0x",
            "Counterpart_26-01-02_03:04:05",
            "Counterpart_26-01-02_03-04",
            "Counterpart_",
            "counterpart_26-01-02_03-04-05",
            "xCounterpart_26-01-02_03-04-05",
            "Counterpart_26-01-02_03-04-0\u{fc}",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
