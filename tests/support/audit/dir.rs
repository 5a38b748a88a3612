//! Reads a tree one directory at a time, through open directories and single names, so that no path is too long and no
//! tree too deep: one descriptor is open at a time, and the way back up is `..`.
#![allow(dead_code, reason = "each test crate uses a part")]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc::{EOPNOTSUPP, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK};
use nix::unistd::{Whence, lseek};

/// XFS also exposes an access control list in its own format, as one of these attributes.
const LISTS_OF_XFS: [&str; 2] = ["trusted.SGI_ACL_FILE", "trusted.SGI_ACL_DEFAULT"];

/// Device and inode number.
pub type Inode = (u64, u64);

/// The type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// Seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// The seconds, negative before 1970.
    pub seconds: i64,
    /// The nanoseconds in addition.
    pub nanoseconds: i64,
}

/// All metadata of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The type.
    pub kind: Kind,
    /// The permissions with setuid, setgid and sticky.
    pub mode: u32,
    /// The owner's user ID.
    pub uid: u32,
    /// The group ID.
    pub gid: u32,
    /// The apparent size.
    pub size: u64,
    /// The bytes allocated on disk.
    pub allocated: u64,
    /// The modification time.
    pub mtime: Time,
    /// The status change time.
    pub ctime: Time,
    /// The device of a device node.
    pub device: u64,
    /// The entry's own device and inode.
    pub inode: Inode,
    /// The number of hard links.
    pub links: u64,
    /// The target of a symbolic link.
    pub target: Option<OsString>,
    /// Every extended attribute in every namespace, except the access control lists that XFS exposes twice.
    pub xattrs: BTreeMap<OsString, Vec<u8>>,
}

/// An open directory.
pub struct Dir {
    handle: File,
}

impl Dir {
    /// Opens the directory at a path that is not too long.
    pub fn open(path: &Path) -> io::Result<Self> {
        let handle = OpenOptions::new().read(true).custom_flags(O_DIRECTORY).open(path)?;
        Ok(Self { handle })
    }

    /// A path to an entry of this directory that is short however deep the directory is; valid as long as `self`.
    pub fn at(&self, name: &OsStr) -> PathBuf {
        let mut path = PathBuf::from(format!("/proc/self/fd/{}", self.handle.as_raw_fd()));
        path.push(name);
        path
    }

    /// Opens the directory `name` in this one, never through a symbolic link.
    pub fn enter(&self, name: &OsStr) -> io::Result<Self> {
        let path = self.at(name);
        let handle = OpenOptions::new().read(true).custom_flags(O_DIRECTORY | O_NOFOLLOW).open(path)?;
        Ok(Self { handle })
    }

    /// Opens the parent directory, which must be the one we came from.
    pub fn leave(&self, expected: Inode) -> Self {
        let above =
            self.enter(OsStr::new("..")).unwrap_or_else(|error| panic!("the directory above: {error}"));
        assert_eq!(above.inode(), expected, "a directory was moved while it was read");
        above
    }

    /// The directory's own device and inode.
    pub fn inode(&self) -> Inode {
        let metadata = self.handle.metadata().unwrap_or_else(|error| panic!("an open directory: {error}"));
        (metadata.dev(), metadata.ino())
    }

    /// The names in this directory, sorted by their bytes.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let entries = std::fs::read_dir(self.at(OsStr::new(".")))?;
        let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
        Ok(names)
    }

    /// Opens a regular file of this directory for reading.
    pub fn read(&self, name: &OsStr) -> io::Result<File> {
        OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(self.at(name))
    }

    /// How much of a regular file is data, in bytes; the rest are holes.
    pub fn data(&self, name: &OsStr) -> io::Result<u64> {
        let (file, mut at, mut sum) = (self.read(name)?, 0, 0);
        loop {
            let data = match lseek(&file, at, Whence::SeekData) {
                Ok(data) => data,
                Err(Errno::ENXIO) => return Ok(sum),
                Err(errno) => return Err(errno.into()),
            };
            at = lseek(&file, data, Whence::SeekHole)?;
            sum += u64::try_from(at - data).unwrap();
        }
    }

    /// The metadata of an entry, or of the directory itself under the name `.`.
    pub fn entry(&self, name: &OsStr, with_xattrs: bool) -> io::Result<Entry> {
        let path = self.at(name);
        let metadata = std::fs::symlink_metadata(&path)?;
        let target =
            if metadata.is_symlink() { Some(std::fs::read_link(&path)?.into_os_string()) } else { None };
        let xattrs = if with_xattrs { xattrs(&path)? } else { BTreeMap::new() };
        Ok(Entry {
            kind: kind(&metadata),
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            size: metadata.size(),
            allocated: metadata.blocks() * 512,
            mtime: Time { seconds: metadata.mtime(), nanoseconds: metadata.mtime_nsec() },
            ctime: Time { seconds: metadata.ctime(), nanoseconds: metadata.ctime_nsec() },
            device: metadata.rdev(),
            inode: (metadata.dev(), metadata.ino()),
            links: metadata.nlink(),
            target,
            xattrs,
        })
    }
}

/// A directory between the root and the current one.
struct Level {
    name: OsString,
    entry: Entry,
    names: std::vec::IntoIter<OsString>,
    path_length: usize,
}

impl Level {
    fn open(dir: &Dir, name: OsString, entry: Entry, path: &[u8]) -> Self {
        let names = or_panic(dir.names(), path).into_iter();
        Self { name, entry, names, path_length: path.len() }
    }
}

/// Visits each entry of a tree, a directory after its contents, the root last and under the name `.`. The visitor gets
/// the entry's directory, its name, its path relative to the root, and its metadata.
pub fn visit_from_leaves(root: &Path, with_xattrs: bool, mut visit: impl FnMut(&Dir, &OsStr, &[u8], &Entry)) {
    let mut path = Vec::new();
    let mut here = or_panic(Dir::open(root), root.as_os_str().as_bytes());
    let dot = OsString::from(".");
    let entry = or_panic(here.entry(&dot, with_xattrs), b".");
    let mut levels = vec![Level::open(&here, dot, entry, &path)];
    while let Some(level) = levels.last_mut() {
        path.truncate(level.path_length);
        if let Some(name) = level.names.next() {
            push_name(&mut path, &name);
            let entry = or_panic(here.entry(&name, with_xattrs), &path);
            if entry.kind == Kind::Dir {
                here = or_panic(here.enter(&name), &path);
                levels.push(Level::open(&here, name, entry, &path));
            } else {
                visit(&here, &name, &path, &entry);
            }
        } else if let Some(done) = levels.pop() {
            if let Some(above) = levels.last() {
                here = here.leave(above.entry.inode);
            }
            visit(&here, &done.name, &path, &done.entry);
        }
    }
}

fn or_panic<T>(result: io::Result<T>, path: &[u8]) -> T {
    result.unwrap_or_else(|error| panic!("\"{}\": {error}", path.escape_ascii()))
}

/// Appends a name to a relative path. `PathBuf::push` would do the same, but a `PathBuf` cannot be truncated by length.
pub fn push_name(path: &mut Vec<u8>, name: &OsStr) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name.as_bytes());
}

/// The path with these bytes.
pub fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

/// A path escaped for terminals and logs.
pub fn shown(path: &Path) -> String {
    match path.as_os_str().as_bytes() {
        [] => String::from("."),
        bytes => bytes.escape_ascii().to_string(),
    }
}

fn kind(metadata: &Metadata) -> Kind {
    let kind = metadata.file_type();
    if kind.is_dir() {
        Kind::Dir
    } else if kind.is_symlink() {
        Kind::Symlink
    } else if kind.is_fifo() {
        Kind::Fifo
    } else if kind.is_socket() {
        Kind::Socket
    } else if kind.is_char_device() {
        Kind::CharDevice
    } else if kind.is_block_device() {
        Kind::BlockDevice
    } else {
        Kind::File
    }
}

/// Reads the attributes of the entry itself; none on a filesystem without attributes.
fn xattrs(path: &Path) -> io::Result<BTreeMap<OsString, Vec<u8>>> {
    let names = match xattr::list(path) {
        Ok(names) => names,
        Err(error) if error.raw_os_error() == Some(EOPNOTSUPP) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let mut found = BTreeMap::new();
    for name in names.filter(|name| !LISTS_OF_XFS.iter().any(|list| name == list)) {
        // An attribute that is listed but cannot be read was removed in between.
        if let Some(value) = xattr::get(path, &name)? {
            found.insert(name, value);
        }
    }
    Ok(found)
}
