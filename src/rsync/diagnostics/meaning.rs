//! What an error number means, depending on the operation that failed.

use crate::fs::says_no_room;
use crate::rsync::diagnostics::message::{Message, Operation, Role};

/// Something that the destination's filesystem cannot store, however much space it has.
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
    /// The property of the filesystem, as part of a sentence.
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
    /// The destination cannot store this.
    Limit(Limit),
    /// Something in the source is no longer what it was when rsync listed it.
    Changed,
    /// Nothing beyond the message itself.
    Nothing,
}

/// E2BIG, ERANGE and others that `setxattr` returns beyond the filesystem's limit, with plenty of space left.
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
/// The result of opening a socket.
const ENXIO: i32 = 6;
/// ENOENT, ENOTDIR, EISDIR, ELOOP (Linux, Apple), ENODATA (Linux, Apple): for an entry of the source these mean that
/// something was removed, replaced by another type, or truncated.
const CHANGED: [i32; 7] = [2, 20, 21, 40, 62, 61, 96];
/// Error numbers of a lost device or mount: EIO, ENXIO, ENODEV, and, depending on the system, ESTALE and ENOTCONN.
const DEVICE_GONE: [i32; 8] = [5, 6, 19, 116, 70, 107, 57, 108];

/// The one table of conclusions from (operation, error number).
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

/// Whether the device may be gone: what rsync finds in place of a socket in the source is no indication.
pub fn device_gone(message: &Message<'_>) -> bool {
    DEVICE_GONE.contains(&message.errno) && meaning(message) != Meaning::Changed
}

#[cfg(test)]
mod tests {
    use super::Limit;
    use crate::rsync::diagnostics::tests::read;

    /// What a message says about the destination: a limit and its path, or lack of space.
    fn limit_of(line: &str) -> (Option<Limit>, Vec<String>, bool) {
        let found = read(line);
        let limited = found.limited.as_ref();
        let examples = limited.map(|limited| limited.examples.clone()).unwrap_or_default();
        (limited.map(|limited| limited.limit), examples, found.no_room.is_some())
    }

    #[test]
    fn an_error_number_is_read_by_its_operation() {
        for (line, limit, path) in [
            (
                "rsync: [receiver] rsync_xal_set: fsetxattr(\"/d/f\",\"user.x\") failed: No space left on device (28)",
                Limit::Attributes,
                "/d/f",
            ),
            (
                "rsync: rsync_xal_set: lsetxattr(\"\"/d/f\"\",\"user.x\") failed: Disk quota exceeded (122)",
                Limit::Attributes,
                "/d/f",
            ),
            (
                "rsync: [generator] rsync_xal_set: lsetxattr(\"/d/f\",\"user.x\") failed: Argument list too long (7)",
                Limit::Attributes,
                "/d/f",
            ),
            (
                "rsync: [generator] set_acl: sys_acl_set_file(f, ACL_TYPE_ACCESS): No space left on device (28)",
                Limit::Attributes,
                "f",
            ),
            (
                "rsync: [generator] link \"/d/l \"1\"\" => l/9999 failed: Too many links (31)",
                Limit::Links,
                "/d/l \"1\"",
            ),
            ("rsync: link \"/d/l\" => l/9 \"x\" failed: Too many links (31)", Limit::Links, "/d/l"),
            (
                "rsync: [generator] recv_generator: mkdir \"/d/s\" failed: Too many links (31)",
                Limit::Links,
                "/d/s",
            ),
            (
                "rsync: [receiver] mkstemp \"/d/.long.Ab12Cd\" failed: File name too long (36)",
                Limit::NameLength,
                "/d/long",
            ),
            (
                "rsync: [generator] symlink \"/d/l\" -> \"far\" failed: File name too long (36)",
                Limit::NameLength,
                "/d/l",
            ),
            ("rsync: [receiver] write failed on \"/d/big\": File too large (27)", Limit::FileSize, "/d/big"),
            (
                "rsync: [receiver] mkstemp \"/d/.a:b.Ab12Cd\" failed: Invalid argument (22)",
                Limit::Names,
                "/d/a:b",
            ),
            (
                "rsync: [generator] failed to set times on \"/d/f\": Invalid argument (22)",
                Limit::Times,
                "/d/f",
            ),
        ] {
            assert_eq!(limit_of(line), (Some(limit), vec![path.to_owned()], false), "{line}");
        }
        for line in [
            "rsync: [receiver] mkstemp \"/d/.f.Ab12Cd\" failed: No space left on device (28)",
            "rsync: [generator] symlink \"/d/l\" -> \"x\" failed: Disk quota exceeded (122)",
            "rsync: [generator] link \"/d/l\" => x failed: No space left on device (28)",
            "rsync: [generator] mknod \"/d/p\" failed: No space left on device (28)",
            "rsync: [receiver] rename \"/d/.f.Ab12Cd\" -> \"f\": No space left on device (28)",
            "rsync: [receiver] fsync failed on \"/d/f\": Disk quota exceeded (122)",
            "rsync: [generator] delete_file: unlink(f) failed: No space left on device (28)",
        ] {
            let (limit, _, no_room) = limit_of(line);
            assert_eq!((limit, no_room), (None, true), "{line}");
        }
        for line in [
            "rsync: [sender] readlink_stat(\"/s/f\") failed: File name too long (36)",
            "rsync: [sender] send_files failed to open \"/s/f\": No space left on device (28)",
            "rsync: [generator] set_acl: sys_acl_set_file(f, ACL_TYPE_ACCESS): Operation not supported (95)",
            "rsync: [receiver] rsync_xal_set: fsetxattr(\"/d/f\",\"user.x\") failed: Permission denied (13)",
        ] {
            assert_eq!(limit_of(line), (None, Vec::new(), false), "{line}");
        }
    }

    #[test]
    fn changes_of_the_source_are_told_from_what_is_worse() {
        const GONE: &str = "No such file or directory (2)";
        for (line, path) in [
            (format!("rsync: get_acl: sys_acl_get_file(d/f, ACL_TYPE_ACCESS): {GONE}"), "d/f"),
            (format!("rsync: [sender] get_acl: sys_acl_get_file(d, ACL_TYPE_DEFAULT): {GONE}"), "d"),
            (format!("rsync: [sender] get_xattr_names: llistxattr(\"/s/f\",1024) failed: {GONE}"), "/s/f"),
            (format!("rsync: get_xattr_data: lgetxattr(\"\"/s/f\"\",\"user.x\",0) failed: {GONE}"), "/s/f"),
            (format!("rsync: [sender] readlink_stat(\"/s/f\") failed: {GONE}"), "/s/f"),
            (format!("rsync: [sender] opendir \"/s/d\" failed: {GONE}"), "/s/d"),
            ("rsync: [sender] opendir \"/s/d\" failed: Not a directory (20)".to_owned(), "/s/d"),
            ("rsync: [sender] read errors mapping \"/s/log\": No data available (61)".to_owned(), "/s/log"),
            ("ERROR: log failed verification -- update discarded.".to_owned(), "log"),
            (
                "rsync: [sender] send_files failed to open \"/s/f\": No such device or address (6)"
                    .to_owned(),
                "/s/f",
            ),
        ] {
            let text = line.clone()
                + "\nrsync error: some files/attrs were not transferred (see previous errors) (code 23) at \
                   main.c(1394) [sender=3.5.0]";
            assert_eq!(read(&text).only_changes(), Some(&[path.as_bytes().to_vec()][..]), "{line}");
            assert!(!read(&text).device_gone, "{line}");
            for worse in [
                "rsync: [receiver] mkstemp \"/d/.f.Ab12Cd\" failed: Permission denied (13)",
                "rsync: [sender] send_files failed to open \"/s/g\": Permission denied (13)",
                "rsync: [sender] read errors mapping \"/s/g\": Input/output error (5)",
                "*** Skipping any contents from this failed directory ***",
                "something that nobody has seen before",
                "filename overflows max-path len by 1: d/f",
            ] {
                assert_eq!(read(&format!("{line}\n{worse}")).only_changes(), None, "{worse}");
            }
        }
        let writer = format!("rsync: [generator] get_acl: sys_acl_get_file(f, ACL_TYPE_ACCESS): {GONE}");
        assert_eq!(read(&writer).only_changes(), None);
        let line = |number| format!("rsync: [sender] readlink_stat(\"/s/{number}\") failed: {GONE}");
        let many = (0..1001).map(line).collect::<Vec<_>>().join("\n");
        assert_eq!(read(&many).only_changes(), None);
    }
}
