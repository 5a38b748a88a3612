//! The table of filesystems mounted at boot, `/etc/fstab`.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use crate::linux::mounts::unescape;

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What is mounted: `UUID=…`, `LABEL=…` or a device path, without quotes and escapes.
    pub device: OsString,
    /// Its mount point, without a slash at the end; `none` for swap.
    pub point: PathBuf,
    /// Its type; empty if the line ends before it.
    pub kind: String,
    options: Vec<String>,
}

/// Parses the table; comments and lines without a mount point are skipped.
#[must_use]
pub fn read(text: &[u8]) -> Vec<Entry> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.starts_with(b"#")).filter_map(entry).collect()
}

fn entry(line: &[u8]) -> Option<Entry> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    // `systemd.mount(5)` and `mount(8)` allow quotes around the value of a tag.
    let device: Vec<u8> = words.next()?.iter().copied().filter(|byte| *byte != b'"').collect();
    let device = unescape(&device).into_os_string();
    let point = unescape(words.next()?).components().collect();
    let kind = String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
    let options = String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
    Some(Entry { device, point, kind, options: options.split(',').map(str::to_owned).collect() })
}

/// The entry for a mount point.
#[must_use]
pub fn of<'a>(entries: &'a [Entry], point: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.point == Path::new(point))
}

impl Entry {
    /// Whether it has this option.
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|own| own == option)
    }

    /// Whether it is mounted somewhere, and not swap.
    #[must_use]
    pub fn is_mounted(&self) -> bool {
        self.point.components().next() == Some(Component::RootDir) && !self.is_swap()
    }

    /// Whether it is swap.
    #[must_use]
    pub fn is_swap(&self) -> bool {
        self.kind == "swap"
    }

    /// Whether it is in compressed memory.
    #[must_use]
    pub fn is_zram(&self) -> bool {
        self.device.as_encoded_bytes().starts_with(b"/dev/zram")
    }

    fn is_device(&self) -> bool {
        let device = self.device.as_encoded_bytes();
        device.contains(&b'=') || device.starts_with(b"/dev/")
    }

    /// Whether it names a filesystem on a disk, and not a directory, a file or the network.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let is_elsewhere = ["bind", "rbind", "loop", "_netdev"].iter().any(|option| self.has(option));
        self.is_device() && !is_elsewhere && self.is_mounted()
    }

    /// Whether the system starts without it.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.has("nofail") || self.has("noauto") && !self.has("x-systemd.automount")
    }

    /// Whether it is swap on a device that is not in memory.
    #[must_use]
    pub fn is_swap_device(&self) -> bool {
        self.is_swap() && self.is_device() && !self.is_zram()
    }
}

#[cfg(test)]
mod tests {
    use super::{of, read};

    const TABLE: &[u8] = b"# <file system> <mount point>   <type>\n\
        UUID=\"0a3407de-014b-458b-b5c1-848e92a327a3\" /\text4 errors=remount-ro 0 1\n\
        \n  #UUID=gone /gone ext4\n\
        /dev/sda2 none swap sw 0 0\n\
        LABEL=A\\040B /a\\040b/ xfs defaults\n\
        lonely\n";

    #[test]
    fn each_mount_point_has_its_line() {
        let table = read(TABLE);
        assert_eq!(table.iter().filter(|entry| entry.is_mounted()).count(), 2, "{table:?}");
        assert_eq!(of(&table, "/").unwrap().device, "UUID=0a3407de-014b-458b-b5c1-848e92a327a3");
        assert_eq!(of(&table, "/a b").unwrap().device, "LABEL=A B");
        assert_eq!(of(&table, "/gone"), None);
    }

    #[test]
    fn lines_are_what_they_are() {
        let table = read(
            b"# <file system>\nUUID=\"a\" / ext4 defaults 0 1\n/dev/sda1 /boot/efi vfat noauto,x-systemd.automount\n\
              LABEL=a\\040b /a\\040b xfs\nUUID=c none swap sw\n/swapfile none swap sw\n/dev/zram0 none swap\n\
              server:/x /net nfs\n/dev/sdb1 /usb ext4 nofail\n/home /srv none bind\ntmpfs /tmp tmpfs\nshort /\n",
        );
        let local: Vec<String> = table
            .iter()
            .filter(|line| line.is_local())
            .map(|line| format!("{} {} {}", line.device.display(), line.point.display(), line.is_optional()))
            .collect();
        let expected =
            ["UUID=a / false", "/dev/sda1 /boot/efi false", "LABEL=a b /a b false", "/dev/sdb1 /usb true"];
        assert_eq!(local, expected);
        let swap: Vec<_> =
            table.iter().filter(|line| line.is_swap_device()).map(|line| &line.device).collect();
        assert_eq!(swap, ["UUID=c"]);
    }
}
