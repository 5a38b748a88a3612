//! Resolves a path through open directories: as root, no link that another user could have planted is followed, and
//! what was found stays open whatever happens to the path.
//!
//! Without root the kernel resolves the path as usual: misleading us gains nothing.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::geteuid;

use crate::fs::file_identity::FileIdentity;

/// How many links are followed in one path, the same as on Linux.
const MOST_LINKS: usize = 40;

/// The mode of a directory that is created on the way.
const MODE: Mode = Mode::from_bits_truncate(0o755);

/// The flags for a directory that is only traversed: without following links or needing the right to list it.
#[cfg(target_os = "linux")]
const PASSING: OFlag = OFlag::O_PATH;

/// On other systems it is opened for reading.
#[cfg(not(target_os = "linux"))]
const PASSING: OFlag = OFlag::O_RDONLY;

/// What to do about links that other users could have planted.
#[derive(Debug, PartialEq, Eq)]
enum Care {
    /// Report an error.
    Refuse,
    /// Record the first thing that they can change.
    Watch(Option<PathBuf>),
}

/// The state of resolving a path.
struct Way {
    here: File,
    /// The directories above, for `..`.
    above: Vec<FileIdentity>,
    path: PathBuf,
    links: usize,
    care: Care,
    /// Whether to create missing directories.
    makes: bool,
}

/// The result of resolving a path.
struct Found {
    way: Way,
    /// The name in the last directory, unless the result is that directory itself.
    file: Option<OsString>,
    /// The last link must be followed by the kernel: it leads to something open, not to a path.
    is_magic: bool,
}

/// Opens the directory a path leads to; returns it with its path without links.
pub fn directory(path: &Path) -> io::Result<(File, PathBuf)> {
    if geteuid().is_root() { find(path, Care::Refuse, false)?.directory() } else { plain(path) }
}

/// The same, creating the directory and its parents if missing.
pub fn directory_or_make(path: &Path) -> io::Result<(File, PathBuf)> {
    if geteuid().is_root() {
        return find(path, Care::Refuse, true)?.directory();
    }
    std::fs::create_dir_all(path)?;
    plain(path)
}

/// Opens a file with these flags. With `O_NOFOLLOW` its last component must not be a link.
pub fn file(path: &Path, flags: OFlag) -> io::Result<File> {
    let flags = flags | OFlag::O_CLOEXEC;
    if !geteuid().is_root() {
        return File::options().read(true).custom_flags(flags.bits()).open(path);
    }
    if !flags.contains(OFlag::O_NOFOLLOW) {
        return find(path, Care::Refuse, false)?.open(flags);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::IsADirectory.into());
    };
    let (above, _) = directory(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
    Ok(File::from(openat(&above, name, flags, Mode::empty())?))
}

/// The first thing on the way to a file, including the file, that users other than root can change; checked only for
/// root, because whoever can change what root uses is root.
#[must_use]
pub fn open_to_others(path: &Path) -> Option<PathBuf> {
    if !geteuid().is_root() {
        return None;
    }
    // Whoever uses the path reports what cannot be found.
    match find(path, Care::Watch(None), false).ok()?.way.care {
        Care::Watch(found) => found,
        Care::Refuse => None,
    }
}

fn plain(path: &Path) -> io::Result<(File, PathBuf)> {
    let path = std::fs::canonicalize(path)?;
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let file = File::options().read(true).custom_flags(flags.bits()).open(&path)?;
    Ok((file, path))
}

fn find(path: &Path, care: Care, makes: bool) -> io::Result<Found> {
    let start = if path.is_absolute() { Path::new("/") } else { Path::new(".") };
    let real = if path.is_absolute() { start.to_owned() } else { std::env::current_dir()? };
    let mut way = Way { here: open_root(start)?, above: Vec::new(), path: real, links: 0, care, makes };
    let mut rest = Vec::new();
    push(&mut rest, path);
    while let Some(name) = rest.pop() {
        if name == ".." {
            way.climb()?;
            continue;
        }
        let found = way.look(&name)?;
        way.watch(&name, &found);
        match kind(&found) {
            SFlag::S_IFLNK => {
                way.check_link(&name, &found)?;
                if is_in_proc(&way.here) {
                    if way.follow_magic(&name)? {
                        continue;
                    }
                    if rest.is_empty() {
                        return Ok(Found { way, file: Some(name), is_magic: true });
                    }
                    return Err(Errno::ENOTDIR.into());
                }
                let target = PathBuf::from(readlinkat(&way.here, name.as_os_str())?);
                if target.as_os_str().is_empty() {
                    return Err(Errno::ENOENT.into());
                }
                if target.is_absolute() {
                    way.restart()?;
                }
                push(&mut rest, &target);
            }
            SFlag::S_IFDIR => way.enter(&name)?,
            _ if rest.is_empty() => return Ok(Found { way, file: Some(name), is_magic: false }),
            _ => return Err(Errno::ENOTDIR.into()),
        }
    }
    Ok(Found { way, file: None, is_magic: false })
}

/// Pushes the components of a path on a stack, the first on top.
fn push(rest: &mut Vec<OsString>, path: &Path) {
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    rest.extend(parts);
}

fn open_root(path: &Path) -> io::Result<File> {
    let flags = PASSING | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(File::from(nix::fcntl::open(path, flags, Mode::empty())?))
}

fn kind(found: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits())
}

fn is_trusted(owner: u32) -> bool {
    owner == 0 || owner == geteuid().as_raw()
}

/// Whether users other than root can change this, or for a directory, what root has put there.
fn is_open(found: &FileStat) -> bool {
    let is_sticky = kind(found) == SFlag::S_IFDIR && found.st_mode & 0o1000 != 0;
    let is_writable = found.st_mode & 0o022 != 0 && kind(found) != SFlag::S_IFLNK;
    !is_trusted(found.st_uid) || (is_writable && !is_sticky)
}

impl Way {
    fn look(&self, name: &OsStr) -> io::Result<FileStat> {
        match fstatat(&self.here, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) if self.makes => {
                match mkdirat(&self.here, name, MODE) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                Ok(fstatat(&self.here, name, AtFlags::AT_SYMLINK_NOFOLLOW)?)
            }
            found => Ok(found?),
        }
    }

    fn watch(&mut self, name: &OsStr, found: &FileStat) {
        if let Care::Watch(first @ None) = &mut self.care
            && is_open(found)
        {
            *first = Some(self.path.join(name));
        }
    }

    /// Checks that a link is root's, or ours, and that nobody else could have put it there by renaming.
    fn check_link(&mut self, name: &OsStr, link: &FileStat) -> io::Result<()> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Errno::ELOOP.into());
        }
        if self.care == Care::Refuse && (is_open(link) || is_open(&fstat(&self.here)?)) {
            let path = self.path.join(name);
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "another user could have put the symbolic link {} there; give the path that it points to",
                    crate::display::path(&path)
                ),
            ));
        }
        Ok(())
    }

    fn enter(&mut self, name: &OsStr) -> io::Result<()> {
        let flags = PASSING | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let below = File::from(openat(&self.here, name, flags, Mode::empty())?);
        self.above.push(FileIdentity::from(&self.here.metadata()?));
        self.here = below;
        self.path.push(name);
        Ok(())
    }

    /// Goes one level up, and only to the directory we came from.
    fn climb(&mut self) -> io::Result<()> {
        let flags = PASSING | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let above = File::from(openat(&self.here, "..", flags, Mode::empty())?);
        if self.above.pop().is_some_and(|came_from| {
            above.metadata().map_or(true, |metadata| FileIdentity::from(&metadata) != came_from)
        }) {
            return Err(io::Error::other("a directory on its path has just been moved"));
        }
        self.here = above;
        self.path.pop();
        Ok(())
    }

    fn restart(&mut self) -> io::Result<()> {
        self.here = open_root(Path::new("/"))?;
        self.above.clear();
        self.path = PathBuf::from("/");
        Ok(())
    }

    /// Lets the kernel follow a link in `/proc`, which leads to an open file that need not have a path. Returns whether
    /// it is a directory; then we are in it.
    fn follow_magic(&mut self, name: &OsStr) -> io::Result<bool> {
        let flags = PASSING | OFlag::O_CLOEXEC;
        let there = File::from(openat(&self.here, name, flags, Mode::empty())?);
        if !there.metadata()?.is_dir() {
            return Ok(false);
        }
        let target = readlinkat(&self.here, name)?;
        self.path.push(target);
        self.above.clear();
        self.here = there;
        Ok(true)
    }
}

impl Found {
    fn directory(self) -> io::Result<(File, PathBuf)> {
        if self.file.is_some() {
            return Err(Errno::ENOTDIR.into());
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.way.here, ".", flags, Mode::empty())?);
        Ok((file, self.way.path))
    }

    fn open(self, flags: OFlag) -> io::Result<File> {
        let Some(name) = self.file else { return Err(io::ErrorKind::IsADirectory.into()) };
        let flags = if self.is_magic { flags } else { flags | OFlag::O_NOFOLLOW };
        Ok(File::from(openat(&self.way.here, name.as_os_str(), flags, Mode::empty())?))
    }
}

#[cfg(target_os = "linux")]
fn is_in_proc(directory: &File) -> bool {
    nix::sys::statfs::fstatfs(directory)
        .is_ok_and(|found| found.filesystem_type() == nix::sys::statfs::PROC_SUPER_MAGIC)
}

/// Other systems have no such links.
#[cfg(not(target_os = "linux"))]
fn is_in_proc(_directory: &File) -> bool {
    false
}

/// A path by which another program reaches an open directory that it inherits, whatever happens to its name.
///
/// Errors if there is no such path, as without `/proc`.
pub fn path_to(directory: &File) -> io::Result<PathBuf> {
    path_by_descriptor(directory)
}

#[cfg(target_os = "linux")]
fn path_by_descriptor(directory: &File) -> io::Result<PathBuf> {
    use std::os::fd::AsRawFd as _;
    let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    let there = std::fs::metadata(&path).map(|metadata| FileIdentity::from(&metadata));
    match there {
        Ok(there) if there == FileIdentity::from(&directory.metadata()?) => Ok(path),
        Ok(_) | Err(_) => {
            Err(io::Error::other("/proc is not available, and is needed to name an open directory"))
        }
    }
}

/// Apple's systems have no such path: this is its current one.
#[cfg(not(target_os = "linux"))]
fn path_by_descriptor(directory: &File) -> io::Result<PathBuf> {
    let mut path = PathBuf::new();
    nix::fcntl::fcntl(directory, nix::fcntl::FcntlArg::F_GETPATH(&mut path))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
    use std::path::Path;

    use super::{directory, directory_or_make, file, open_to_others};
    use nix::fcntl::OFlag;

    /// A directory of root's that contains another user's. Without root there is nothing to test.
    fn scene() -> Option<tempfile::TempDir> {
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let scene = tempfile::tempdir().unwrap();
        std::fs::set_permissions(scene.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["real/below", "theirs"] {
            std::fs::create_dir_all(scene.path().join(name)).unwrap();
        }
        std::fs::write(scene.path().join("real/file"), "content").unwrap();
        let theirs = scene.path().join("theirs");
        symlink("../real", theirs.join("roots link")).unwrap();
        symlink("../real", theirs.join("link")).unwrap();
        lchown(theirs.join("link"), Some(1234), Some(1234)).unwrap();
        lchown(&theirs, Some(1234), Some(1234)).unwrap();
        symlink("real", scene.path().join("good")).unwrap();
        symlink("theirs/link", scene.path().join("by theirs")).unwrap();
        Some(scene)
    }

    #[test]
    fn only_links_that_nobody_else_could_have_put_there_are_followed() {
        let Some(scene) = scene() else { return };
        let real = scene.path().join("real");
        for good in ["real", "good", "good/.", "good/below/..", "theirs/../good", "./real/below/../../good"] {
            let (_, path) = directory(&scene.path().join(good)).unwrap();
            assert_eq!(path, real, "{good}");
        }
        for bad in ["theirs/link", "theirs/roots link", "by theirs", "theirs/link/below/.."] {
            let error = directory(&scene.path().join(bad)).unwrap_err();
            assert!(error.to_string().contains("another user could have put"), "{bad}: {error}");
            let made = directory_or_make(&scene.path().join(bad).join("new")).unwrap_err();
            assert_eq!(made.kind(), std::io::ErrorKind::PermissionDenied, "{bad}: {made}");
            let opened = file(&scene.path().join(bad).join("file"), OFlag::O_RDONLY).unwrap_err();
            assert_eq!(opened.kind(), std::io::ErrorKind::PermissionDenied, "{bad}: {opened}");
        }
        assert!(!real.join("new").exists());
        let (_, made) = directory_or_make(&scene.path().join("good/new/and more")).unwrap();
        assert_eq!(made, real.join("new/and more"));
        assert!(file(&scene.path().join("good/file"), OFlag::O_RDONLY).is_ok());
        assert!(file(&real.join("file/x"), OFlag::O_RDONLY).is_err());
        let missing = directory(&scene.path().join("nowhere")).unwrap_err();
        assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    }

    #[test]
    fn a_ring_of_links_has_an_end() {
        let Some(scene) = scene() else { return };
        symlink("two", scene.path().join("one")).unwrap();
        symlink("one", scene.path().join("two")).unwrap();
        assert!(directory(&scene.path().join("one")).is_err());
    }

    #[test]
    fn what_is_open_already_is_reached() {
        let Some(_scene) = scene() else { return };
        let open = std::fs::File::open("/dev/null").unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&open);
        for path in [format!("/dev/fd/{number}"), format!("/proc/self/fd/{number}"), "/dev/null".to_owned()] {
            assert!(file(Path::new(&path), OFlag::O_RDONLY).is_ok(), "{path}");
        }
    }

    #[test]
    fn what_others_can_change_is_found() {
        let Some(scene) = scene() else { return };
        let real = scene.path().join("real/file");
        assert_eq!(open_to_others(&real), None);
        assert_eq!(open_to_others(&scene.path().join("good/file")), None);
        let theirs = scene.path().join("theirs");
        assert_eq!(open_to_others(&theirs.join("roots link/file")), Some(theirs));
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(open_to_others(&real), Some(real));
    }
}
