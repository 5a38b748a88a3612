//! The disks of a Mac, from `diskutil list -plist` and `diskutil info -plist`.

use std::path::PathBuf;

use plist::{Dictionary, Value};

use crate::macos::property_list::dictionary;
use crate::plan::tag::Tag;

/// A volume, or a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disk {
    /// Its identifier, such as `disk2s1`.
    pub identifier: String,
    /// The UUID of its filesystem.
    pub volume_uuid: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// The UUID of the partition.
    pub disk_uuid: Option<String>,
    /// Where it is mounted.
    pub mount_point: Option<PathBuf>,
}

impl Disk {
    /// Whether this tag names it.
    #[must_use]
    pub fn is(&self, tag: &Tag) -> bool {
        let same_uuid = |found: &Option<String>, wanted: &str| {
            found.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(wanted))
        };
        match tag {
            Tag::Uuid(uuid) => same_uuid(&self.volume_uuid, uuid),
            Tag::PartUuid(uuid) => same_uuid(&self.disk_uuid, uuid),
            Tag::Label(name) => self.name.as_deref() == Some(name),
            Tag::PartLabel(_) | Tag::Device(_) => false,
        }
    }

    fn of(entry: &Dictionary) -> Option<Self> {
        let text = |key: &str| {
            let value = entry.get(key).and_then(Value::as_string)?;
            (!value.is_empty()).then(|| value.to_owned())
        };
        let identifier = text("DeviceIdentifier")?;
        // It becomes an argument.
        if !identifier.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        Some(Self {
            identifier,
            volume_uuid: text("VolumeUUID"),
            name: text("VolumeName"),
            disk_uuid: text("DiskUUID"),
            mount_point: text("MountPoint").map(PathBuf::from).filter(|point| point.is_absolute()),
        })
    }
}

/// Reads `diskutil list -plist`; `None` if it is not a property list.
#[must_use]
pub fn list(printed: &[u8]) -> Option<Vec<Disk>> {
    let list = dictionary(printed)?;
    let mut found = Vec::new();
    for whole in list.get("AllDisksAndPartitions")?.as_array()?.iter().filter_map(Value::as_dictionary) {
        let parts = ["Partitions", "APFSVolumes"].into_iter().filter_map(|key| whole.get(key)?.as_array());
        found.extend(Disk::of(whole));
        found.extend(parts.flatten().filter_map(Value::as_dictionary).filter_map(Disk::of));
    }
    Some(found)
}

/// Reads where a volume is mounted from `diskutil info -plist`; `None` if it is not.
#[must_use]
pub fn mount_point(printed: &[u8]) -> Option<PathBuf> {
    Disk::of(&dictionary(printed)?)?.mount_point
}

#[cfg(test)]
mod tests {
    use super::{list, mount_point};
    use crate::plan::tag::Tag;

    const LIST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>AllDisks</key><array><string>disk2</string></array>
<key>AllDisksAndPartitions</key><array><dict><key>Content</key><string>GUID_partition_scheme</string>
<key>DeviceIdentifier</key><string>disk2</string><key>Partitions</key><array>
<dict><key>DeviceIdentifier</key><string>disk2s1</string><key>VolumeName</key><string>EFI</string>
<key>DiskUUID</key><string>AAAA-01</string></dict>
<dict><key>DeviceIdentifier</key><string>disk2s2</string><key>VolumeName</key><string>Clone</string>
<key>VolumeUUID</key><string>BBBB-02</string><key>MountPoint</key><string>/Volumes/Clone</string></dict>
</array></dict><dict><key>DeviceIdentifier</key><string>disk3</string><key>APFSVolumes</key><array>
<dict><key>DeviceIdentifier</key><string>disk3s1</string><key>VolumeName</key><string>Clone</string>
<key>VolumeUUID</key><string>CCCC-03</string></dict></array></dict></array></dict></plist>"#;

    #[test]
    fn every_volume_is_found_by_its_tags() {
        let disks = list(LIST.as_bytes()).unwrap();
        let of = |tag: &Tag| -> Vec<&str> {
            disks.iter().filter(|disk| disk.is(tag)).map(|disk| disk.identifier.as_str()).collect()
        };
        assert_eq!(of(&Tag::Uuid("bbbb-02".to_owned())), ["disk2s2"]);
        assert_eq!(of(&Tag::Label("Clone".to_owned())), ["disk2s2", "disk3s1"]);
        assert_eq!(of(&Tag::PartUuid("AAAA-01".to_owned())), ["disk2s1"]);
        assert!(of(&Tag::Uuid("x".to_owned())).is_empty());
        assert!(disks[2].mount_point.is_some() && disks[4].mount_point.is_none());
        assert_eq!(list(b"garbage"), None);
        assert_eq!(mount_point(LIST.as_bytes()), None);
    }
}
