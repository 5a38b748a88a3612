//! The kernel's table of file locks, `/proc/locks`.

use crate::fs::dir::FileIdentity;

/// Whether anyone holds a lock on the whole file. A sample line is `1: FLOCK  ADVISORY  WRITE 1234 00:1a:56 0 EOF`,
/// with the device's major and minor number in hexadecimal and the inode number in decimal.
#[must_use]
pub fn is_held(table: &[u8], file: FileIdentity) -> bool {
    String::from_utf8_lossy(table).lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // A waiting lock has `->` as its second word.
        words.get(1) == Some(&"FLOCK") && words.get(5).and_then(|place| identity(place)) == Some(file)
    })
}

fn identity(place: &str) -> Option<FileIdentity> {
    let mut parts = place.split(':');
    let mut number = |radix| u64::from_str_radix(parts.next()?, radix).ok();
    let (major, minor, inode) = (number(16)?, number(16)?, number(10)?);
    Some(FileIdentity { device: device(major, minor), inode })
}

/// The device number as `stat` reports it on Linux (`makedev` of glibc and musl).
fn device(major: u64, minor: u64) -> u64 {
    (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & !0xff) << 12) | ((major & !0xfff) << 32)
}

#[cfg(test)]
mod tests {
    use super::{FileIdentity, is_held};

    const TABLE: &[u8] = b"1: FLOCK  ADVISORY  WRITE 1234 00:1a:56 0 EOF\n\
        1: -> FLOCK  ADVISORY  WRITE 1235 00:1a:57 0 EOF\n\
        2: POSIX  ADVISORY  WRITE 1236 08:01:58 0 EOF\n\
        3: FLOCK  ADVISORY  READ 1237 103:110:59 0 EOF\n\
        no line of the table\n";

    #[test]
    fn only_a_held_lock_of_the_whole_file_counts() {
        let held = |device, inode| is_held(TABLE, FileIdentity { device, inode });
        assert!(held(0x1a, 56));
        assert!(!held(0x1a, 57), "it waits");
        assert!(!held(0x801, 58), "of another kind");
        // `stat -c %d` prints this for device 0x103:0x110.
        assert!(held(0x0011_0310, 59));
        assert!(!held(0x1b, 56));
    }
}
