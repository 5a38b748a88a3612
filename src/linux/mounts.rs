//! The kernel's table of mounts, `/proc/self/mountinfo`, and what its entries say about owners.

use std::path::{Path, PathBuf};

/// An entry of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The mount's number.
    pub id: u64,
    /// The filesystem's device, as `MAJOR:MINOR`.
    pub device_number: String,
    /// The folder of the filesystem that is mounted.
    pub root: PathBuf,
    /// Where it is mounted.
    pub point: PathBuf,
    /// The filesystem's type, such as `ext4` or `fuse.sshfs`.
    pub kind: String,
    /// What is mounted, such as `/dev/sda1`.
    pub device: String,
    /// The options of this mount and of its filesystem, separated by commas.
    pub options: String,
}

/// The whole table: `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue` is a line of it.
#[must_use]
pub fn read(mountinfo: &[u8]) -> Vec<Mount> {
    String::from_utf8_lossy(mountinfo).lines().filter_map(Mount::read).collect()
}

impl Mount {
    fn read(line: &str) -> Option<Self> {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut mount = mount.split(' ');
        let id = mount.next()?.parse().ok()?;
        let device_number = mount.nth(1)?.to_owned();
        let (root, point) = (unescape(mount.next()?), unescape(mount.next()?));
        let options = mount.next()?;
        let mut filesystem = filesystem.split(' ');
        let (kind, device) = (filesystem.next()?.to_owned(), filesystem.next()?.to_owned());
        let options = format!("{options},{}", filesystem.next().unwrap_or(""));
        Some(Self { id, device_number, root, point, kind, device, options })
    }

    /// Virtual filesystems hold nothing that could be lost.
    fn is_real(&self) -> bool {
        self.device.starts_with('/') || self.device.contains(":/") || self.kind == "zfs"
    }

    /// The folders that an overlay puts together, the writable one among them; none for any other filesystem.
    #[must_use]
    pub fn layers(&self) -> Vec<PathBuf> {
        let lower = self.overlay_option("lowerdir=").chain(self.overlay_option("lowerdir+="));
        let lower = lower.flat_map(|list| list.split(':')).filter(|path| !path.is_empty()).map(unescape);
        self.upper_layer().into_iter().chain(lower).collect()
    }

    /// The folder that an overlay writes to, if it is an overlay and writes anywhere.
    #[must_use]
    pub fn upper_layer(&self) -> Vec<PathBuf> {
        self.overlay_option("upperdir=").map(unescape).collect()
    }

    fn overlay_option<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let is_overlay = self.kind == "overlay";
        self.options
            .split(',')
            .filter(move |_| is_overlay)
            .filter_map(move |option| option.strip_prefix(name))
    }

    /// Whether rsync goes on into `other` with `--one-file-system`: to it, each subvolume of btrfs is a filesystem.
    fn goes_on_into(&self, other: &Self) -> bool {
        self.device_number == other.device_number && (self.kind != "btrfs" || self.root == other.root)
    }
}

/// The mounts of real filesystems below `source`, which lies on the mount `id`, that a clone of it leaves out.
///
/// Only the table is read: a look at a dead network mount would hang.
#[must_use]
pub fn left_out<'a>(table: &'a [Mount], id: u64, source: &Path) -> Vec<&'a Mount> {
    let Some(home) = table.iter().find(|mount| mount.id == id) else { return Vec::new() };
    let is_below = |mount: &&Mount| mount.point.starts_with(source) && mount.point != source;
    table.iter().filter(is_below).filter(|mount| mount.is_real() && !home.goes_on_into(mount)).collect()
}

/// Where `path`, which lies on the mount `id`, is on its filesystem: the device's number and the path there.
#[must_use]
pub fn locate<'a>(table: &'a [Mount], id: u64, path: &Path) -> Option<(&'a str, PathBuf)> {
    let mount = table.iter().find(|mount| mount.id == id)?;
    let place = mount.root.join(path.strip_prefix(&mount.point).ok()?);
    Some((&mount.device_number, place))
}

/// The name below `/dev` of a block device, from its `uevent` in `/sys/dev/block/MAJOR:MINOR`.
#[must_use]
pub fn device_name(uevent: &str) -> Option<&str> {
    uevent.lines().find_map(|line| line.strip_prefix("DEVNAME=")).filter(|name| !name.is_empty())
}

/// The table writes space, tab, newline and backslash as three octal digits behind a backslash.
pub(super) fn unescape(word: &str) -> PathBuf {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    PathBuf::from(
        escapes.iter().fold(word.to_owned(), |name, (escape, character)| name.replace(escape, character)),
    )
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

/// Filesystems that store what they are given, each byte in a place of its own.
const STORES_AS_GIVEN: [&str; 11] =
    ["ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "f2fs", "jfs", "nilfs2", "reiserfs", "hfsplus"];

/// Filesystems whose number of inodes is fixed; others make them as long as there is room.
const FIXED_INODES: [&str; 4] = ["ext2", "ext3", "ext4", "tmpfs"];

impl Mount {
    /// Whether a file takes up about as much as it holds: nothing is compressed or stored only once behind our back, as
    /// zfs does, and what is behind a network or FUSE may.
    #[must_use]
    pub fn keeps_sizes(&self) -> bool {
        let compresses = |option: &str| option.starts_with("compress") && option != "compress=no";
        STORES_AS_GIVEN.contains(&self.kind.as_str()) && !self.options.split(',').any(compresses)
    }

    /// Whether the number of free inodes that it tells is all that there will be.
    #[must_use]
    pub fn has_fixed_inodes(&self) -> bool {
        FIXED_INODES.contains(&self.kind.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Mount, Ownership, device_name, left_out, locate, mount_id, read};
    use std::path::{Path, PathBuf};

    const TABLE: &[u8] = b"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro\n\
        3 22 7:0 / /mnt/a\\040b rw - vfat /dev/loop0 rw,fmask=0022\n\
        30 22 0:44 /sub /mnt/c rw - btrfs /dev/loop1 rw\n\
        31 22 8:1 / /mnt/d rw,nosuid - fuseblk /dev/sda1 rw,user_id=0,default_permissions\n\
        32 22 8:2 / /mnt/e rw,nosuid - fuseblk /dev/sda2 rw,user_id=0\n\
        33 22 0:50 / /mnt/f rw - fuse.sshfs a@b:/ rw\n\
        34 22 254:0 /srv /mnt/g rw - ext4 /dev/vda rw\n\
        35 22 0:5 / /mnt/proc rw - proc proc rw\n\
        36 30 0:44 /other /mnt/c/other rw - btrfs /dev/loop1 rw\n\
        not a line of the table\n";

    fn find(id: u64) -> Mount {
        read(TABLE).into_iter().find(|mount| mount.id == id).unwrap()
    }

    #[test]
    fn each_mount_tells_about_owners() {
        let of = |id| find(id).ownership();
        assert_eq!(of(22), Ownership::Kept);
        assert!(matches!(of(3), Ownership::Ignored(why) if why.contains("vfat")));
        assert_eq!(of(30), Ownership::Kept);
        assert_eq!(of(31), Ownership::Unknown);
        assert!(matches!(of(32), Ownership::Ignored(_)));
        assert_eq!(of(33), Ownership::Unknown);
    }

    #[test]
    fn what_may_compress_is_told() {
        let of = |kind: &str, options: &str| {
            Mount { kind: kind.to_owned(), options: options.to_owned(), ..find(22) }.keeps_sizes()
        };
        assert!(of("ext4", "rw") && of("xfs", "rw") && of("btrfs", "rw,relatime,subvol=/"));
        assert!(!of("btrfs", "rw,compress=zstd:3") && !of("btrfs", "rw,compress-force=lzo"));
        assert!(!of("f2fs", "rw,compress_algorithm=lz4") && !of("zfs", "rw") && !of("fuse.sshfs", "rw"));
        assert!(find(22).has_fixed_inodes() && !find(30).has_fixed_inodes());
    }

    #[test]
    fn what_a_clone_of_one_filesystem_leaves_out_is_found() {
        let table = read(TABLE);
        let of = |id, source| {
            left_out(&table, id, Path::new(source))
                .into_iter()
                .map(|mount| mount.point.clone())
                .collect::<Vec<_>>()
        };
        let all = ["/mnt/a b", "/mnt/c", "/mnt/d", "/mnt/e", "/mnt/f", "/mnt/c/other"].map(PathBuf::from);
        assert_eq!(of(22, "/"), all, "neither the source's own device nor a virtual filesystem");
        assert_eq!(of(30, "/mnt/c"), [PathBuf::from("/mnt/c/other")], "another subvolume");
        assert_eq!(of(3, "/mnt/a b"), [] as [PathBuf; 0]);
    }

    #[test]
    fn another_way_to_a_folder_is_the_same_place() {
        let table = read(TABLE);
        let of =
            |id, path| locate(&table, id, Path::new(path)).map(|(device, place)| (device.to_owned(), place));
        let expected = Some(("254:0".to_owned(), PathBuf::from("/srv/data")));
        assert_eq!(of(22, "/srv/data"), expected);
        assert_eq!(of(34, "/mnt/g/data"), expected);
        assert_eq!(of(34, "/elsewhere"), None);
    }

    #[test]
    fn the_layers_of_an_overlay_are_read() {
        let of =
            |options: &str| Mount { kind: "overlay".to_owned(), options: options.to_owned(), ..find(22) };
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        let whole = of("rw,lowerdir=/a\\040b:/c,upperdir=/u,workdir=/w");
        assert_eq!(whole.layers(), paths(&["/u", "/a b", "/c"]));
        assert_eq!(whole.upper_layer(), paths(&["/u"]));
        assert_eq!(of("ro,lowerdir+=/a,lowerdir+=/b").layers(), paths(&["/a", "/b"]));
        assert_eq!(of("ro,lowerdir=/a").upper_layer(), paths(&[]));
        assert_eq!(Mount { options: "rw,upperdir=/u".to_owned(), ..find(22) }.layers(), paths(&[]));
    }

    #[test]
    fn a_devices_name_is_read() {
        assert_eq!(device_name("MAJOR=7\nMINOR=3\nDEVNAME=loop3\nDEVTYPE=disk\n"), Some("loop3"));
        assert_eq!(device_name("MAJOR=7\nDEVNAME=\n"), None);
        assert_eq!(device_name(""), None);
    }

    #[test]
    fn the_mount_of_an_open_file_is_read() {
        assert_eq!(mount_id("pos:\t0\nflags:\t0100000\nmnt_id:\t29\nino:\t2\n"), Some(29));
        assert_eq!(mount_id("pos:\t0\n"), None);
    }
}
