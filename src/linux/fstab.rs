//! The table of filesystems mounted at boot, `/etc/fstab`.

use std::path::{Path, PathBuf};

use crate::linux::mounts::unescape;

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What is mounted, as written there: `UUID=…`, `LABEL=…` or a device path.
    pub device: String,
    /// Its mount point.
    pub point: PathBuf,
}

/// Parses the table; comments and lines without a mount point are skipped.
#[must_use]
pub fn read(text: &[u8]) -> Vec<Entry> {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.filter_map(entry).collect()
}

fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split_whitespace();
    let (device, point) = (words.next()?, unescape(words.next()?.as_bytes()));
    // `systemd.mount(5)` and `mount(8)` allow quotes around the value of a tag.
    point.is_absolute().then(|| Entry { device: device.replace('"', ""), point })
}

/// The entry for a mount point.
#[must_use]
pub fn of<'a>(entries: &'a [Entry], point: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.point == Path::new(point))
}

#[cfg(test)]
mod tests {
    use super::{of, read};

    const TABLE: &[u8] = b"# <file system> <mount point>   <type>\n\
        UUID=\"0a3407de-014b-458b-b5c1-848e92a327a3\" /\text4 errors=remount-ro 0 1\n\
        \n  #UUID=gone /gone ext4\n\
        /dev/sda2 none swap sw 0 0\n\
        LABEL=A\\040B /a\\040b xfs defaults\n\
        lonely\n";

    #[test]
    fn each_mount_point_has_its_line() {
        let table = read(TABLE);
        assert_eq!(table.len(), 2, "{table:?}");
        assert_eq!(of(&table, "/").unwrap().device, "UUID=0a3407de-014b-458b-b5c1-848e92a327a3");
        assert_eq!(of(&table, "/a b").unwrap().device, "LABEL=A\\040B");
        assert_eq!(of(&table, "/gone"), None);
    }
}
