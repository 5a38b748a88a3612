//! Whether a filesystem that is not mounted was unmounted cleanly, as far as its superblock says.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// What speaks against it; `None` if nothing does or its type does not say (xfs and others).
pub fn look(device: &File, kind: &str) -> io::Result<Option<&'static str>> {
    let read = |at: u64, length: usize| {
        let mut bytes = vec![0; length];
        device.read_exact_at(&mut bytes, at).map(|()| bytes)
    };
    Ok(match kind {
        "ext2" | "ext3" | "ext4" => ext(&read(1024, 1024)?),
        "btrfs" => btrfs(&read(64 * 1024, 4096)?),
        "vfat" => fat(&read(0, 512)?),
        "exfat" => exfat(&read(0, 512)?),
        _ => None,
    })
}

const NOT_UNMOUNTED: &str = "it was not unmounted cleanly";

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn ext(superblock: &[u8]) -> Option<&'static str> {
    const MAGIC: u16 = 0xef53;
    const CLEAN: u16 = 1;
    const ERRORS: u16 = 2;
    /// The journal holds what is not in its place yet.
    const RECOVER: u16 = 4;
    let state = word(superblock, 0x3a).filter(|_| word(superblock, 0x38) == Some(MAGIC))?;
    if state & ERRORS != 0 {
        return Some("it is marked as damaged; check it with e2fsck");
    }
    let is_clean = state & CLEAN != 0 && word(superblock, 0x60)? & RECOVER == 0;
    (!is_clean).then_some(NOT_UNMOUNTED)
}

fn btrfs(superblock: &[u8]) -> Option<&'static str> {
    // The tree of what was flushed after the last commit; there is none after an unmount.
    let log_root = superblock.get(0x60..)?.first_chunk::<8>()?;
    (superblock.get(0x40..0x48)? == b"_BHRfS_M" && *log_root != [0; 8]).then_some(NOT_UNMOUNTED)
}

fn fat(sector: &[u8]) -> Option<&'static str> {
    const DIRTY: u8 = 1;
    // FAT32 has no count of sectors for a table here.
    let at = if word(sector, 0x16)? == 0 { 0x41 } else { 0x25 };
    (word(sector, 0x1fe) == Some(0xaa55) && sector.get(at)? & DIRTY != 0).then_some(NOT_UNMOUNTED)
}

fn exfat(sector: &[u8]) -> Option<&'static str> {
    const DIRTY: u16 = 2;
    (sector.get(3..11)? == b"EXFAT   " && word(sector, 0x6a)? & DIRTY != 0).then_some(NOT_UNMOUNTED)
}

#[cfg(test)]
mod tests {
    use super::{NOT_UNMOUNTED, btrfs, exfat, ext, fat};

    fn with(length: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; length];
        for (at, part) in parts {
            bytes[*at..*at + part.len()].copy_from_slice(part);
        }
        bytes
    }

    #[test]
    fn each_filesystem_says_it_in_its_way() {
        let of = |state: u8, incompat: u8| {
            ext(&with(1024, &[(0x38, &[0x53, 0xef]), (0x3a, &[state]), (0x60, &[incompat])]))
        };
        assert_eq!(of(1, 0xc2), None);
        assert_eq!(of(1, 0xc6), Some(NOT_UNMOUNTED));
        assert_eq!(of(0, 0), Some(NOT_UNMOUNTED));
        assert!(of(3, 0).unwrap().contains("damaged"));
        let magic: (usize, &[u8]) = (0x40, b"_BHRfS_M");
        assert_eq!(btrfs(&with(4096, &[magic])), None);
        assert_eq!(btrfs(&with(4096, &[magic, (0x60, &[1])])), Some(NOT_UNMOUNTED));
        let end: (usize, &[u8]) = (0x1fe, &[0x55, 0xaa]);
        assert_eq!(fat(&with(512, &[end, (0x41, &[1])])), Some(NOT_UNMOUNTED));
        assert_eq!(fat(&with(512, &[end, (0x16, &[9]), (0x25, &[1])])), Some(NOT_UNMOUNTED));
        assert_eq!(fat(&with(512, &[end, (0x16, &[9]), (0x41, &[1])])), None);
        let name: (usize, &[u8]) = (3, b"EXFAT   ");
        assert_eq!(exfat(&with(512, &[name, (0x6a, &[2])])), Some(NOT_UNMOUNTED));
    }

    #[test]
    fn garbage_and_less_say_nothing() {
        for length in [0, 1, 57, 97, 4096] {
            for bytes in [vec![0; length], vec![0xff; length]] {
                for look in [ext, btrfs, fat, exfat] {
                    assert_eq!(look(&bytes), None, "{length}");
                }
            }
        }
    }
}
