//! Compares the contents of two files, each read from its device.

use std::fs::File;
use std::io;

use crate::fs::dir::forget_cached;
use crate::fs::extents::Extents;
use crate::fs::reading;
use crate::process::interrupts::Interrupts;
use crate::tree::sides::Side;

/// How much is compared at once, in bytes.
const WINDOW: usize = 256 << 10;

/// Differing bytes that are no farther apart than this count as one range: what a device has lost, it has lost in sectors,
/// and some of their bytes are equal by chance.
const APART: u64 = 512;

/// What differs between two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Where the first differing range begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
    /// How many bytes differ in all.
    pub bytes: u64,
}

/// What comparing two files has come to.
#[derive(Debug)]
pub enum Compared {
    /// They are equal, or differ by this.
    Read(Option<Difference>),
    /// A file cannot be read at this position.
    Failed(Side, u64, io::Error),
    /// A signal has asked us to stop.
    Interrupted,
}

/// The memory in which two files are compared.
#[derive(Debug, Default)]
pub struct Buffers {
    source: Vec<u8>,
    copy: Vec<u8>,
}

/// Compares two files of these lengths. `count` gets the number of bytes of the source that were compared.
pub fn compare(
    (source, copy): (&File, &File),
    (source_length, copy_length): (u64, u64),
    buffers: &mut Buffers,
    interrupts: &Interrupts,
    count: &dyn Fn(u64),
) -> Compared {
    // What was just written would be read from memory, whatever the disk has kept.
    forget_cached(copy);
    buffers.source.resize(WINDOW, 0);
    buffers.copy.resize(WINDOW, 0);
    let common = source_length.min(copy_length);
    let (mut here, mut there) = (Extents::new(source), Extents::new(copy));
    let (mut found, mut at) = (Found::default(), 0);
    while at < common {
        if interrupts.received().is_some() {
            return Compared::Interrupted;
        }
        let (one, other) = (here.at(at, common), there.at(at, common));
        let end = one.end.min(other.end);
        if one.is_hole && other.is_hole {
            at = end;
            continue;
        }
        let end = end.min(at + WINDOW as u64);
        let length = usize::try_from(end - at).unwrap_or(WINDOW).min(WINDOW);
        // Both devices are at work before either is waited for.
        for (file, extent) in [(source, one), (copy, other)] {
            if !extent.is_hole {
                reading::ahead(file, at, 2 * WINDOW as u64);
            }
        }
        let sides = [
            (Side::Source, source, one, &mut buffers.source),
            (Side::Destination, copy, other, &mut buffers.copy),
        ];
        for (side, file, extent, buffer) in sides {
            let buffer = &mut buffer[..length];
            let read = if extent.is_hole { Ok(0) } else { reading::fill(file, buffer, at) };
            match read {
                // A hole, or a file that has become shorter, reads as zeros.
                Ok(read) => buffer[read..].fill(0),
                Err(error) => return Compared::Failed(side, at, error),
            }
        }
        found.add(at, &buffers.source[..length], &buffers.copy[..length]);
        count(length as u64);
        at = end;
    }
    found.add_range(common, source_length.abs_diff(copy_length));
    // What was read once is not needed again, and would take the place of what is.
    forget_cached(copy);
    Compared::Read(found.difference())
}

/// The differences found so far.
#[derive(Debug, Default)]
struct Found {
    /// The first range, from and to.
    first: Option<(u64, u64)>,
    /// It has ended.
    is_over: bool,
    bytes: u64,
}

impl Found {
    fn add(&mut self, at: u64, source: &[u8], copy: &[u8]) {
        if source == copy {
            return;
        }
        for (index, _) in source.iter().zip(copy).enumerate().filter(|(_, (one, other))| one != other) {
            self.add_range(at + index as u64, 1);
        }
    }

    fn add_range(&mut self, at: u64, length: u64) {
        if length == 0 {
            return;
        }
        self.bytes += length;
        match &mut self.first {
            None => self.first = Some((at, at + length)),
            Some((_, end)) if !self.is_over && at - *end <= APART => *end = at + length,
            Some(_) => self.is_over = true,
        }
    }

    fn difference(&self) -> Option<Difference> {
        self.first.map(|(start, end)| Difference { offset: start, length: end - start, bytes: self.bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::{Difference, Found};

    #[test]
    fn ranges_end_where_enough_is_equal() {
        let source = vec![1; 4096];
        let mut copy = source.clone();
        for at in [10, 11, 20, 1000] {
            copy[at] = 0;
        }
        let mut found = Found::default();
        assert_eq!(found.difference(), None);
        found.add(100, &source, &source);
        assert_eq!(found.difference(), None);
        found.add(100, &source, &copy);
        found.add_range(9000, 5);
        assert_eq!(found.difference(), Some(Difference { offset: 110, length: 11, bytes: 9 }));
    }
}
