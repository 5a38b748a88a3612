//! A filesystem named by what it is: `UUID=…`, `LABEL=…`, `PARTUUID=…`, `PARTLABEL=…`, or a link in `/dev/disk`.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::display;

/// What a filesystem, or the partition that holds it, is named by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// The filesystem's UUID.
    Uuid(String),
    /// The filesystem's label.
    Label(String),
    /// The partition's UUID.
    PartUuid(String),
    /// The partition's name.
    PartLabel(String),
    /// A path below `/dev`.
    Device(PathBuf),
}

/// Text that begins like a tag and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotATag {
    /// Nothing follows the equals sign.
    #[error("its value is empty")]
    Empty,
    /// More than any filesystem or partition has.
    #[error("its value is longer than any filesystem's")]
    TooLong,
    /// Something else than letters, digits and hyphens in a UUID.
    #[error("a UUID has only letters, digits and hyphens")]
    NotAUuid,
    /// A control character, or bytes that are not UTF-8.
    #[error("its value has characters that no label has")]
    NotALabel,
}

/// The longest value, in bytes: labels of btrfs have 255 at most.
const LONGEST: usize = 255;

/// Where udev links to devices.
const BY: &str = "/dev/disk/";

impl Tag {
    /// Reads a tag, or a path below `/dev/disk`; `None` for anything else, such as another path.
    pub fn read(text: &OsStr) -> Option<Result<Self, NotATag>> {
        let bytes = text.as_bytes();
        if let Some(way) = bytes.strip_prefix(BY.as_bytes()) {
            return Some(Ok(Self::linked(text, way)));
        }
        let at = bytes.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (&bytes[..at], unquoted(&bytes[at + 1..]));
        match name {
            b"UUID" => Some(uuid(value).map(Self::Uuid)),
            b"PARTUUID" => Some(uuid(value).map(Self::PartUuid)),
            b"LABEL" => Some(label(value).map(Self::Label)),
            b"PARTLABEL" => Some(label(value).map(Self::PartLabel)),
            _ => None,
        }
    }

    /// Reads a tag or any path below `/dev`.
    #[must_use]
    pub fn read_or_device(text: &OsStr) -> Option<Result<Self, NotATag>> {
        Self::read(text)
            .or_else(|| Path::new(text).starts_with("/dev").then(|| Ok(Self::Device(PathBuf::from(text)))))
    }

    /// What a link below `/dev/disk` stands for: by its name where that says it, since two devices may claim one link.
    fn linked(text: &OsStr, way: &[u8]) -> Self {
        let named = |prefix: &[u8]| display::decode_hex(way.strip_prefix(prefix)?);
        let of = |prefix, read: fn(&[u8]) -> Result<String, NotATag>| read(&named(prefix)?).ok();
        None.or_else(|| of(b"by-uuid/", uuid).map(Self::Uuid))
            .or_else(|| of(b"by-partuuid/", uuid).map(Self::PartUuid))
            .or_else(|| of(b"by-label/", label).map(Self::Label))
            .or_else(|| of(b"by-partlabel/", label).map(Self::PartLabel))
            .unwrap_or_else(|| Self::Device(PathBuf::from(text)))
    }
}

/// As in fstab, a value may be quoted.
fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

fn uuid(value: &[u8]) -> Result<String, NotATag> {
    let value = label(value)?;
    let is_fine = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_fine { Ok(value) } else { Err(NotATag::NotAUuid) }
}

fn label(value: &[u8]) -> Result<String, NotATag> {
    if value.is_empty() {
        return Err(NotATag::Empty);
    }
    if value.len() > LONGEST {
        return Err(NotATag::TooLong);
    }
    let text = std::str::from_utf8(value).map_err(|_| NotATag::NotALabel)?;
    if text.chars().any(char::is_control) { Err(NotATag::NotALabel) } else { Ok(text.to_owned()) }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = match self {
            Self::Uuid(value) => ("UUID", value),
            Self::Label(value) => ("LABEL", value),
            Self::PartUuid(value) => ("PARTUUID", value),
            Self::PartLabel(value) => ("PARTLABEL", value),
            Self::Device(path) => return display::path(path).fmt(formatter),
        };
        write!(formatter, "{name}={}", display::name(OsStr::new(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::{NotATag, Tag};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    fn read(text: &str) -> Option<Result<Tag, NotATag>> {
        Tag::read(OsStr::new(text))
    }

    #[test]
    fn every_spelling_is_read() {
        let uuid = "0a3407de-014b-458b-b5c1-848e92a327a3";
        for text in [format!("UUID={uuid}"), format!("UUID=\"{uuid}\""), format!("/dev/disk/by-uuid/{uuid}")]
        {
            assert_eq!(read(&text), Some(Ok(Tag::Uuid(uuid.to_owned()))), "{text}");
        }
        assert_eq!(read("UUID=12AB-34CD"), Some(Ok(Tag::Uuid("12AB-34CD".to_owned()))));
        let label = Some(Ok(Tag::Label("my clone".to_owned())));
        assert_eq!(read("LABEL=my clone"), label);
        assert_eq!(read(r"/dev/disk/by-label/my\x20clone"), label);
        assert_eq!(read("PARTUUID=aa-01"), Some(Ok(Tag::PartUuid("aa-01".to_owned()))));
        assert_eq!(read("PARTLABEL=a=b"), Some(Ok(Tag::PartLabel("a=b".to_owned()))));
        let by_id = "/dev/disk/by-id/usb-Disk-0:0-part1";
        assert_eq!(read(by_id), Some(Ok(Tag::Device(by_id.into()))));
        for path in ["/mnt/UUID", "./UUID=x", "/dev/sdb1", "uuid=x", "/a=b", ""] {
            assert_eq!(read(path), None, "{path}");
        }
        assert!(matches!(Tag::read_or_device(OsStr::new("/dev/sdb1")), Some(Ok(Tag::Device(_)))));
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        assert_eq!(read("UUID="), Some(Err(NotATag::Empty)));
        assert_eq!(read("LABEL=\"\""), Some(Err(NotATag::Empty)));
        assert_eq!(read("UUID=a/b"), Some(Err(NotATag::NotAUuid)));
        assert_eq!(read("LABEL=a\nb"), Some(Err(NotATag::NotALabel)));
        assert_eq!(Tag::read(OsStr::from_bytes(b"LABEL=\xff")), Some(Err(NotATag::NotALabel)));
        assert_eq!(read(&format!("LABEL={}", "x".repeat(256))), Some(Err(NotATag::TooLong)));
    }

    #[test]
    fn a_tag_is_shown_escaped() {
        assert_eq!(Tag::Label("a\u{202e}b".to_owned()).to_string(), "LABEL=a\\#342\\#200\\#256b");
    }
}
