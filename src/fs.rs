//! Filesystem access: whatever others could swap is held by an open descriptor, not resolved by name twice.

pub mod attributes;
pub mod copy;
pub mod dir;
pub mod encryption;
pub mod extents;
pub mod fifo;
pub mod file_identity;
pub mod inside;
pub mod location;
pub mod lock;
pub mod nameless;
pub mod peer;
pub mod private_file;
pub mod reading;
pub mod remove;
pub mod resolve;
pub mod small_file;
pub mod space;
pub mod trust;
pub mod trusted;
pub mod walk;

use std::io;

/// The error numbers for no space and for an exceeded quota: 28 everywhere, 122 on Linux, 69 on Apple's systems.
const NO_ROOM: [i32; 3] = [28, 122, 69];

/// Whether an error number means that there is no space left. This is only true for operations that need space: create,
/// write, link or rename; from `setxattr` it may be a limit of the filesystem.
#[must_use]
pub fn says_no_room(number: i32) -> bool {
    NO_ROOM.contains(&number)
}

/// Whether one of our own operations failed for lack of space.
#[must_use]
pub fn is_no_room(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(says_no_room)
}
