//! What the last clone has proved equal: one keyed hash for each entry, of its path and of both inodes with the times at
//! which they last changed.
//!
//! An entry whose hash is in the index has not changed on either side since, whatever its size and time. The index is no
//! record of names, and only as good as its disk: a missing, damaged or foreign one costs a full pass and nothing else.

use std::ffi::OsStr;
use std::fs::File;
use std::hash::Hasher as _;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::stat::FileStat;
use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher13;

use crate::fs::dir::Dir;

/// What an index begins with: the form's name and version.
const MAGIC: &[u8; 16] = b"counterpart-idx1";

/// The largest index that is read or written: 128 MB.
const MOST: u64 = 1 << 24;

/// Bytes before the keys.
const HEADER: usize = 16 + 16 + 32 + 8 + 8;

/// Bytes of the checksum after the keys.
const CHECKSUM: usize = 32;

/// How many keys are read or written at once.
const CHUNK: usize = 8192;

/// The key of the hashes: without it nobody can make two entries look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 16]);

/// A directory's hash.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place(u64);

impl Key {
    /// A new random key.
    pub fn random() -> io::Result<Self> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        Ok(Self(key))
    }

    /// The hash of a directory, by its path below the root.
    #[must_use]
    pub fn place(&self, path: &Path) -> Place {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(path.as_os_str().as_bytes());
        Place(hasher.finish())
    }

    /// The hash of an entry of that directory on both sides.
    #[must_use]
    pub fn entry(&self, place: Place, name: &[u8], source: &FileStat, destination: Option<&FileStat>) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write_u64(place.0);
        for stat in [Some(source), destination].into_iter().flatten() {
            hasher.write_u64(stat.st_ino);
            hasher.write_i64(stat.st_ctime);
            hasher.write_i64(stat.st_ctime_nsec);
        }
        hasher.write(name);
        hasher.finish()
    }
}

/// What an index was made with and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The key of its hashes.
    pub key: Key,
    /// A digest of everything that has to be the same: options, rsync, filesystems, prefix.
    pub made_with: [u8; 32],
    /// When rsync last looked at everything, in seconds since 1970.
    pub full_pass: i64,
}

/// An index in memory.
#[derive(Debug)]
pub struct Index {
    /// What it was made with.
    pub header: Header,
    /// The hashes, sorted.
    keys: Vec<u64>,
    /// One bit for each of them: it was met in this run.
    met: Vec<AtomicU64>,
}

impl Index {
    /// Reads the index of this name; `None` if there is none. Errors if it is damaged, too large, or not ours.
    pub fn load(dir: &Dir, name: &OsStr) -> io::Result<Option<Self>> {
        let Some(mut file) = dir.open_regular(name)? else { return Ok(None) };
        let found = file.metadata()?;
        if found.uid() != nix::unistd::geteuid().as_raw() || found.mode() & 0o077 != 0 {
            return Err(io::Error::other("others could have written or read it"));
        }
        let damaged = || io::Error::other("it is damaged");
        let mut header = [0; HEADER];
        file.read_exact(&mut header)?;
        let (header_read, count) = Header::read(&header).ok_or_else(damaged)?;
        let length = (HEADER + CHECKSUM) as u64 + count.saturating_mul(8);
        if count > MOST || found.len() != length {
            return Err(damaged());
        }
        let mut digest = Sha256::new_with_prefix(header);
        let keys = read_keys(&mut file, count, &mut digest)?;
        let mut checksum = [0; CHECKSUM];
        file.read_exact(&mut checksum)?;
        if digest.finalize()[..] != checksum || !keys.is_sorted() {
            return Err(damaged());
        }
        let mut met = Vec::new();
        met.resize_with(keys.len().div_ceil(64), AtomicU64::default);
        Ok(Some(Self { header: header_read, keys, met }))
    }

    /// Whether the hash is in the index, which is noted.
    #[must_use]
    pub fn meets(&self, key: u64) -> bool {
        let Ok(at) = self.keys.binary_search(&key) else { return false };
        self.met[at / 64].fetch_or(1 << (at % 64), Ordering::Relaxed);
        true
    }

    /// Forgets which were met.
    pub fn forget_met(&self) {
        self.met.iter().for_each(|bits| bits.store(0, Ordering::Relaxed));
    }

    /// Whether every one was met.
    #[must_use]
    pub fn was_met_whole(&self) -> bool {
        let met: u64 = self.met.iter().map(|bits| u64::from(bits.load(Ordering::Relaxed).count_ones())).sum();
        met == self.keys.len() as u64
    }

    /// The hashes that were met, sorted.
    fn met(&self) -> impl Iterator<Item = u64> {
        let is_met = |at: usize| self.met[at / 64].load(Ordering::Relaxed) & (1 << (at % 64)) != 0;
        self.keys.iter().enumerate().filter(move |(at, _)| is_met(*at)).map(|(_, key)| *key)
    }
}

impl Header {
    fn read(bytes: &[u8; HEADER]) -> Option<(Self, u64)> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (key, rest) = rest.split_first_chunk()?;
        let (made_with, rest) = rest.split_first_chunk()?;
        let (full_pass, rest) = rest.split_first_chunk()?;
        let count = u64::from_le_bytes(*rest.first_chunk()?);
        let full_pass = i64::from_le_bytes(*full_pass);
        Some((Self { key: Key(*key), made_with: *made_with, full_pass }, count))
    }

    fn bytes(&self, count: u64) -> Vec<u8> {
        [&MAGIC[..], &self.key.0, &self.made_with, &self.full_pass.to_le_bytes(), &count.to_le_bytes()]
            .concat()
    }
}

fn read_keys(file: &mut File, count: u64, digest: &mut Sha256) -> io::Result<Vec<u64>> {
    let mut left = usize::try_from(count).map_err(io::Error::other)?;
    let mut keys = Vec::new();
    keys.try_reserve_exact(left).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut buffer = vec![0; CHUNK * 8];
    while left > 0 {
        let bytes = &mut buffer[..left.min(CHUNK) * 8];
        file.read_exact(bytes)?;
        digest.update(&*bytes);
        keys.extend(
            bytes.chunks_exact(8).filter_map(|key| key.first_chunk().copied()).map(u64::from_le_bytes),
        );
        left -= bytes.len() / 8;
    }
    Ok(keys)
}

/// Writes an index that only its owner may read, of `new` hashes and those of `old` that were met; too large a one is not
/// written but removed.
pub fn save(
    dir: &Dir,
    name: &OsStr,
    header: &Header,
    old: Option<&Index>,
    mut new: Vec<u64>,
) -> io::Result<()> {
    new.sort_unstable();
    new.dedup();
    let merged = || Merged {
        old: old.map(Index::met).into_iter().flatten().peekable(),
        new: new.iter().copied().peekable(),
    };
    let count = merged().count() as u64;
    if count > MOST {
        return dir.remove(name);
    }
    let (mut file, temporary) = dir.temporary(name, 0o600)?;
    let written =
        write(&mut file, header, count, merged()).and_then(|()| dir.commit(&file, &temporary, name));
    if written.is_err() {
        // The first error is the one to report.
        let _ = dir.remove(&temporary);
    }
    written
}

fn write(file: &mut File, header: &Header, count: u64, keys: impl Iterator<Item = u64>) -> io::Result<()> {
    let mut digest = Sha256::new();
    let mut put = |bytes: &[u8]| {
        digest.update(bytes);
        file.write_all(bytes)
    };
    put(&header.bytes(count))?;
    let mut buffer = Vec::with_capacity(CHUNK * 8);
    for key in keys {
        buffer.extend_from_slice(&key.to_le_bytes());
        if buffer.len() == CHUNK * 8 {
            put(&buffer)?;
            buffer.clear();
        }
    }
    put(&buffer)?;
    file.write_all(&digest.finalize())
}

/// Two sorted sequences as one, without repetitions.
struct Merged<A: Iterator<Item = u64>, B: Iterator<Item = u64>> {
    old: std::iter::Peekable<A>,
    new: std::iter::Peekable<B>,
}

impl<A: Iterator<Item = u64>, B: Iterator<Item = u64>> Iterator for Merged<A, B> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        match (self.old.peek().copied(), self.new.peek().copied()) {
            (Some(old), Some(new)) => {
                if old <= new {
                    self.old.next();
                }
                if new <= old {
                    self.new.next();
                }
                Some(old.min(new))
            }
            (Some(_), None) => self.old.next(),
            (None, _) => self.new.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::Path;

    use super::{HEADER, Header, Index, Key, save};
    use crate::fs::dir::Dir;

    fn scene() -> (tempfile::TempDir, Dir, Header) {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::open(temporary.path()).unwrap();
        let header = Header { key: Key::random().unwrap(), made_with: [7; 32], full_pass: -3 };
        (temporary, dir, header)
    }

    fn load(dir: &Dir) -> std::io::Result<Option<Index>> {
        Index::load(dir, OsStr::new("index"))
    }

    #[test]
    fn what_was_met_and_what_is_new_is_found_again() {
        let (_kept, dir, header) = scene();
        assert!(load(&dir).unwrap().is_none());
        save(&dir, OsStr::new("index"), &header, None, (0..20_000).rev().collect()).unwrap();
        let first = load(&dir).unwrap().unwrap();
        assert_eq!(first.header, header);
        assert!(!first.was_met_whole());
        assert!((0..20_000).all(|key| key % 2 == 0 || first.meets(key)) && !first.meets(20_000));
        save(&dir, OsStr::new("index"), &header, Some(&first), vec![1, 2, 30_000, 2]).unwrap();
        let second = load(&dir).unwrap().unwrap();
        assert!(!second.was_met_whole());
        let held: Vec<u64> = (0..40_000).filter(|key| second.meets(*key)).collect();
        let expected: Vec<u64> =
            (0..20_000).filter(|key| *key == 2 || key % 2 == 1).chain([30_000]).collect();
        assert_eq!(held, expected);
        assert!(second.was_met_whole());
        second.forget_met();
        assert!(!second.was_met_whole());
    }

    #[test]
    fn a_changed_or_shortened_index_is_damaged() {
        let (temporary, dir, header) = scene();
        let path = temporary.path().join("index");
        save(&dir, OsStr::new("index"), &header, None, (0..100).collect()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in [0, 20, HEADER - 1, HEADER, HEADER + 400, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).unwrap();
            assert!(load(&dir).is_err(), "{at}");
        }
        for length in [0, 10, HEADER, HEADER + 8, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(load(&dir).is_err(), "{length}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert!(load(&dir).unwrap().is_some());
    }

    #[test]
    fn an_index_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let (temporary, dir, header) = scene();
        save(&dir, OsStr::new("index"), &header, None, vec![1]).unwrap();
        let path = temporary.path().join("index");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(load(&dir).is_err());
    }

    #[test]
    fn every_part_of_an_entry_counts() {
        let key = Key::random().unwrap();
        let stat = nix::sys::stat::stat("/").unwrap();
        let (place, other) = (key.place(Path::new("a")), key.place(Path::new("b")));
        let hash = key.entry(place, b"n", &stat, Some(&stat));
        let mut later = stat;
        later.st_ctime_nsec ^= 1;
        for different in [
            key.entry(other, b"n", &stat, Some(&stat)),
            key.entry(place, b"m", &stat, Some(&stat)),
            key.entry(place, b"n", &later, Some(&stat)),
            key.entry(place, b"n", &stat, Some(&later)),
            key.entry(place, b"n", &stat, None),
            Key::random().unwrap().entry(place, b"n", &stat, Some(&stat)),
        ] {
            assert_ne!(different, hash);
        }
        assert_eq!(key.entry(place, b"n", &stat, Some(&stat)), hash);
    }
}
