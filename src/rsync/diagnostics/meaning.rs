//! What an error number means for the operation that met it.

use super::message::{Message, Operation, Role};
use crate::host::space::says_no_room;

/// Something that the destination's filesystem cannot hold, however much room it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Extended attributes and access control lists of one file.
    Attributes,
    /// Hard links to one file.
    Links,
    /// The length of a name, or of a symbolic link's target.
    NameLength,
    /// The characters of a name.
    Names,
    /// The size of a file.
    FileSize,
    /// Times.
    Times,
}

impl Limit {
    /// What it is about the filesystem, as a part of a sentence.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::Attributes => {
                "its filesystem cannot keep that many or that large attributes (extended attributes, access control \
                 lists) on one file"
            }
            Self::Links => "its filesystem allows no more hard links to one file",
            Self::NameLength => "its filesystem allows no names or link targets of that length",
            Self::Names => "its filesystem does not take such names",
            Self::FileSize => "its filesystem allows no files of that size",
            Self::Times => "its filesystem cannot keep such times",
        }
    }
}

/// What a message means for the clone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The destination is full.
    NoRoom,
    /// The destination cannot hold this.
    Limit(Limit),
    /// Something at the source is not any more what it was when rsync listed it.
    Changed,
    /// Nothing more exact than the message itself.
    Nothing,
}

/// E2BIG, ERANGE, and what else `setxattr` says of attributes beyond the filesystem's limit, with plenty of room left.
const TOO_MANY_ATTRIBUTES: [i32; 2] = [7, 34];
/// EINVAL, ERANGE, EOVERFLOW on Linux and on Apple's systems.
const NO_SUCH_TIME: [i32; 4] = [22, 34, 75, 84];
/// EMLINK.
const TOO_MANY_LINKS: i32 = 31;
/// ENAMETOOLONG on Linux and on Apple's systems.
const NAME_TOO_LONG: [i32; 2] = [36, 63];
/// EINVAL, EILSEQ on Linux and on Apple's systems.
const NO_SUCH_NAME: [i32; 3] = [22, 84, 92];
/// EFBIG.
const FILE_TOO_LARGE: i32 = 27;
/// What opening a socket gives.
const ENXIO: i32 = 6;
/// ENOENT, ENOTDIR, EISDIR, ELOOP (Linux, Apple), ENODATA (Linux, Apple): of the source's entries these say that
/// something was removed, replaced by something of another kind, or truncated.
const CHANGED: [i32; 7] = [2, 20, 21, 40, 62, 61, 96];
/// Error numbers that a lost device or mount gives: EIO, ENXIO, ENODEV, and, by system, ESTALE and ENOTCONN.
const DEVICE_GONE: [i32; 8] = [5, 6, 19, 116, 70, 107, 57, 108];

/// The one table of what is concluded from (operation, error number).
pub fn meaning(message: &Message<'_>) -> Meaning {
    let errno = message.errno;
    match message.operation {
        Operation::Read | Operation::Look | Operation::ReadAttributes => {
            let is_changed = CHANGED.contains(&errno) || errno == ENXIO && message.is_of_opening();
            if message.role != Role::Writer && is_changed { Meaning::Changed } else { Meaning::Nothing }
        }
        Operation::SetAttributes if says_no_room(errno) || TOO_MANY_ATTRIBUTES.contains(&errno) => {
            Meaning::Limit(Limit::Attributes)
        }
        Operation::SetTimes if NO_SUCH_TIME.contains(&errno) => Meaning::Limit(Limit::Times),
        Operation::Create if NO_SUCH_NAME.contains(&errno) => Meaning::Limit(Limit::Names),
        Operation::Create | Operation::Write | Operation::Link if NAME_TOO_LONG.contains(&errno) => {
            Meaning::Limit(Limit::NameLength)
        }
        Operation::Create | Operation::Write | Operation::Link if errno == TOO_MANY_LINKS => {
            Meaning::Limit(Limit::Links)
        }
        Operation::Write if errno == FILE_TOO_LARGE => Meaning::Limit(Limit::FileSize),
        Operation::SetAttributes => Meaning::Nothing,
        Operation::Create
        | Operation::Write
        | Operation::Link
        | Operation::SetTimes
        | Operation::Delete
        | Operation::Save
        | Operation::Other => {
            if message.role != Role::Sender && says_no_room(errno) {
                return Meaning::NoRoom;
            }
            Meaning::Nothing
        }
    }
}

/// Whether the device may be gone: what rsync finds at a socket's place of the source is no such sign.
pub fn device_gone(message: &Message<'_>) -> bool {
    DEVICE_GONE.contains(&message.errno) && meaning(message) != Meaning::Changed
}
