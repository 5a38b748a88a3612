//! Removes our older logs.

use std::ffi::{OsStr, OsString};
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;

use nix::sys::stat::SFlag;

use super::warning;
use crate::host::folder::Folder;
use crate::shown;

/// Removes the oldest logs beside `current` until `keep` are left with it. What cannot be removed is a warning.
pub fn remove(current: &Path, keep: NonZeroUsize) {
    let (Some(dir), Some(current)) = (current.parent(), current.file_name()) else { return };
    if let Err(error) = remove_below(dir, current, keep) {
        warning(format_args!(
            "older logs in {} cannot be looked for: {}.",
            shown::path(dir),
            shown::reason(&error)
        ));
    }
}

fn remove_below(dir: &Path, current: &OsStr, keep: NonZeroUsize) -> io::Result<()> {
    let folder = Folder::open(dir)?;
    let mut others = Vec::new();
    for name in folder.names()? {
        // After the clock was set back, the log of this run need not be the newest: it stays in any case.
        if name != current
            && let Some(order) = order(&name)
            && is_ours(&folder, &name)?
        {
            others.push((order, name));
        }
    }
    others.sort();
    let too_many = others.len().saturating_sub(keep.get() - 1);
    for (_, name) in others.drain(..too_many) {
        remove_one(&folder, &name);
    }
    Ok(())
}

fn remove_one(folder: &Folder, name: &OsString) {
    if let Err(error) = folder.remove_file(name) {
        warning(format_args!(
            "the old log {} cannot be removed: {}.",
            shown::path(&folder.path().join(name)),
            shown::reason(&error)
        ));
    }
}

/// A file, no link to one, that belongs to the user who runs us.
fn is_ours(folder: &Folder, name: &OsStr) -> io::Result<bool> {
    let found = folder.stat(name)?;
    Ok(found.is_some_and(|found| {
        SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFREG
            && found.st_uid == nix::unistd::geteuid().as_raw()
    }))
}

/// What a log's name is sorted by, the time and the number behind it; `None` for any other name.
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
        // As the number is written: 2 and up, without a sign or a zero before it.
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
