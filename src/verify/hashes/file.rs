//! A file of hashes: written from the front, and read whole before any of it is believed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;

use crate::fs::dir::Dir;
use crate::phases::survey::memory::Stamp;
use crate::verify::hashes::entry::{HASH, Hashed, array, damaged};

/// What a file begins with: the form's name and version.
const MAGIC: &[u8; 16] = b"counterpart-hsh1";

/// The number of digits of a clone's id.
const ID: usize = 32;

/// What stands where the next entry would begin, after the last one.
const END: u8 = 0;

/// How much is written at once, in bytes.
const CHUNK: usize = 1 << 18;

/// Of which clone the hashes are, and of when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The id of the clone.
    pub clone: String,
    /// The key by which inodes are known again.
    pub key: [u8; 16],
    /// When the clone was begun, in seconds since 1970.
    pub started: i64,
    /// When the first hash was taken, by the clock that stamps inodes.
    pub kept: Stamp,
}

impl Header {
    fn bytes(&self) -> Vec<u8> {
        let mut id = [0; ID];
        id.iter_mut().zip(self.clone.bytes()).for_each(|(to, from)| *to = from);
        let numbers = [self.started, self.kept.seconds, self.kept.nanoseconds];
        [&MAGIC[..], &id, &self.key, numbers.map(i64::to_le_bytes).as_flattened()].concat()
    }

    fn read(from: &mut impl Read) -> io::Result<Self> {
        if array(from)? != *MAGIC {
            return Err(io::Error::other("it is not a file of hashes, or of a later version"));
        }
        let id: [u8; ID] = array(from)?;
        if !id.iter().all(u8::is_ascii_hexdigit) {
            return Err(damaged());
        }
        let (key, clone) = (array(from)?, String::from_utf8_lossy(&id).into_owned());
        let mut number = || array(from).map(i64::from_le_bytes);
        let started = number()?;
        let kept = Stamp { seconds: number()?, nanoseconds: number()? };
        Ok(Self { clone, key, started, kept })
    }
}

/// A file of hashes that was read to its end and is whole.
#[derive(Debug)]
pub struct Hashes {
    /// Of which clone they are, and of when.
    pub header: Header,
    /// How many entries there are.
    pub entries: u64,
    /// The bytes of what they are hashes of.
    pub bytes: u64,
    file: File,
}

impl Hashes {
    /// Opens the hashes of this name, and reads them once; `None` if there are none. Errors if they are damaged, or if
    /// somebody else could have written them.
    pub fn open(dir: &Dir, name: &OsStr) -> io::Result<Option<Self>> {
        let Some(file) = dir.open_regular(name)? else { return Ok(None) };
        let found = file.metadata()?;
        if found.uid() != nix::unistd::geteuid().as_raw() || found.mode() & 0o022 != 0 {
            return Err(io::Error::other("others could have written it"));
        }
        let mut from = Digesting { from: BufReader::new(&file), digest: blake3::Hasher::new() };
        let cut_short = |error: io::Error| {
            if error.kind() == io::ErrorKind::UnexpectedEof { damaged() } else { error }
        };
        let header = Header::read(&mut from).map_err(cut_short)?;
        let (mut entries, mut bytes, mut last) = (0_u64, 0_u64, Vec::new());
        while let Some(entry) = next(&last, &mut from).map_err(cut_short)? {
            entries += 1;
            bytes = bytes.saturating_add(entry.size);
            last = entry.path;
        }
        let number = u64::from_le_bytes(array(&mut from).map_err(cut_short)?);
        let digest = *from.digest.finalize().as_bytes();
        let written: [u8; HASH] = array(&mut from).map_err(cut_short)?;
        if number != entries || written != digest || from.read(&mut [0])? != 0 {
            return Err(damaged());
        }
        drop(from);
        Ok(Some(Self { header, entries, bytes, file }))
    }

    /// Its entries, in their order.
    pub fn read(&self) -> io::Result<Entries<'_>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        let mut from = BufReader::new(file);
        Header::read(&mut from)?;
        Ok(Entries { from, last: Vec::new(), is_over: false })
    }
}

/// The next entry, or the end.
fn next(last: &[u8], from: &mut impl Read) -> io::Result<Option<Hashed>> {
    let [number] = array(from)?;
    if number == END { Ok(None) } else { Hashed::read(number, last, from).map(Some) }
}

/// The entries of a file, one after the other.
#[derive(Debug)]
pub struct Entries<'a> {
    from: BufReader<&'a File>,
    last: Vec<u8>,
    is_over: bool,
}

impl Iterator for Entries<'_> {
    type Item = io::Result<Hashed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let read = next(&self.last, &mut self.from);
        match &read {
            Ok(Some(entry)) => self.last.clone_from(&entry.path),
            Ok(None) | Err(_) => self.is_over = true,
        }
        read.transpose()
    }
}

/// Reads, and takes a hash of what was read.
struct Digesting<R> {
    from: R,
    digest: blake3::Hasher,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}

/// Writes a file of hashes.
#[derive(Debug)]
pub struct Writer {
    file: File,
    buffer: Vec<u8>,
    digest: blake3::Hasher,
    last: Vec<u8>,
    entries: u64,
}

impl Writer {
    /// Begins one in an empty file.
    #[must_use]
    pub fn new(file: File, header: &Header) -> Self {
        Self { file, buffer: header.bytes(), digest: blake3::Hasher::new(), last: Vec::new(), entries: 0 }
    }

    /// Adds an entry, which follows the last one in their order.
    pub fn add(&mut self, entry: Hashed) -> io::Result<()> {
        entry.write(&self.last, &mut self.buffer);
        self.last = entry.path;
        self.entries += 1;
        if self.buffer.len() < CHUNK { Ok(()) } else { self.flush() }
    }

    /// Ends it; returns the file, and how many entries there are.
    pub fn end(mut self) -> io::Result<(File, u64)> {
        self.buffer.push(END);
        self.buffer.extend_from_slice(&self.entries.to_le_bytes());
        self.flush()?;
        self.file.write_all(self.digest.finalize().as_bytes())?;
        Ok((self.file, self.entries))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.digest.update(&self.buffer);
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Hashes, Header, Writer};
    use crate::fs::dir::Dir;
    use crate::phases::survey::memory::Stamp;
    use crate::verify::hashes::entry::{Hashed, Kind};

    const NAME: &str = "hashes";

    fn entry(number: u64) -> Hashed {
        let path = format!("directory/{number:06}").into_bytes();
        Hashed { path, kind: Kind::File, size: number, modified: (1, 2), seen: 3, hash: [5; 32] }
    }

    fn written(count: u64) -> (tempfile::TempDir, Dir, Header) {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::open(temporary.path()).unwrap();
        let kept = Stamp { seconds: -1, nanoseconds: 7 };
        let header = Header { clone: "0123456789abcdef".repeat(2), key: [9; 16], started: 8, kept };
        let mut writer = Writer::new(dir.create_new(OsStr::new(NAME), 0o600).unwrap(), &header);
        (0..count).for_each(|number| writer.add(entry(number)).unwrap());
        assert_eq!(writer.end().unwrap().1, count);
        (temporary, dir, header)
    }

    fn open(dir: &Dir) -> std::io::Result<Option<Hashes>> {
        Hashes::open(dir, OsStr::new(NAME))
    }

    #[test]
    fn what_is_written_is_read_as_often_as_wanted() {
        for count in [0, 1, 20_000] {
            let (_kept, dir, header) = written(count);
            let hashes = open(&dir).unwrap().unwrap();
            assert_eq!((&hashes.header, hashes.entries), (&header, count));
            assert_eq!(hashes.bytes, (0..count).sum::<u64>());
            for _ in 0..2 {
                let read: Vec<Hashed> = hashes.read().unwrap().map(Result::unwrap).collect();
                assert!(read.into_iter().eq((0..count).map(entry)));
            }
        }
    }

    #[test]
    fn every_changed_or_missing_byte_is_damage() {
        let (temporary, dir, _) = written(3);
        let path = temporary.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).unwrap();
            assert!(open(&dir).is_err(), "{at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(open(&dir).is_err(), "{at}");
        }
        std::fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
        assert!(open(&dir).is_err());
        std::fs::write(&path, &whole).unwrap();
        assert!(open(&dir).unwrap().is_some());
    }

    #[test]
    fn what_others_could_have_written_is_refused() {
        let (temporary, dir, _) = written(1);
        let path = temporary.path().join(NAME);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o620)).unwrap();
        assert!(open(&dir).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(open(&dir).unwrap().is_none());
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert!(open(&dir).unwrap().is_none());
    }
}
