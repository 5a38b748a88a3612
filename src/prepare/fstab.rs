//! The lines of an fstab that a disk is laid out by.

use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::linux::mounts;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What is mounted, without quotes.
    pub device: String,
    /// Where; `none` for swap.
    pub point: PathBuf,
    /// The type.
    pub kind: String,
    options: Vec<String>,
}

/// Parses the table; a line that is not UTF-8 is read as far as it can be shown.
#[must_use]
pub fn read(text: &[u8]) -> Vec<Line> {
    let text = String::from_utf8_lossy(text);
    text.lines().map(str::trim).filter(|line| !line.starts_with('#')).filter_map(line).collect()
}

fn line(text: &str) -> Option<Line> {
    let mut words = text.split_whitespace();
    let device = words.next()?.replace('"', "");
    let point = mounts::unescape(words.next()?.as_bytes());
    let kind = words.next()?.to_owned();
    let options = words.next().unwrap_or("defaults").split(',').map(str::to_owned).collect();
    let device = String::from_utf8(mounts::unescape(device.as_bytes()).into_os_string().into_vec()).ok()?;
    Some(Line { device, point, kind, options })
}

impl Line {
    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|own| own == option)
    }

    /// Whether it names a filesystem on a disk, and not a directory, a file or the network.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let is_disk = self.device.contains('=') || self.device.starts_with("/dev/");
        let is_elsewhere = ["bind", "rbind", "loop", "_netdev"].iter().any(|option| self.has(option));
        is_disk && !is_elsewhere && self.point.is_absolute() && self.kind != "swap"
    }

    /// Whether the system starts without it.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.has("nofail") || self.has("noauto") && !self.has("x-systemd.automount")
    }

    /// Whether it is swap on a device that is not in memory.
    #[must_use]
    pub fn is_swap_device(&self) -> bool {
        let is_device = self.device.contains('=') || self.device.starts_with("/dev/");
        self.kind == "swap" && is_device && !self.device.starts_with("/dev/zram")
    }
}

#[cfg(test)]
mod tests {
    use super::read;

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
            .map(|line| format!("{} {} {}", line.device, line.point.display(), line.is_optional()))
            .collect();
        let expected =
            ["UUID=a / false", "/dev/sda1 /boot/efi false", "LABEL=a b /a b false", "/dev/sdb1 /usb true"];
        assert_eq!(local, expected);
        let swap: Vec<&str> =
            table.iter().filter(|line| line.is_swap_device()).map(|line| line.device.as_str()).collect();
        assert_eq!(swap, ["UUID=c"]);
    }
}
