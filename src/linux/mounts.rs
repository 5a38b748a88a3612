//! The kernel's table of mounts, `/proc/self/mountinfo`, and what its entries say about owners.

/// An entry of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The filesystem's type, such as `ext4` or `fuse.sshfs`.
    pub kind: String,
    /// The options of this mount and of its filesystem, separated by commas.
    pub options: String,
}

/// Whether owners are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// They are.
    Kept,
    /// They are not, and why.
    Ignored(String),
    /// That has to be tried.
    Unknown,
}

/// The number of the mount that an open file belongs to, from `/proc/self/fdinfo/N`.
#[must_use]
pub fn mount_id(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("mnt_id:")).and_then(|id| id.trim().parse().ok())
}

/// The entry of a mount: `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
#[must_use]
pub fn find(mountinfo: &[u8], id: u64) -> Option<Mount> {
    let id = id.to_string();
    let text = String::from_utf8_lossy(mountinfo);
    let line = text.lines().find(|line| line.split(' ').next() == Some(id.as_str()))?;
    let (mount, filesystem) = line.split_once(" - ")?;
    let options = mount.split(' ').nth(5)?;
    let mut filesystem = filesystem.split(' ');
    let kind = filesystem.next()?.to_owned();
    Some(Mount { kind, options: format!("{options},{}", filesystem.nth(1).unwrap_or("")) })
}

/// Filesystems that keep owners.
const KEEPS: [&str; 13] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "zfs", "f2fs", "bcachefs", "jfs", "nilfs2", "reiserfs",
    "ramfs",
];

/// Filesystems that show one owner for everything.
const IGNORES: [&str; 8] = ["vfat", "msdos", "exfat", "ntfs", "ntfs3", "hfs", "umsdos", "fuse.exfat"];

impl Mount {
    /// What is known about owners on it.
    #[must_use]
    pub fn ownership(&self) -> Ownership {
        let kind = self.kind.as_str();
        // fuseblk is ntfs-3g as a rule; its option "permissions" appears as default_permissions.
        let is_plain_fuseblk =
            kind == "fuseblk" && !self.options.split(',').any(|option| option == "default_permissions");
        if KEEPS.contains(&kind) {
            Ownership::Kept
        } else if IGNORES.contains(&kind) || is_plain_fuseblk {
            Ownership::Ignored(format!(
                "its filesystem, {kind}, cannot keep owners. Use one such as ext4, xfs or btrfs."
            ))
        } else {
            Ownership::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ownership, find, mount_id};

    const TABLE: &[u8] = b"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro\n\
        3 22 7:0 / /mnt/a\\040b rw - vfat /dev/loop0 rw,fmask=0022\n\
        30 22 0:44 /sub /mnt/c rw - btrfs /dev/loop1 rw\n\
        31 22 8:1 / /mnt/d rw,nosuid - fuseblk /dev/sda1 rw,user_id=0,default_permissions\n\
        32 22 8:2 / /mnt/e rw,nosuid - fuseblk /dev/sda2 rw,user_id=0\n\
        33 22 0:50 / /mnt/f rw - fuse.sshfs a@b:/ rw\n";

    #[test]
    fn each_mount_tells_about_owners() {
        let of = |id| find(TABLE, id).unwrap().ownership();
        assert_eq!(of(22), Ownership::Kept);
        assert!(matches!(of(3), Ownership::Ignored(why) if why.contains("vfat")));
        assert_eq!(of(30), Ownership::Kept);
        assert_eq!(of(31), Ownership::Unknown);
        assert!(matches!(of(32), Ownership::Ignored(_)));
        assert_eq!(of(33), Ownership::Unknown);
        assert_eq!(find(TABLE, 2), None);
    }

    #[test]
    fn the_mount_of_an_open_file_is_read() {
        assert_eq!(mount_id("pos:\t0\nflags:\t0100000\nmnt_id:\t29\nino:\t2\n"), Some(29));
        assert_eq!(mount_id("pos:\t0\n"), None);
    }
}
