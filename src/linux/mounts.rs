//! The kernel's mount table, `/proc/self/mountinfo`, and what its entries imply about file ownership.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// An entry of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The mount ID.
    pub id: u64,
    /// The ID of the mount it is mounted on.
    pub parent: u64,
    /// Whether it follows mounts and unmounts in another mount namespace, as a slave of the mount there.
    pub follows: bool,
    /// The filesystem's device, as `MAJOR:MINOR`.
    pub device_number: String,
    /// The directory of the filesystem that is mounted.
    pub root: PathBuf,
    /// Where it is mounted.
    pub point: PathBuf,
    /// The filesystem's type, such as `ext4` or `fuse.sshfs`.
    pub kind: String,
    /// What is mounted, such as `/dev/sda1`.
    pub device: String,
    /// The options of this mount and of its filesystem, separated by commas, as they appear in the table.
    pub options: OsString,
}

/// Parses the table. A sample line is `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
#[must_use]
pub fn read(mountinfo: &[u8]) -> Vec<Mount> {
    mountinfo.split(|byte| *byte == b'\n').filter_map(Mount::read).collect()
}

impl Mount {
    fn read(line: &[u8]) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ');
        let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
        let id = text(words.next()?).parse().ok()?;
        let parent = text(words.next()?).parse().ok()?;
        let device_number = text(words.next()?);
        let (root, point) = (unescape(words.next()?), unescape(words.next()?));
        let options = words.next()?;
        // Any number of optional fields, ended by a dash.
        let mut follows = false;
        words.find(|word| {
            follows |= word.starts_with(b"master:");
            *word == b"-"
        })?;
        let (kind, device) = (text(words.next()?), text(words.next()?));
        let options = [options, words.next().unwrap_or_default()].join(&b',');
        let options = OsString::from_vec(options);
        Some(Self { id, parent, follows, device_number, root, point, kind, device, options })
    }

    fn options(&self) -> impl Iterator<Item = &[u8]> {
        self.options.as_bytes().split(|byte| *byte == b',')
    }

    /// Whether it is a kernel interface and holds nothing that could be lost.
    fn is_pseudo(&self) -> bool {
        PSEUDO.contains(&self.kind.as_str())
    }

    /// Whether it exists in memory only.
    fn is_in_memory(&self) -> bool {
        IN_MEMORY.contains(&self.kind.as_str())
    }

    /// The layers of an overlay, including the writable one; none for any other filesystem.
    #[must_use]
    pub fn layers(&self) -> Vec<PathBuf> {
        let listed = self.overlay_option(b"lowerdir=").flat_map(separated).map(literal);
        // Newer kernels list one option per layer, in which no character is special.
        let single = self.overlay_option(b"lowerdir+=").map(unescape);
        self.upper_layer().into_iter().chain(listed).chain(single).collect()
    }

    /// The directory that an overlay writes to; none for anything else and for a read-only overlay.
    #[must_use]
    pub fn upper_layer(&self) -> Vec<PathBuf> {
        self.overlay_option(b"upperdir=").map(literal).collect()
    }

    fn overlay_option<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let is_overlay = self.kind == "overlay";
        self.options().filter(move |_| is_overlay).filter_map(move |option| option.strip_prefix(name))
    }

    /// Whether rsync with `--one-file-system` descends into `other` when given paths instead of a view: rsync takes
    /// each btrfs subvolume for a filesystem.
    #[must_use]
    pub fn goes_on_into(&self, other: &Self) -> bool {
        self.device_number == other.device_number && (self.kind != "btrfs" || self.root == other.root)
    }
}

/// Filesystem types that only expose kernel data. `autofs` is not one: real data is behind it.
const PSEUDO: [&str; 22] = [
    "binder",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nfsd",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// Whether a filesystem of this type is no disk's: a kernel interface, or in memory.
#[must_use]
pub fn is_pseudo(kind: &str) -> bool {
    PSEUDO.contains(&kind) || IN_MEMORY.contains(&kind)
}

/// Types of in-memory filesystems.
const IN_MEMORY: [&str; 2] = ["ramfs", "tmpfs"];

/// The mounts below `source` that a clone excludes, apart from kernel filesystems, and from in-memory filesystems in
/// places that are excluded anyway, as `out` says of a path.
///
/// Only the table is read: touching a dead network mount would hang.
#[must_use]
pub fn left_out<'a>(table: &'a [Mount], source: &Path, out: impl Fn(&Path) -> bool) -> Vec<&'a Mount> {
    let is_below = |mount: &&Mount| mount.point.starts_with(source) && mount.point != source;
    let is_covered =
        |mount: &Mount| table.iter().any(|other| other.id != mount.id && other.point == mount.point);
    let matters = |mount: &&Mount| {
        // An autofs is mounted on first use; from then on the filesystem mounted there is listed.
        let is_named_elsewhere =
            mount.kind == "autofs" && (is_covered(mount) || mount.point.starts_with("/proc"));
        !(mount.is_pseudo() || is_named_elsewhere || mount.is_in_memory() && out(&mount.point))
    };
    table.iter().filter(is_below).filter(matters).collect()
}

/// Where `path`, on the mount `id`, is on its filesystem: the device number and the path there.
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

/// The table writes space, tab, newline, backslash and sometimes other bytes as a backslash and three octal digits.
#[must_use]
pub fn unescape(word: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = tail.first_chunk().filter(|_| first == b'\\').and_then(|digits| octal(*digits));
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &tail[3..] } else { tail };
    }
    OsString::from_vec(bytes).into()
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    let value =
        |value: u16, digit: u8| Some(value * 8 + u16::from(digit.checked_sub(b'0').filter(|d| *d < 8)?));
    digits.into_iter().try_fold(0, value).and_then(|value| u8::try_from(value).ok())
}

/// The items of an overlay's layer list, separated by colons without a backslash before them.
fn separated(list: &[u8]) -> Vec<&[u8]> {
    const BACKSLASH: &[u8] = b"\\134";
    let (mut parts, mut start, mut at, mut is_escaped) = (Vec::new(), 0, 0, false);
    while at < list.len() {
        let is_backslash = list[at..].starts_with(BACKSLASH);
        if list[at] == b':' && !is_escaped {
            parts.push(&list[start..at]);
            start = at + 1;
        }
        is_escaped = is_backslash && !is_escaped;
        at += if is_backslash { BACKSLASH.len() } else { 1 };
    }
    parts.push(&list[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// A path in an overlay's options, with the escaping backslashes removed.
fn literal(word: &[u8]) -> PathBuf {
    let path = unescape(word).into_os_string().into_vec();
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.iter();
    while let Some(byte) = rest.next() {
        let next = if *byte == b'\\' { rest.next() } else { None };
        bytes.push(*next.unwrap_or(byte));
    }
    OsString::from_vec(bytes).into()
}

/// Whether file ownership is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// It is kept.
    Kept,
    /// It is ignored, for this reason.
    Ignored(String),
    /// It has to be probed.
    Unknown,
}

/// The ID of the mount that an open file is on, from `/proc/self/fdinfo/N`.
#[must_use]
pub fn mount_id(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("mnt_id:")).and_then(|id| id.trim().parse().ok())
}

/// Filesystems that keep ownership.
const KEEPS: [&str; 13] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "zfs", "f2fs", "bcachefs", "jfs", "nilfs2", "reiserfs",
    "ramfs",
];

/// Filesystems that show one owner for all files.
const IGNORES: [&str; 8] = ["vfat", "msdos", "exfat", "ntfs", "ntfs3", "hfs", "umsdos", "fuse.exfat"];

impl Mount {
    /// What is known about ownership on it.
    #[must_use]
    pub fn ownership(&self) -> Ownership {
        let kind = self.kind.as_str();
        // fuseblk is normally ntfs-3g, whose option "permissions" appears as default_permissions.
        let is_plain_fuseblk =
            kind == "fuseblk" && !self.options().any(|option| option == b"default_permissions");
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

/// Filesystems that store data as given, without compression or deduplication.
const STORES_AS_GIVEN: [&str; 11] =
    ["ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "f2fs", "jfs", "nilfs2", "reiserfs", "hfsplus"];

/// Filesystems with a fixed number of inodes; others create inodes as long as there is space.
const FIXED_INODES: [&str; 4] = ["ext2", "ext3", "ext4", "tmpfs"];

impl Mount {
    /// Whether a file takes up about its own size: nothing is transparently compressed or deduplicated, as on zfs and
    /// possibly behind a network filesystem or FUSE.
    #[must_use]
    pub fn keeps_sizes(&self) -> bool {
        let compresses = |option: &[u8]| option.starts_with(b"compress") && option != b"compress=no";
        STORES_AS_GIVEN.contains(&self.kind.as_str()) && !self.options().any(compresses)
    }

    /// Whether the reported number of free inodes is a hard limit.
    #[must_use]
    pub fn has_fixed_inodes(&self) -> bool {
        FIXED_INODES.contains(&self.kind.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Mount, Ownership, device_name, left_out, locate, mount_id, read};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
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
            Mount { kind: kind.to_owned(), options: options.into(), ..find(22) }.keeps_sizes()
        };
        assert!(of("ext4", "rw") && of("xfs", "rw") && of("btrfs", "rw,relatime,subvol=/"));
        assert!(!of("btrfs", "rw,compress=zstd:3") && !of("btrfs", "rw,compress-force=lzo"));
        assert!(!of("f2fs", "rw,compress_algorithm=lz4") && !of("zfs", "rw") && !of("fuse.sshfs", "rw"));
        assert!(find(22).has_fixed_inodes() && !find(30).has_fixed_inodes());
    }

    #[test]
    fn what_a_clone_of_one_filesystem_leaves_out_is_found() {
        let table = read(TABLE);
        let of = |source| {
            let found = left_out(&table, Path::new(source), |point| point.starts_with("/run"));
            found.into_iter().map(|mount| mount.point.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let all = ["/mnt/a b", "/mnt/c", "/mnt/d", "/mnt/e", "/mnt/f", "/mnt/g", "/mnt/c/other"];
        assert_eq!(of("/"), all, "no pseudo filesystem");
        assert_eq!(of("/mnt/c"), ["/mnt/c/other"], "another subvolume");
        assert_eq!(of("/mnt/a b"), [] as [&str; 0]);
    }

    #[test]
    fn what_is_real_is_told_by_its_type_alone() {
        let table = read(
            b"1 0 254:0 / / rw - ext4 /dev/vda rw\n\
            2 1 0:50 / /b rw - btrfs B rw\n\
            3 1 0:51 / /r rw - fuse.rclone remote: rw\n\
            4 1 0:52 / /v rw - virtiofs share rw\n\
            5 1 0:53 / /n rw - 9p host rw\n\
            6 1 0:54 / /t rw - tmpfs tmpfs rw\n\
            7 1 0:55 / /run rw - tmpfs tmpfs rw\n\
            8 1 0:56 / /a rw - autofs systemd-1 rw\n\
            9 1 0:57 / /c rw - autofs systemd-1 rw\n\
            10 9 0:58 / /c rw - nfs4 server:/c rw\n\
            11 1 0:59 / /sys rw - sysfs sysfs rw\n",
        );
        let found = left_out(&table, Path::new("/"), |point| point.starts_with("/run"));
        let kinds: Vec<&str> = found.iter().map(|mount| mount.kind.as_str()).collect();
        assert_eq!(kinds, ["btrfs", "fuse.rclone", "virtiofs", "9p", "tmpfs", "autofs", "nfs4"]);
    }

    #[test]
    fn another_way_to_a_directory_is_the_same_place() {
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
        let of = |options: &str| Mount { kind: "overlay".to_owned(), options: options.into(), ..find(22) };
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        let whole = of("rw,lowerdir=/a\\040b:/c,upperdir=/u,workdir=/w");
        assert_eq!(whole.layers(), paths(&["/u", "/a b", "/c"]));
        assert_eq!(whole.upper_layer(), paths(&["/u"]));
        assert_eq!(of("ro,lowerdir+=/a,lowerdir+=/b").layers(), paths(&["/a", "/b"]));
        assert_eq!(of("ro,lowerdir=/a").upper_layer(), paths(&[]));
        assert_eq!(Mount { options: "rw,upperdir=/u".into(), ..find(22) }.layers(), paths(&[]));
    }

    #[test]
    fn the_layers_of_an_overlay_may_have_any_name() {
        let of = |options: &str| {
            let line = format!("68 65 0:40 / /m rw - overlay overlay rw,{options},uuid=on");
            read(line.as_bytes()).remove(0).layers()
        };
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        // As Linux 6.18 writes layers named `k:l`, `c,d`, `e\f` and `g:h`, mounted with backslashes where needed.
        assert_eq!(of(r"lowerdir=/k\134:l:/lo"), paths(&["/k:l", "/lo"]));
        assert_eq!(of(r"lowerdir=/lo,upperdir=/c\134\054d"), paths(&["/c,d", "/lo"]));
        assert_eq!(of(r"lowerdir=/e\134\134f,upperdir=/g:h"), paths(&["/g:h", r"/e\f"]));
        assert_eq!(of(r"lowerdir+=/e\040f\134g,lowerdir+=/a=b"), paths(&[r"/e f\g", "/a=b"]));
        assert_eq!(of(r"lowerdir=/a::/data\134"), paths(&["/a", r"/data\"]));
        assert_eq!(of(r"lowerdir=/a\134\134:/b\072c"), paths(&[r"/a\", "/b:c"]));
    }

    #[test]
    fn paths_are_read_byte_by_byte() {
        let table = read(b"1 0 8:1 /\\134040 /\xff\\0401\\777\\08\\ rw - ext4 /dev/sda1 rw\n");
        assert_eq!(table[0].root, Path::new(r"/\040"));
        assert_eq!(table[0].point, Path::new(OsStr::from_bytes(b"/\xff 1\\777\\08\\")));
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
