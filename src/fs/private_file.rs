//! Reads files that hold a secret: whoever else could read or write one is refused, and so is all that is not a file.

use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use crate::display;
use crate::fs::resolve;

/// Reads a file of at most `most` bytes that belongs to root or to the user `account` and is closed to all others.
///
/// Errors with the end of a sentence whose subject is the file.
pub fn read(path: &Path, account: u32, most: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let wrong = |error: io::Error| format!("cannot be read ({})", display::reason(&error));
    let file = resolve::file(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).map_err(wrong)?;
    let metadata = file.metadata().map_err(wrong)?;
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    // An access control list shows up in the group bits.
    if (metadata.uid() != 0 && metadata.uid() != account) || metadata.mode() & 0o077 != 0 {
        let owner = if account == 0 { "root" } else { "root or this user" };
        return Err(format!("must belong to {owner} and be closed to others (chmod 600)"));
    }
    // The full size at once: a growing vector would leave copies behind.
    let room = usize::try_from(metadata.len().min(most)).unwrap_or_default();
    let mut content = Zeroizing::new(Vec::with_capacity(room + 1));
    file.take(most + 1).read_to_end(&mut content).map_err(wrong)?;
    match content.len() as u64 {
        0 => Err("is empty".to_owned()),
        length if length <= most => Ok(content),
        _ => Err(format!("is larger than {most} bytes")),
    }
}
