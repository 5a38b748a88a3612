//! What `blkid -p -o udev` prints about a block device.

use crate::display;

/// What a device holds, and the partition that it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Probed {
    /// The type of the filesystem or of what else is there, such as `ext4`, `swap`, `crypto_LUKS`, `LVM2_member`.
    pub kind: Option<String>,
    /// `filesystem`, `raid`, `crypto` or `other`.
    pub usage: Option<String>,
    /// The UUID of that.
    pub uuid: Option<String>,
    /// The UUID of this device of a filesystem that may have several.
    pub device_uuid: Option<String>,
    /// The label.
    pub label: Option<String>,
    /// The partition's UUID.
    pub part_uuid: Option<String>,
    /// The partition's name.
    pub part_label: Option<String>,
    /// The partition's type.
    pub part_type: Option<String>,
    /// The type of the partition table that it holds.
    pub table: Option<String>,
}

/// Parses it. Values that are not UTF-8 are left out: nobody can have typed them.
#[must_use]
pub fn read(printed: &[u8]) -> Probed {
    let value = |name: &str| {
        let line = printed
            .split(|byte| *byte == b'\n')
            .find_map(|line| line.strip_prefix(name.as_bytes()).and_then(|line| line.strip_prefix(b"=")))?;
        let value = String::from_utf8(display::decode_hex(line)?).ok()?;
        (!value.is_empty()).then_some(value)
    };
    Probed {
        kind: value("ID_FS_TYPE"),
        usage: value("ID_FS_USAGE"),
        uuid: value("ID_FS_UUID_ENC"),
        device_uuid: value("ID_FS_UUID_SUB_ENC"),
        label: value("ID_FS_LABEL_ENC"),
        part_uuid: value("ID_PART_ENTRY_UUID"),
        part_label: value("ID_PART_ENTRY_NAME"),
        part_type: value("ID_PART_ENTRY_TYPE"),
        table: value("ID_PART_TABLE_TYPE"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Probed, read};

    #[test]
    fn everything_is_read() {
        // As util-linux 2.38 prints it.
        let printed = "ID_FS_LABEL=a_b\"ü\\x\nID_FS_LABEL_ENC=a\\x20b\\x22ü\\x5cx\nID_FS_UUID=0a7232ee\n\
            ID_FS_UUID_ENC=0a7232ee-2bcb-423b-99fe-88097d61b459\nID_FS_VERSION=1.0\nID_FS_BLOCK_SIZE=1024\n\
            ID_FS_TYPE=ext4\nID_FS_USAGE=filesystem\nID_PART_ENTRY_SCHEME=gpt\nID_PART_ENTRY_NAME=foo\\x20bar\n\
            ID_PART_ENTRY_UUID=55ab765a-043f-b94b-90c4-78c6e72b5bfc\n\
            ID_PART_ENTRY_TYPE=0fc63daf-8483-4772-8e79-3d69d8477de4\nID_PART_ENTRY_NUMBER=1\n";
        let some = |text: &str| Some(text.to_owned());
        let expected = Probed {
            kind: some("ext4"),
            usage: some("filesystem"),
            uuid: some("0a7232ee-2bcb-423b-99fe-88097d61b459"),
            device_uuid: None,
            label: some("a b\"ü\\x"),
            part_uuid: some("55ab765a-043f-b94b-90c4-78c6e72b5bfc"),
            part_label: some("foo bar"),
            part_type: some("0fc63daf-8483-4772-8e79-3d69d8477de4"),
            table: None,
        };
        assert_eq!(read(printed.as_bytes()), expected);
    }

    #[test]
    fn nothing_and_garbage_hold_nothing() {
        assert_eq!(read(b""), Probed::default());
        assert_eq!(
            read(b"\xff\xfe=\nID_FS_TYPE\nID_FS_TYPE=\nID_FS_LABEL_ENC=\\xff\n=\n"),
            Probed::default()
        );
        assert_eq!(read(b"ID_FS_LABEL_ENC=a\\x4\n").label.as_deref(), None);
    }
}
