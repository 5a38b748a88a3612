//! What is known about a filesystem without writing to it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use unicode_normalization::UnicodeNormalization as _;

use crate::fs::dir::Dir;
use crate::phases::capacity::holds::Capacity;
use crate::phases::capacity::names::Folds;
use crate::volume::kind::Kind;
use crate::volume::limits;

/// The maximum number of names in the directory looked up in another spelling.
const LOOKED_UP: usize = 200;

/// The limits that the kernel reports, and how the names in this directory are folded.
#[must_use]
pub fn of(dir: &Dir) -> Capacity {
    let kind = Kind::of(dir).unwrap_or(Kind::Other);
    let folds = folds(dir, kind);
    Capacity {
        folds,
        name: limits::longest_name(dir),
        links: kind.most_links(),
        size: kind.largest_file(),
        ..Capacity::default()
    }
}

fn folds(dir: &Dir, kind: Kind) -> Folds {
    let by_names = folds_of_names(dir);
    let case = kind.folds_case() || limits::ignores_case(dir.file()) || by_names.case;
    Folds { case, form: limits::ignores_case(dir.file()) || by_names.form }
}

/// If a name is found by another spelling that is not itself in the directory, the filesystem folds names.
fn folds_of_names(dir: &Dir) -> Folds {
    let mut folds = Folds::default();
    let Ok(names) = dir.names() else { return folds };
    let is_found = |name: &OsStr, other: &OsStr| {
        let number = |name: &OsStr| dir.stat(name).ok().flatten().map(|stat| (stat.st_dev, stat.st_ino));
        name != other
            && !names.iter().any(|name| name == other)
            && number(other).is_some()
            && number(other) == number(name)
    };
    for name in names.iter().take(LOOKED_UP) {
        folds.case |= is_found(name, &OsString::from_vec(other_case(name.as_bytes())));
        if let Some(text) = name.to_str().filter(|text| !text.is_ascii()) {
            let forms = [text.nfd().collect::<String>(), text.nfc().collect()];
            folds.form |= forms.iter().any(|form| is_found(name, OsStr::new(form)));
        }
    }
    folds
}

fn other_case(name: &[u8]) -> Vec<u8> {
    let swapped = |byte: &u8| {
        if byte.is_ascii_uppercase() { byte.to_ascii_lowercase() } else { byte.to_ascii_uppercase() }
    };
    name.iter().map(swapped).collect()
}

/// Whether the source itself folds names, so that it cannot hold two that this destination treats as equal.
#[must_use]
pub fn folds_at_source(source: &Dir) -> bool {
    // On Linux, each directory may ignore case or not.
    limits::whole_volume_ignores_case(source.file())
}
