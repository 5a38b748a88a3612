//! Whether a volume ignores ownership, from the output of `vsdbutil` and `diskutil`.

use plist::Value;

use crate::macos::property_list::dictionary;
use crate::marker::identity::read_uuid;

/// The answer of `vsdbutil -c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permissions {
    /// Ownership is kept.
    Enabled,
    /// "Ignore ownership on this volume".
    Disabled,
    /// The volume is not in the database.
    NoEntry,
}

/// Parses it. A volume without a UUID is reported on standard error, with exit code 0. `None` for anything else.
#[must_use]
pub fn read_vsdbutil(out: &[u8], err: &[u8], succeeded: bool) -> Option<Permissions> {
    let (out, err) = (String::from_utf8_lossy(out), String::from_utf8_lossy(err));
    // The volume's name comes before these words, so only the end of a line is compared.
    let ends = |text: &str, words: &str| text.lines().any(|line| line.trim_end().ends_with(words));
    if !succeeded {
        return out
            .lines()
            .chain(err.lines())
            .any(|line| line.starts_with("No entry found"))
            .then_some(Permissions::NoEntry);
    }
    if ends(&out, "are enabled.") {
        Some(Permissions::Enabled)
    } else if ends(&out, "are disabled.") || ends(&err, "permissions are disabled.") {
        Some(Permissions::Disabled)
    } else {
        None
    }
}

/// What `diskutil info -plist` reports about a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Volume {
    /// Whether ownership is kept, if reported.
    pub permissions_enabled: Option<bool>,
    /// The volume is a sealed system volume.
    pub sealed: bool,
    /// The UUID of its filesystem, if it has one.
    pub uuid: Option<String>,
}

impl Volume {
    /// Parses it; `None` if it is not a property list.
    #[must_use]
    pub fn read(printed: &[u8]) -> Option<Self> {
        let list = dictionary(printed)?;
        let sealed = list.get("Sealed").is_some_and(|sealed| {
            sealed.as_boolean() == Some(true) || sealed.as_string().is_some_and(|sealed| sealed != "No")
        });
        let permissions_enabled = list.get("GlobalPermissionsEnabled").and_then(Value::as_boolean);
        let uuid = list.get("VolumeUUID").and_then(Value::as_string).and_then(read_uuid);
        Some(Self { permissions_enabled, sealed, uuid })
    }
}

#[cfg(test)]
mod tests {
    use super::{Permissions, Volume, read_vsdbutil};

    #[test]
    fn vsdbutils_answers_are_told_apart() {
        let of = |out: &str, err: &str, succeeded| read_vsdbutil(out.as_bytes(), err.as_bytes(), succeeded);
        assert_eq!(of("Permissions on '/Volumes/X' are enabled.\n", "", true), Some(Permissions::Enabled));
        assert_eq!(of("Permissions on '/Volumes/X' are disabled.\n", "", true), Some(Permissions::Disabled));
        assert_eq!(
            of("Permissions on '/Volumes/are disabled.' are enabled.\n", "", true),
            Some(Permissions::Enabled)
        );
        assert_eq!(
            of("", "vsdbutil: no UUID: permissions are disabled.\n", true),
            Some(Permissions::Disabled)
        );
        assert_eq!(of("No entry found for '/Volumes/X'.\n", "", false), Some(Permissions::NoEntry));
        assert_eq!(of("", "Segmentation fault\n", false), None);
    }

    #[test]
    fn diskutils_list_is_read() {
        let list = |inner: &str| {
            format!("<?xml version=\"1.0\"?><plist version=\"1.0\"><dict>{inner}</dict></plist>")
        };
        let of = |inner: &str| Volume::read(list(inner).as_bytes()).unwrap();
        assert_eq!(of("<key>GlobalPermissionsEnabled</key><false/>").permissions_enabled, Some(false));
        assert_eq!(of("<key>GlobalPermissionsEnabled</key><true/>").permissions_enabled, Some(true));
        assert!(of("<key>Sealed</key><string>Yes</string>").sealed);
        assert!(of("<key>Sealed</key><string>Broken</string>").sealed);
        assert!(!of("<key>Sealed</key><string>No</string>").sealed);
        let uuid = "8A7C5C2E-90A5-4B8F-B7E5-0123456789AB";
        assert_eq!(of(&format!("<key>VolumeUUID</key><string>{uuid}</string>")).uuid.as_deref(), Some(uuid));
        assert_eq!(of("<key>VolumeUUID</key><string>\n\u{1b}</string>").uuid, None);
        assert_eq!(of(""), Volume::default());
        assert_eq!(Volume::read(b"Could not find disk"), None);
    }
}
