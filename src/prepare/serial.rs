//! What a disk is known by: its serial number and its World Wide Name, as the kernel and udev report them.

use std::fs;
use std::path::Path;

/// The most that is read of a file of the kernel, in bytes.
const MOST: usize = 4096;

/// The numbers that its maker gave to a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Serial {
    /// Its serial number.
    pub number: Option<String>,
    /// Its World Wide Name, such as `0x5000c500a1b2c3d4` or `eui.0025385b21404321`.
    pub wwn: Option<String>,
    /// Its model.
    pub model: Option<String>,
}

/// Reads them: `dir` is the disk's directory in `/sys`, `udev` what udev knows of it.
#[must_use]
pub fn read(dir: &Path, udev: &Path) -> Serial {
    let udev = fs::read_to_string(udev).unwrap_or_default();
    let of_udev = |name: &str| {
        let line =
            udev.lines().find_map(|line| line.strip_prefix("E:")?.strip_prefix(name)?.strip_prefix('='));
        line.and_then(clean)
    };
    let of_kernel = |name: &str| text(&dir.join(name));
    let number = of_udev("ID_SERIAL_SHORT")
        .or_else(|| of_kernel("serial"))
        .or_else(|| of_kernel("device/serial"))
        .or_else(|| page_80(&dir.join("device/vpd_pg80")))
        .or_else(|| of_usb(dir));
    let wwn = of_udev("ID_WWN_WITH_EXTENSION")
        .or_else(|| of_udev("ID_WWN"))
        .or_else(|| of_kernel("wwid").or_else(|| of_kernel("device/wwid")).and_then(|id| name(&id)));
    Serial { number, wwn, model: of_kernel("device/model").or_else(|| of_kernel("device/name")) }
}

/// The kernel's spelling of a World Wide Name as everybody else writes it; `None` for what is none.
fn name(id: &str) -> Option<String> {
    match id.strip_prefix("naa.") {
        Some(digits) => Some(format!("0x{digits}")),
        None => (id.starts_with("eui.") || id.starts_with("nvme.") || id.starts_with("uuid."))
            .then(|| id.to_owned()),
    }
}

fn text(path: &Path) -> Option<String> {
    clean(&fs::read_to_string(path).ok()?)
}

/// What can be read and typed: disks pad their numbers with blanks and zero bytes.
fn clean(text: &str) -> Option<String> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    let is_fine = text.chars().any(|c| c.is_ascii_alphanumeric()) && text.len() <= MOST;
    // A row of zeros or the like is what makers put there who have no number.
    let is_number = text.chars().collect::<std::collections::BTreeSet<_>>().len() > 1;
    (is_fine && is_number && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

/// The serial number on page 80 of SCSI's product data: four bytes, of which the last is the length, and the text.
fn page_80(path: &Path) -> Option<String> {
    let page = fs::read(path).ok()?;
    let length = usize::from(*page.get(3)?);
    clean(std::str::from_utf8(page.get(4..)?.get(..length)?).ok()?)
}

/// The serial number of the USB device that the disk is.
fn of_usb(dir: &Path) -> Option<String> {
    let device = fs::canonicalize(dir.join("device")).ok()?;
    let usb = device.ancestors().find(|above| above.join("idVendor").exists())?;
    text(&usb.join("serial"))
}

#[cfg(test)]
mod tests {
    use super::{Serial, read};
    use std::fs;

    fn scene(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Serial) {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let serial = read(&dir.path().join("sda"), &dir.path().join("udev"));
        (dir, serial)
    }

    fn numbers(files: &[(&str, &[u8])]) -> (Option<String>, Option<String>) {
        let (_dir, serial) = scene(files);
        (serial.number, serial.wwn)
    }

    #[allow(clippy::unnecessary_wraps, reason = "it is what numbers are compared with")]
    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn each_kind_of_disk_is_known() {
        let sata: &[(&str, &[u8])] = &[
            ("sda/device/vpd_pg80", b"\0\x80\0\x14      S5Y1NJ0R123456"),
            ("sda/device/wwid", b"naa.5002538f41234567\n"),
        ];
        assert_eq!(numbers(sata), (some("S5Y1NJ0R123456"), some("0x5002538f41234567")));
        let nvme: &[(&str, &[u8])] =
            &[("sda/device/serial", b"S4EWNX0M  \n"), ("sda/wwid", b"eui.0025385b21404321\n")];
        assert_eq!(numbers(nvme), (some("S4EWNX0M"), some("eui.0025385b21404321")));
        assert_eq!(numbers(&[("sda/serial", b"virtio-1")]), (some("virtio-1"), None));
        let known: &[(&str, &[u8])] = &[
            (
                "udev",
                b"S:disk/by-id/x\nE:ID_SERIAL=Model_ABC123\nE:ID_SERIAL_SHORT=ABC123\nE:ID_WWN=0x5000c5001\n",
            ),
            ("sda/device/vpd_pg80", b"\0\x80\0\x03DEF"),
        ];
        assert_eq!(numbers(known), (some("ABC123"), some("0x5000c5001")));
    }

    #[test]
    fn a_usb_stick_has_the_number_of_its_usb_device() {
        let dir = tempfile::tempdir().unwrap();
        let usb = dir.path().join("usb1/1-4");
        fs::create_dir_all(usb.join("1-4:1.0/host0/target/block")).unwrap();
        fs::write(usb.join("idVendor"), "0781\n").unwrap();
        fs::write(usb.join("serial"), "4C530001\n").unwrap();
        fs::create_dir(dir.path().join("sda")).unwrap();
        std::os::unix::fs::symlink(usb.join("1-4:1.0/host0/target"), dir.path().join("sda/device")).unwrap();
        assert_eq!(read(&dir.path().join("sda"), &dir.path().join("none")).number, some("4C530001"));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for nothing in [&b""[..], b"  \n", b"0000000000\n", b"\0\0", b"---", b"a\x1b[2Jb"] {
            assert_eq!(numbers(&[("sda/serial", nothing)]).0, None, "{nothing:?}");
        }
        for page in [&b""[..], b"\0\x80\0\xffABC", b"\0\x80\0\x03\xff\xff\xff"] {
            assert_eq!(numbers(&[("sda/device/vpd_pg80", page)]).0, None, "{page:?}");
        }
        assert_eq!(numbers(&[("sda/device/wwid", b"t10.ATA     x\n")]).1, None);
    }
}
