//! Removes our older logs.
//!
//! Their names contain the local time, which may be wrong for a night or be set back. So each log also has a number,
//! one higher than any before, in an extended attribute; where the filesystem has none, the name decides.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt as _;

use xattr::FileExt as _;

use crate::display;
use crate::fs::dir::Dir;
use crate::logging::warn::warning;

/// The extended attribute with a log's number, in decimal digits.
const NUMBER: &str = "user.counterpart.number";

/// The sort key of logs: the number, then the time in the name and the number after it. Logs without a number are older
/// than numbering.
type Order = (Option<u64>, String, u32);

/// Numbers the log `current`, which was just created.
pub fn number(dir: &Dir, log: &File, current: &OsStr) {
    let highest =
        others(dir, current).map(|others| others.into_iter().filter_map(|((number, ..), _)| number).max());
    // Without a number the log is sorted by name.
    if let Ok(highest) = highest
        && let Some(number) = highest.unwrap_or(0).checked_add(1)
    {
        let _ = log.set_xattr(NUMBER, number.to_string().as_bytes());
    }
}

/// Removes the oldest logs beside `current` until `keep` are left, including it. A failure is only a warning.
pub fn remove(dir: &Dir, current: &OsStr, keep: NonZeroUsize) {
    // The log of this run is kept in any case, even if only the names can be sorted by.
    let mut others = match others(dir, current) {
        Ok(others) => others,
        Err(error) => {
            warning(format_args!(
                "older logs in {} cannot be listed: {}.",
                display::path(dir.path()),
                display::reason(&error)
            ));
            return;
        }
    };
    others.sort();
    let too_many = others.len().saturating_sub(keep.get() - 1);
    for (_, name) in others.drain(..too_many) {
        remove_one(dir, &name);
    }
}

/// All our logs except the current one.
fn others(dir: &Dir, current: &OsStr) -> io::Result<Vec<(Order, OsString)>> {
    let mut found = Vec::new();
    for name in dir.names_that(|name| name != current && order(name).is_some())? {
        if let Some((time, count)) = order(&name)
            && let Some(log) = dir.open_regular(&name)?
            && log.metadata()?.uid() == nix::unistd::geteuid().as_raw()
        {
            found.push(((number_of(&log), time, count), name));
        }
    }
    Ok(found)
}

fn number_of(log: &File) -> Option<u64> {
    let value = log.get_xattr(NUMBER).ok()??;
    std::str::from_utf8(&value).ok()?.parse().ok()
}

fn remove_one(dir: &Dir, name: &OsString) {
    if let Err(error) = dir.remove_file(name) {
        warning(format_args!(
            "the old log {} cannot be removed: {}.",
            display::path(&dir.path().join(name)),
            display::reason(&error)
        ));
    }
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
