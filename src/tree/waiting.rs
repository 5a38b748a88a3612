//! Directories that wait to be read, stored compactly: one directory may hold millions of them.

use std::ffi::{CStr, CString};
use std::io;

/// The sides on which a directory is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// At the source.
    pub source: bool,
    /// At the destination.
    pub destination: bool,
}

/// The names of waiting directories; the last one added is the first taken.
#[derive(Debug, Default)]
pub struct Names {
    /// For each: its name, a zero byte, and a byte for its sides.
    bytes: Vec<u8>,
    count: usize,
}

impl Names {
    /// Adds a name; fails without memory.
    pub fn add(&mut self, name: &CStr, waits: Waits) -> io::Result<()> {
        let name = name.to_bytes_with_nul();
        self.bytes.try_reserve(name.len() + 1).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.bytes.extend_from_slice(name);
        self.bytes.push(FIRST | u8::from(waits.source) | u8::from(waits.destination) << 1);
        self.count += 1;
        Ok(())
    }

    /// Takes the last name.
    pub fn take(&mut self) -> Option<(CString, Waits)> {
        let sides = self.bytes.pop()?;
        let end = self.bytes.len().checked_sub(1)?;
        // Behind the zero byte before it stands a byte that is not part of the name.
        let start = self.bytes[..end].iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 2);
        let name = CString::from_vec_with_nul(self.bytes.split_off(start)).ok()?;
        self.count -= 1;
        Some((name, Waits { source: sides & 1 != 0, destination: sides & 2 != 0 }))
    }

    /// How many wait.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Keeps the byte for the sides from being zero, which separates names.
const FIRST: u8 = 1 << 7;

#[cfg(test)]
mod tests {
    use super::{Names, Waits};
    use std::ffi::CString;

    #[test]
    fn names_wait_in_the_room_that_they_need() {
        let mut names = Names::default();
        let given: Vec<(CString, Waits)> = (0..1000)
            .map(|number| {
                let waits = Waits { source: number % 2 == 0, destination: number % 3 == 0 };
                (CString::new(format!("n\n{number}")).unwrap(), waits)
            })
            .collect();
        for (name, waits) in &given {
            names.add(name, *waits).unwrap();
        }
        let length = given.iter().map(|(name, _)| name.as_bytes_with_nul().len() + 1).sum::<usize>();
        assert_eq!(names.bytes.len(), length);
        for (left, expected) in given.iter().enumerate().rev() {
            assert_eq!(names.take().as_ref(), Some(expected));
            assert_eq!((names.count(), names.is_empty()), (left, left == 0));
        }
        assert_eq!(names.take(), None);
    }
}
