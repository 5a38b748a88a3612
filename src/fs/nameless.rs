//! A file in memory that has no name.

use std::io;
use std::os::fd::OwnedFd;

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
