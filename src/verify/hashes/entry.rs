//! One file or symbolic link of a clone, as it was hashed.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::hash::Hasher as _;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::sys::stat::{FileStat, SFlag};
use siphasher::sip::SipHasher13;

use crate::tree::pair::kind;
use crate::verify::kept::number;

/// The bytes of a hash (BLAKE3).
pub const HASH: usize = 32;

/// What an inode that may change again within the same tick of the clock is known by: by nothing.
pub const UNSETTLED: u64 = 0;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file: the hash is that of its contents.
    File,
    /// A symbolic link: the hash is that of its target.
    Link,
}

/// A file or a symbolic link, as it was when its hash was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// Its path below the clone's root.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
    /// When it was modified, in seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// What its inode is known by, see [`seen`].
    pub seen: u64,
    /// The hash.
    pub hash: [u8; HASH],
}

impl Kind {
    /// What an inode is, if it is one that is hashed.
    #[must_use]
    pub fn of(stat: &FileStat) -> Option<Self> {
        match kind(stat) {
            SFlag::S_IFREG => Some(Self::File),
            SFlag::S_IFLNK => Some(Self::Link),
            _ => None,
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::File => 1,
            Self::Link => 2,
        }
    }
}

impl Hashed {
    /// An entry whose hash is still to be taken.
    #[must_use]
    pub fn new(path: Vec<u8>, kind: Kind, stat: &FileStat, seen: u64) -> Self {
        let (size, modified) = (number(stat.st_size), (stat.st_mtime, stat.st_mtime_nsec));
        Self { path, kind, size, modified, seen, hash: [0; HASH] }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }

    /// Whether it is what it was, as far as that can be told without reading it.
    #[must_use]
    pub fn is_as_before(&self, before: &Self) -> bool {
        self.seen != UNSETTLED && Self { hash: before.hash, ..self.clone() } == *before
    }

    /// Adds it to a file in which `last` is the path before it.
    pub fn write(&self, last: &[u8], to: &mut Vec<u8>) {
        let shared = shared(last, &self.path).min(usize::from(u16::MAX));
        let rest = &self.path[shared..];
        to.push(self.kind.number());
        for length in [shared, rest.len()] {
            // A longer path is never hashed.
            to.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
        }
        to.extend_from_slice(rest);
        to.extend_from_slice(&self.size.to_le_bytes());
        to.extend_from_slice(&self.modified.0.to_le_bytes());
        to.extend_from_slice(&self.modified.1.to_le_bytes());
        to.extend_from_slice(&self.seen.to_le_bytes());
        to.extend_from_slice(&self.hash);
    }

    /// Reads the entry of this kind that follows the one with the path `last`. Errors if it is not one that we have written.
    pub fn read(number: u8, last: &[u8], from: &mut impl Read) -> io::Result<Self> {
        let kind = match number {
            1 => Kind::File,
            2 => Kind::Link,
            _ => return Err(damaged()),
        };
        let (shared, length) = (u16::from_le_bytes(array(from)?), u16::from_le_bytes(array(from)?));
        let mut path = last.get(..usize::from(shared)).ok_or_else(damaged)?.to_vec();
        let mut rest = vec![0; usize::from(length)];
        from.read_exact(&mut rest)?;
        path.extend_from_slice(&rest);
        if path.len() > LONGEST || !is_below(&path) || !last.is_empty() && order(last, &path).is_ge() {
            return Err(damaged());
        }
        let size = u64::from_le_bytes(array(from)?);
        let modified = (i64::from_le_bytes(array(from)?), i64::from_le_bytes(array(from)?));
        Ok(Self { path, kind, size, modified, seen: u64::from_le_bytes(array(from)?), hash: array(from)? })
    }
}

/// The longest path that is hashed, in bytes.
pub const LONGEST: usize = u16::MAX as usize;

/// What an inode is known by: a keyed hash of its number and of the time of its last change.
#[must_use]
pub fn seen(key: [u8; 16], stat: &FileStat) -> u64 {
    let mut hasher = SipHasher13::new_with_key(&key);
    hasher.write_u64(stat.st_ino);
    hasher.write_i64(stat.st_ctime);
    hasher.write_i64(stat.st_ctime_nsec);
    hasher.finish().max(UNSETTLED + 1)
}

/// The order of two paths: the files of a directory, by their names, come before what is in its subdirectories.
#[must_use]
pub fn order(one: &[u8], other: &[u8]) -> Ordering {
    if one == other {
        return Ordering::Equal;
    }
    let same = shared(one, other);
    let start = one[..same].iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    next(&one[start..]).cmp(&next(&other[start..]))
}

/// The first name of a path, and before it whether that is a directory's.
fn next(path: &[u8]) -> (bool, &[u8]) {
    match path.iter().position(|byte| *byte == b'/') {
        Some(end) => (true, &path[..end]),
        None => (false, path),
    }
}

/// How many bytes both begin with.
fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// Whether a path leads down from a root and nowhere else.
fn is_below(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').all(|name| !matches!(name, b"" | b"." | b"..") && !name.contains(&0))
}

/// Reads as many bytes as it has.
pub fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// What is not as it was written.
pub fn damaged() -> io::Error {
    io::Error::other("it is damaged")
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::{Hashed, Kind, UNSETTLED, order};

    fn at(path: &str) -> Hashed {
        let path = path.as_bytes().to_vec();
        Hashed { path, kind: Kind::Link, size: 7, modified: (-3, 5), seen: 9, hash: [4; 32] }
    }

    #[test]
    fn files_come_before_directories_and_both_by_name() {
        let sorted = ["a", "b", "z", "a.d/x", "a/a", "a/b", "a/b/a", "a/b/c/d", "a0/a", "b/a", "b.c/a"];
        let mut paths: Vec<&str> = sorted.iter().rev().copied().collect();
        paths.sort_by(|one, other| order(one.as_bytes(), other.as_bytes()));
        assert_eq!(paths, ["a", "b", "z", "a/a", "a/b", "a/b/a", "a/b/c/d", "a.d/x", "a0/a", "b/a", "b.c/a"]);
        assert_eq!(order(b"a/b", b"a/b"), Ordering::Equal);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let (mut written, paths) = (Vec::new(), ["a", "ab", "d/a", "d/e/f", "e/\u{fc}"]);
        let mut last = Vec::new();
        for path in paths {
            at(path).write(&last, &mut written);
            last = path.as_bytes().to_vec();
        }
        let mut from = &written[..];
        let mut last = Vec::new();
        for path in paths {
            let (number, rest) = from.split_first().unwrap();
            from = rest;
            let read = Hashed::read(*number, &last, &mut from).unwrap();
            assert_eq!(read, at(path));
            last = read.path;
        }
        assert!(from.is_empty());
    }

    #[test]
    fn paths_that_lead_elsewhere_or_stand_in_another_order_are_refused() {
        for (last, path) in [
            ("", ""),
            ("", "/etc/shadow"),
            ("", "a//b"),
            ("", "a/"),
            ("", "."),
            ("", "a/../../b"),
            ("", "a\0"),
            ("b", "a"),
            ("b", "b"),
            ("a/b", "c"),
        ] {
            let mut written = Vec::new();
            at(path).write(last.as_bytes(), &mut written);
            let read = Hashed::read(written[0], last.as_bytes(), &mut &written[1..]);
            assert!(read.is_err(), "{last:?} {path:?}");
        }
        let mut written = Vec::new();
        at("a").write(b"", &mut written);
        assert!(Hashed::read(3, b"", &mut &written[1..]).is_err());
        assert!(Hashed::read(1, b"", &mut &written[1..written.len() - 1]).is_err());
    }

    #[test]
    fn only_what_is_settled_is_as_before() {
        let before = at("a");
        assert!(Hashed { hash: [0; 32], ..at("a") }.is_as_before(&before));
        for other in [
            Hashed { seen: 8, ..at("a") },
            Hashed { size: 8, ..at("a") },
            Hashed { modified: (-3, 6), ..at("a") },
            Hashed { kind: Kind::File, ..at("a") },
            at("b"),
        ] {
            assert!(!other.is_as_before(&before));
        }
        let unsettled = Hashed { seen: UNSETTLED, ..at("a") };
        assert!(!unsettled.is_as_before(&unsettled));
    }
}
