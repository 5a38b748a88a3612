//! The hash of a file's contents, and of a link's target.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;

use nix::fcntl::readlinkat;

use crate::fs::extents::Extents;
use crate::fs::reading;
use crate::process::interrupts::Interrupts;
use crate::verify::hashes::entry::HASH;

/// How much is read at once, in bytes.
const WINDOW: usize = 256 << 10;

/// Why there is no hash.
#[derive(Debug)]
pub enum NoHash {
    /// The file cannot be read at this position.
    Failed(u64, io::Error),
    /// A signal has asked us to stop.
    Interrupted,
}

/// The hash of a file of this length. `count` gets the number of bytes that were read; holes are not.
pub fn of_file(
    file: &File,
    length: u64,
    interrupts: &Interrupts,
    count: &dyn Fn(u64),
) -> Result<[u8; HASH], NoHash> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; WINDOW.min(usize::try_from(length).unwrap_or(WINDOW))];
    let (mut extents, mut at) = (Extents::new(file), 0);
    while at < length {
        if interrupts.received().is_some() {
            return Err(NoHash::Interrupted);
        }
        let extent = extents.at(at, length);
        let left = extent.end.min(length) - at;
        let part = usize::try_from(left).unwrap_or(WINDOW).min(buffer.len());
        let part = &mut buffer[..part];
        if extent.is_hole {
            part.fill(0);
        } else {
            reading::ahead(file, at, 2 * WINDOW as u64);
            let read = reading::fill(file, part, at).map_err(|error| NoHash::Failed(at, error))?;
            // A file that has become shorter reads as zeros.
            part[read..].fill(0);
            count(read as u64);
        }
        hasher.update(part);
        at += part.len() as u64;
    }
    Ok(*hasher.finalize().as_bytes())
}

/// The hash of a symbolic link's target.
pub fn of_link(dir: impl AsFd, name: &CStr) -> io::Result<[u8; HASH]> {
    let target = readlinkat(dir, name)?;
    Ok(*blake3::hash(target.as_bytes()).as_bytes())
}
