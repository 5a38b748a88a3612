//! Reads small files that others may have planted: a link in their place is not followed, and a pipe does not block.

use std::io::{self, Read as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::fs::resolve;

/// Reads at most `most` bytes of a regular file and ignores the rest.
///
/// Errors if it is anything else: a link as the last component is not followed, nor, for root, one on the way that
/// another user could have planted, and a FIFO does not block.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = resolve::file(path, flags).map_err(|error| match error.raw_os_error() {
        Some(code) if code == Errno::ELOOP as i32 => io::Error::other("it is a symbolic link"),
        _ => error,
    })?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut content = Vec::new();
    file.take(most).read_to_end(&mut content)?;
    Ok(content)
}
