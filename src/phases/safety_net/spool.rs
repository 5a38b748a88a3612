//! Bytes that are written once and read back: in memory if few, otherwise in an unnamed temporary file.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;

use crate::fs::dir::Dir;

/// The most that stays in memory, in bytes.
const IN_MEMORY: usize = 4 << 20;

/// Where the file is created; its name is removed at once.
const NAME: &str = "spool";

/// The bytes.
#[derive(Debug, Default)]
pub struct Spool {
    file: Option<File>,
    written: u64,
    /// What follows the part in the file.
    rest: Vec<u8>,
}

impl Spool {
    /// Adds bytes; `place` is where a file can be created.
    pub fn push(&mut self, bytes: &[u8], place: &Dir) -> io::Result<()> {
        if self.rest.len() + bytes.len() > IN_MEMORY {
            self.flush(place)?;
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self, place: &Dir) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(without_name(place)?),
        };
        file.write_all(&self.rest)?;
        self.written += self.rest.len() as u64;
        self.rest.clear();
        Ok(())
    }

    /// The total number of bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.written + self.rest.len() as u64
    }

    /// Fills a buffer with the bytes from `at` on. Fails if there are too few.
    pub fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let in_file =
            usize::try_from(self.written.saturating_sub(at)).unwrap_or(usize::MAX).min(buffer.len());
        let (first, second) = buffer.split_at_mut(in_file);
        if let Some(file) = self.file.as_ref().filter(|_| !first.is_empty()) {
            file.read_exact_at(first, at)?;
        }
        let from =
            usize::try_from((at + in_file as u64).saturating_sub(self.written)).map_err(io::Error::other)?;
        let found = self.rest.get(from..from + second.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        second.copy_from_slice(found);
        Ok(())
    }
}

fn without_name(place: &Dir) -> io::Result<File> {
    let (file, name) = place.temporary(OsStr::new(NAME), 0o600)?;
    place.remove_file(&name)?;
    Ok(file)
}

/// Whether this is the name of such a file, left by a killed run.
#[must_use]
pub fn is_own(name: &OsStr) -> bool {
    Dir::is_temporary(name, OsStr::new(NAME))
}

#[cfg(test)]
mod tests {
    use super::{IN_MEMORY, Spool};
    use crate::fs::dir::Dir;

    #[test]
    fn what_was_written_is_read_in_memory_and_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let place = Dir::open(dir.path()).unwrap();
        let mut spool = Spool::default();
        let mut all = Vec::new();
        for number in 0_u32..40_000 {
            let bytes = number.to_be_bytes().repeat(100);
            spool.push(&bytes, &place).unwrap();
            all.extend(bytes);
        }
        assert!(spool.file.is_some() && spool.rest.len() <= IN_MEMORY);
        assert!(place.names().unwrap().is_empty());
        assert_eq!(spool.length(), all.len() as u64);
        let written = usize::try_from(spool.written).unwrap();
        for at in [0, 5, IN_MEMORY - 3, written - 1, written, all.len() - 7] {
            let mut found = [0; 7];
            spool.read(at as u64, &mut found).unwrap();
            assert_eq!(found, all[at..at + 7], "{at}");
        }
        assert!(spool.read(all.len() as u64 - 6, &mut [0; 7]).is_err());
        assert!(spool.read(u64::MAX / 2, &mut [0; 7]).is_err());
    }
}
