//! The sockets that servers listen on, from `/proc/net/unix`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// The flag of a socket that listens (`__SO_ACCEPTCON`).
const LISTENS: &[u8] = b"00010000";

/// The first number that is given to a person; below it are the system's own users.
pub const FIRST_ORDINARY_USER: u32 = 1000;

/// The paths of the listening stream sockets. Those without a path, or with a relative one, cannot be found again.
#[must_use]
pub fn listening(table: &[u8]) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        table.split(|byte| *byte == b'\n').filter_map(read_line).filter(|path| path.is_absolute()).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Reads `Num RefCount Protocol Flags Type St Inode Path`; the path may hold spaces.
fn read_line(line: &[u8]) -> Option<PathBuf> {
    let mut rest = line;
    let mut word = || {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        rest = tail;
        word
    };
    let columns: [&[u8]; 7] = std::array::from_fn(|_| word());
    let path = rest.strip_prefix(b" ")?;
    (columns[3] == LISTENS && columns[4] == b"0001").then(|| PathBuf::from(OsStr::from_bytes(path)))
}

#[cfg(test)]
mod tests {
    use super::listening;
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
        let expected = ["/run/a b/.s.PGSQL.5432", "/run/mysqld/mysqld.sock"].map(PathBuf::from);
        assert_eq!(listening(TABLE), expected);
        assert_eq!(listening(b"\n\n0: 1\n"), [] as [PathBuf; 0]);
    }
}
