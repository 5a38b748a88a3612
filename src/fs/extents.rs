//! Where a file has data, and where holes.

use std::fs::File;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// A part of a file that is either data or a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins.
    start: u64,
    /// Where it ends.
    pub end: u64,
    /// It is a hole, which reads as zeros.
    pub is_hole: bool,
}

/// The extents of a file, asked for as they are needed.
#[derive(Debug)]
pub struct Extents<'a> {
    file: &'a File,
    last: Option<Extent>,
}

impl<'a> Extents<'a> {
    /// Those of this file.
    #[must_use]
    pub fn new(file: &'a File) -> Self {
        Self { file, last: None }
    }

    /// The one that holds this position, of a part of the file that ends at `limit`.
    ///
    /// A filesystem that does not know its holes shows them as data.
    pub fn at(&mut self, position: u64, limit: u64) -> Extent {
        if let Some(last) = self.last.filter(|last| (last.start..last.end).contains(&position)) {
            return last;
        }
        let extent = self.ask(position, limit);
        self.last = Some(extent);
        extent
    }

    fn ask(&self, position: u64, limit: u64) -> Extent {
        let until = |end: u64, is_hole| Extent {
            start: position,
            end: end.clamp(position.saturating_add(1), limit.max(position.saturating_add(1))),
            is_hole,
        };
        match seek(self.file, SeekFrom::Data(position)) {
            Ok(data) if data > position => until(data, true),
            Ok(_) => until(seek(self.file, SeekFrom::Hole(position)).unwrap_or(limit), false),
            // No data follows.
            Err(Errno::NXIO) => until(limit, true),
            // Reading says what is wrong.
            Err(_) => until(limit, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Extent, Extents};
    use std::os::unix::fs::FileExt as _;

    #[test]
    fn data_and_holes_follow_each_other_to_the_end() {
        let file = tempfile::tempfile().unwrap();
        let (step, length) = (1 << 20, 5 << 20);
        file.set_len(length).unwrap();
        file.write_all_at(&[7; 4096], step).unwrap();
        file.write_all_at(&[7; 4096], 3 * step).unwrap();
        let mut extents = Extents::new(&file);
        let (mut at, mut data, mut found) = (0, 0, Vec::new());
        while at < length {
            let Extent { end, is_hole, .. } = extents.at(at, length);
            assert!(end > at && end <= length);
            data += if is_hole { 0 } else { end - at };
            found.push(is_hole);
            at = end;
        }
        assert_eq!((found, data), (vec![true, false, true, false, true], 8192));
    }
}
