//! Files that have no name, in memory or not yet.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Creates one.
#[cfg(target_os = "linux")]
pub fn create() -> io::Result<OwnedFd> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    Ok(memfd_create(c"counterpart", MFdFlags::MFD_CLOEXEC)?)
}

/// Other systems have no such call.
#[cfg(not(target_os = "linux"))]
pub fn create() -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Creates a file for its owner alone on the filesystem of a directory. It is gone if it gets no name.
#[cfg(target_os = "linux")]
pub fn create_in(directory: impl AsFd) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, openat};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(File::from(openat(directory, c".", flags, Mode::RUSR | Mode::WUSR)?))
}

/// Other systems have no such call.
#[cfg(not(target_os = "linux"))]
pub fn create_in(_directory: impl AsFd) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Gives it a name, which nothing may have yet. Requires `CAP_DAC_READ_SEARCH`.
#[cfg(target_os = "linux")]
pub fn give_name(file: &File, directory: impl AsFd, name: &CStr) -> io::Result<()> {
    use rustix::fs::{AtFlags, linkat};
    Ok(linkat(file, c"", directory, name, AtFlags::EMPTY_PATH)?)
}

/// Other systems have no such call.
#[cfg(not(target_os = "linux"))]
pub fn give_name(_file: &File, _directory: impl AsFd, _name: &CStr) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
