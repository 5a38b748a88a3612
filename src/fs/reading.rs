//! Reads files to the end without leaving traces: no access time changes where that can be helped.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::fs::dir::UNNOTICED;

/// Opens a regular file of an open directory: never follows a link and never blocks. `None` if something else is there.
pub fn open(parent: impl AsFd, name: &CStr) -> io::Result<Option<File>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let opened = match openat(&parent, name, flags | UNNOTICED, Mode::empty()) {
        // Only the owner and root may open it that way.
        Err(Errno::EPERM) if !UNNOTICED.is_empty() => openat(&parent, name, flags, Mode::empty()),
        opened => opened,
    };
    let file = match opened {
        Ok(file) => File::from(file),
        Err(Errno::ELOOP | Errno::ENXIO | Errno::ENODEV | Errno::EOPNOTSUPP) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Reads from this position until the buffer is full or the file ends; returns how much was read.
pub fn fill(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Asks the device for this part of a file, without waiting for it.
#[cfg(target_os = "linux")]
pub fn ahead(file: &File, position: u64, length: u64) {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    let (Ok(position), Ok(length)) = (i64::try_from(position), i64::try_from(length)) else { return };
    // Only advice: without it the next read waits longer.
    let _ = posix_fadvise(file, position, length, PosixFadviseAdvice::POSIX_FADV_WILLNEED);
}

/// Other systems read ahead by themselves.
#[cfg(not(target_os = "linux"))]
pub fn ahead(_file: &File, _position: u64, _length: u64) {}
