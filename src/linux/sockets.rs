//! The listening sockets of servers, from `/proc/net/unix`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// The flag of a listening socket (`__SO_ACCEPTCON`).
const LISTENS: &[u8] = b"00010000";

/// The first user ID assigned to people; lower ones are system accounts.
pub const FIRST_ORDINARY_USER: u32 = 1000;

/// A listening stream socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listening {
    /// The path it is bound to; its creator may have put anything there.
    pub path: PathBuf,
    /// Its inode number, which identifies the process that holds it.
    pub inode: u64,
}

/// The listening sockets. Those without a path, or with a relative one, cannot be found again.
#[must_use]
pub fn listening(table: &[u8]) -> Vec<Listening> {
    table.split(|byte| *byte == b'\n').filter_map(read_line).collect()
}

/// The inode number in the target of a process's descriptor link: `socket:[4711]`.
#[must_use]
pub fn inode(target: &[u8]) -> Option<u64> {
    let digits = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Parses a line of the table, `Num RefCount Protocol Flags Type St Inode Path`; the path may contain spaces.
#[must_use]
pub fn read_line(line: &[u8]) -> Option<Listening> {
    let mut rest = line;
    let mut word = || {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        rest = tail;
        word
    };
    let columns: [&[u8]; 7] = std::array::from_fn(|_| word());
    let path = PathBuf::from(OsStr::from_bytes(rest.strip_prefix(b" ")?));
    let inode = std::str::from_utf8(columns[6]).ok()?.parse().ok()?;
    let is_meant = columns[3] == LISTENS && columns[4] == b"0001" && path.is_absolute();
    is_meant.then_some(Listening { path, inode })
}

#[cfg(test)]
mod tests {
    use super::{Listening, inode, listening};
    use std::path::PathBuf;

    const TABLE: &[u8] = b"Num       RefCount Protocol Flags    Type St Inode Path
00000000dd2fa4e1: 00000003 00000000 00000000 0001 03 547838
00000000897ab939: 00000002 00000000 00010000 0001 01  1675 /run/a b/.s.PGSQL.5432
00000000dafe5abf: 00000003 00000000 00000000 0001 03  1674 /run/a b/.s.PGSQL.5432
0000000089a46bd2: 00000002 00000000 00010000 0005 01 547837 /run/udev/control
00000000ab4a262a: 00000002 00000000 00010000 0001 01 547839 @abstract
00000000000c9b3c: 00000002 00000000 00010000 0001 01 547836 /run/mysqld/mysqld.sock
";

    #[test]
    fn only_listening_streams_with_a_path_are_found() {
        let expected = [("/run/a b/.s.PGSQL.5432", 1675), ("/run/mysqld/mysqld.sock", 547_836)]
            .map(|(path, inode)| Listening { path: PathBuf::from(path), inode });
        assert_eq!(listening(TABLE), expected);
        assert_eq!(listening(b"\n\n0: 1\n"), [] as [Listening; 0]);
    }

    #[test]
    fn a_descriptor_names_its_socket() {
        assert_eq!(inode(b"socket:[4711]"), Some(4711));
        for other in [b"pipe:[1]".as_slice(), b"socket:[x]", b"/socket:[1]", b""] {
            assert_eq!(inode(other), None);
        }
    }
}
