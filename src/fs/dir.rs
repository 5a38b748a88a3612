//! A directory held open: creating, renaming or removing entries in it never follows a planted link.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::dir::Dir as Entries;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstatat, futimens, mkdirat};
use nix::sys::time::{TimeSpec, TimeValLike as _};
use nix::unistd::{UnlinkatFlags, unlinkat};

pub use crate::fs::file_identity::FileIdentity;
use crate::fs::remove;
use crate::fs::resolve;

/// The part of a temporary file's name that marks it as one; a random part follows.
pub const TEMPORARY: &str = ".tmp-";

/// A directory held open for reading.
#[derive(Debug)]
pub struct Dir {
    path: PathBuf,
    /// What its path is called when shown, if that is not the path itself.
    name: Option<PathBuf>,
    file: File,
    /// The directory as opened by its path, if `file` sees it through a view.
    reached: Option<File>,
}

impl Dir {
    /// Opens an existing directory; a symbolic link as the last component of `path` is an error.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let file = File::options().read(true).custom_flags(flags.bits()).open(path)?;
        Ok(Self { path: path.to_owned(), name: None, file, reached: None })
    }

    /// The same directory, called by this name wherever it is shown: its path means something to this process only.
    #[must_use]
    pub fn called(self, name: &Path) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// The same directory seen through `tree`, the root of another mount of it.
    ///
    /// Errors if that is a different directory.
    pub fn seen_through(&self, tree: impl AsFd) -> io::Result<Self> {
        let file = File::from(open_subdir(tree, c".")?);
        if FileIdentity::from(&file.metadata()?) != self.identity()? {
            return Err(io::Error::other("the view shows another directory"));
        }
        let reached = Some(self.reached().try_clone()?);
        Ok(Self { path: self.path.clone(), name: self.name.clone(), file, reached })
    }

    /// What `tree`, the root of a mount of something else, shows in place of this directory.
    pub fn replaced_by(&self, tree: impl AsFd) -> io::Result<Self> {
        let file = File::from(open_subdir(tree, c".")?);
        let reached = Some(self.reached().try_clone()?);
        Ok(Self { path: self.path.clone(), name: self.name.clone(), file, reached })
    }

    /// The open directory as its path led to it: unlike a view, it is in the mount table.
    #[must_use]
    pub fn reached(&self) -> &File {
        self.reached.as_ref().unwrap_or(&self.file)
    }

    /// Whether it is seen through a view, in which nothing mounted below it is visible or can block us.
    #[must_use]
    pub fn is_seen_through_view(&self) -> bool {
        self.reached.is_some()
    }

    /// Opens the directory a path leads to; as root, follows no link that another user could have planted on the way.
    /// Its path becomes the one without links.
    pub fn reach(path: &Path) -> io::Result<Self> {
        let (file, path) = resolve::directory(path)?;
        Ok(Self { path, name: None, file, reached: None })
    }

    /// Opens a directory, creating it and its parents if missing; a symbolic link as the last component of `path` is an
    /// error, and so, for root, is one on the way that another user could have planted.
    pub fn open_or_create(path: &Path, mode: u32) -> io::Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Self::reach(path) };
        let (above, _) = resolve::directory_or_make(parent)?;
        let above = Self { path: parent.to_owned(), name: None, file: above, reached: None };
        match mkdirat(&above.file, name, mode_of(mode)) {
            Ok(()) => {
                let dir = above.enter(name)?;
                // The caller's umask has reduced the mode; a filesystem without modes keeps what it shows.
                let _ = fchmod(&dir.file, mode_of(mode));
                Ok(dir)
            }
            Err(Errno::EEXIST) => above.enter(name),
            Err(error) => Err(error.into()),
        }
    }

    /// Restricts the directory to its owner; it must be ours.
    pub fn make_private(&self) -> io::Result<()> {
        self.refuse_strangers()?;
        Ok(fchmod(&self.file, Mode::S_IRWXU)?)
    }

    /// Errors if the directory is not ours.
    pub fn refuse_strangers(&self) -> io::Result<()> {
        if self.metadata()?.uid() == nix::unistd::geteuid().as_raw() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is owned by another user"))
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is called when shown: its path, unless that means nothing to the user.
    #[must_use]
    pub fn shown(&self) -> &Path {
        self.name.as_deref().unwrap_or(&self.path)
    }

    fn below(&self, name: &Path, file: File) -> Self {
        let shown = self.name.as_ref().map(|above| above.join(name));
        Self { path: self.path.join(name), name: shown, file, reached: None }
    }

    /// The open directory.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The metadata of the directory itself.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// The identity of the directory.
    pub fn identity(&self) -> io::Result<FileIdentity> {
        self.metadata().map(|metadata| FileIdentity::from(&metadata))
    }

    /// Opens the directory `name` in this one; a symbolic link of that name is an error.
    pub fn enter(&self, name: &OsStr) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.file, name, flags, Mode::empty())?);
        Ok(self.below(Path::new(name), file))
    }

    /// Opens the directory at a relative path below this one; a symbolic link in any component is an error.
    pub fn enter_path(&self, path: &Path) -> io::Result<Self> {
        let mut file = open_subdir(self, c".")?;
        for name in path.components() {
            let name = CString::new(name.as_os_str().as_bytes())?;
            file = open_subdir(&file, &name)?;
        }
        Ok(self.below(path, File::from(file)))
    }

    /// Wraps an open directory; `path` is the one to report for it.
    pub fn adopt(directory: &OwnedFd, path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            name: None,
            file: File::from(directory.try_clone()?),
            reached: None,
        })
    }

    /// Creates a directory that only its owner can enter; errors if the name exists.
    pub fn make_dir(&self, name: &OsStr) -> io::Result<()> {
        Ok(mkdirat(&self.file, name, Mode::S_IRWXU)?)
    }

    /// Renames an entry within the directory, replacing what has the new name.
    pub fn rename(&self, name: &OsStr, new: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.file, name, &self.file, new)?)
    }

    /// Removes the directory `name` if it is empty; returns whether it is gone.
    pub fn remove_empty(&self, name: &OsStr) -> io::Result<bool> {
        match unlinkat(&self.file, name, UnlinkatFlags::RemoveDir) {
            Ok(()) => Ok(true),
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a file for writing and reading; errors if the name exists.
    pub fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = mode_of(mode);
        let file = File::from(openat(&self.file, name, flags, mode)?);
        // The caller's umask would reduce the mode; a filesystem without modes keeps what it shows.
        let _ = fchmod(&file, mode);
        Ok(file)
    }

    /// Creates a temporary file beside `name`, named after it, and returns both.
    pub fn temporary(&self, name: &OsStr, mode: u32) -> io::Result<(File, OsString)> {
        let temporary = Self::temporary_name(name)?;
        self.create_new(&temporary, mode).map(|file| (file, temporary))
    }

    /// A name for a temporary file beside `name`.
    pub fn temporary_name(name: &OsStr) -> io::Result<OsString> {
        let mut temporary = name.to_owned();
        temporary.push(TEMPORARY);
        temporary.push(random_hex(4)?);
        Ok(temporary)
    }

    /// Whether `name` is one that [`Dir::temporary`] chose for `target`.
    #[must_use]
    pub fn is_temporary(name: &OsStr, target: &OsStr) -> bool {
        name.as_bytes()
            .strip_prefix(target.as_bytes())
            .is_some_and(|rest| rest.starts_with(TEMPORARY.as_bytes()))
    }

    /// Atomically replaces whatever is called `name` by a file with this content, flushed to disk.
    pub fn replace(&self, name: &OsStr, mode: u32, content: &[u8]) -> io::Result<()> {
        let (mut file, temporary) = self.temporary(name, mode)?;
        let written = file.write_all(content).and_then(|()| self.commit(&file, &temporary, name));
        if written.is_err() {
            // The first error is the one to report; the next run removes a leftover.
            let _ = self.remove(&temporary);
        }
        written
    }

    /// Flushes a temporary file and renames it into place; a directory of that name is removed first.
    pub fn commit(&self, file: &File, temporary: &OsStr, name: &OsStr) -> io::Result<()> {
        file.sync_all()?;
        if self.kind(name)? == Some(SFlag::S_IFDIR) {
            self.remove(name)?;
        }
        renameat(&self.file, temporary, &self.file, name)?;
        self.file.sync_all()
    }

    /// Renames a file or directory made by another program into place. What had that name is kept until then.
    pub fn commit_made(&self, made: &OsStr, name: &OsStr) -> io::Result<()> {
        if self.kind(name)?.is_none() {
            renameat(&self.file, made, &self.file, name)?;
            return self.file.sync_all();
        }
        let mut aside = name.to_owned();
        aside.push(TEMPORARY);
        aside.push(random_hex(4)?);
        renameat(&self.file, name, &self.file, &*aside)?;
        if let Err(error) = renameat(&self.file, made, &self.file, name) {
            renameat(&self.file, &*aside, &self.file, name)?;
            return Err(error.into());
        }
        self.file.sync_all()?;
        self.remove(&aside)
    }

    /// Removes whatever is called `name`: a link itself, a directory with its contents. It need not exist.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        match self.kind(name)? {
            None => Ok(()),
            Some(SFlag::S_IFDIR) => {
                let removal = remove::remove_tree(&self.file, name, &|| true)?;
                removal.problem.map_or(Ok(()), |(_, error)| Err(error))
            }
            Some(_) => Ok(unlinkat(&self.file, name, UnlinkatFlags::NoRemoveDir)?),
        }
    }

    /// Removes a file or a link; errors on a directory.
    pub fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.file, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Stats `name` without following links.
    pub fn stat(&self, name: &OsStr) -> io::Result<Option<FileStat>> {
        match fstatat(&self.file, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The type of `name`, without following links.
    pub fn kind(&self, name: &OsStr) -> io::Result<Option<SFlag>> {
        Ok(self.stat(name)?.map(|stat| SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())))
    }

    /// Reads a file with its metadata; `None` if it does not exist.
    ///
    /// Errors if it is not a regular file or is larger than `most` bytes. Links are not followed, and a FIFO or device
    /// in its place does not block.
    pub fn read_file(&self, name: &OsStr, most: u64) -> io::Result<Option<(Metadata, Vec<u8>)>> {
        if self.kind(name)?.is_none() {
            return Ok(None);
        }
        let file = self.open_regular(name)?.ok_or_else(|| io::Error::other("it is not a regular file"))?;
        let metadata = file.metadata()?;
        let mut content = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut content)?;
        if content.len() as u64 > most {
            return Err(io::Error::other(format!("it has more than {most} bytes")));
        }
        Ok(Some((metadata, content)))
    }

    /// The names in the directory, read without updating its access time where possible.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        self.names_that(|_| true)
    }

    /// The names that are `wanted`; the others, however many, take no memory.
    pub fn names_that(&self, mut wanted: impl FnMut(&OsStr) -> bool) -> io::Result<Vec<OsString>> {
        let mut found = Vec::new();
        for entry in Entries::from_fd(open_subdir(self, c".")?)?.iter() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." && wanted(name) {
                found.push(name.to_owned());
            }
        }
        Ok(found)
    }

    /// The content of the regular file `name`, up to `limit` bytes; `None` if there is none. Never follows a link and
    /// never blocks on a FIFO.
    pub fn read(&self, name: &OsStr, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.open_regular(name)? else { return Ok(None) };
        let mut content = Vec::new();
        file.take(limit).read_to_end(&mut content)?;
        Ok(Some(content))
    }

    /// Opens `name` for reading if it is a regular file: never follows a link and never blocks.
    pub fn open_regular(&self, name: &OsStr) -> io::Result<Option<File>> {
        // Merely opening a device may have side effects.
        if self.kind(name)? != Some(SFlag::S_IFREG) {
            return Ok(None);
        }
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(&self.file, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            // It was replaced just now.
            Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO | Errno::ENODEV | Errno::EOPNOTSUPP) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        Ok(file.metadata()?.is_file().then_some(file))
    }

    /// Sets the directory's own modification time, in seconds and nanoseconds since 1970.
    pub fn set_modified(&self, seconds: i64, nanoseconds: i64) -> io::Result<()> {
        let modified = TimeSpec::seconds(seconds) + TimeSpec::nanoseconds(nanoseconds);
        Ok(futimens(&self.file, &TimeSpec::UTIME_OMIT, &modified)?)
    }

    /// Flushes the directory's own entries.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Whether a userspace process serves this filesystem: if it hangs, a file open there cannot be closed.
    #[must_use]
    pub fn is_served(&self) -> bool {
        is_served(&self.file)
    }

    /// Flushes all data of this filesystem to its device.
    ///
    /// Errors if data written since the directory was opened did not reach the device, which rsync's exit code does not
    /// cover.
    pub fn flush_filesystem(&self) -> io::Result<()> {
        flush(&self.file)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The cast is lossless: `mode_t` has 16 bits on Apple's systems, and modes need 12.
#[allow(clippy::cast_possible_truncation, clippy::unnecessary_cast, reason = "mode_t differs by system")]
fn mode_of(mode: u32) -> Mode {
    Mode::from_bits_truncate(mode as nix::libc::mode_t)
}

/// The longest path below the top of a walk, in bytes: rsync copies no longer ones (measured from 3.0.9 to 3.5.1), and
/// endlessly nested directories would keep a walk busy forever.
pub const LONGEST_PATH: usize = 4096;

/// Whether a walk keeps a directory open for its children: one `depth` levels below the top and `way` levels below the
/// last one kept open.
///
/// A launchd job may have 256 open files, so not all are kept; and reopening a directory takes one step per level from
/// the last one kept, so those distances stay short.
#[must_use]
pub fn is_held(depth: usize, way: usize) -> bool {
    depth < 12 || way >= 64
}

/// Whether an entry's path is too long to be copied.
#[must_use]
pub fn is_too_long(directory: &Path, name: &CStr) -> bool {
    directory.as_os_str().len() + 1 + name.to_bytes().len() > LONGEST_PATH
}

/// Opens a subdirectory for reading, without following links and, where possible, without updating its access time.
pub fn open_subdir(parent: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(&parent, name, flags | UNNOTICED, Mode::empty()) {
        // Only the owner and root may open it that way.
        Err(nix::errno::Errno::EPERM) if !UNNOTICED.is_empty() => {
            Ok(openat(&parent, name, flags, Mode::empty())?)
        }
        opened => Ok(opened?),
    }
}

/// Opens the directory reached by these names from an open one, in the same way.
pub fn open_below(base: impl AsFd, way: &[CString]) -> io::Result<OwnedFd> {
    let (first, rest) = way.split_first().ok_or(io::ErrorKind::NotFound)?;
    rest.iter().try_fold(open_subdir(base, first)?, |above, name| open_subdir(above, name))
}

/// Opens without updating the access time, for the owner and root.
#[cfg(target_os = "linux")]
pub const UNNOTICED: OFlag = OFlag::O_NOATIME;

/// Other systems have no such flag.
#[cfg(not(target_os = "linux"))]
pub const UNNOTICED: OFlag = OFlag::empty();

/// Whether a userspace process serves the filesystem (FUSE).
#[cfg(target_os = "linux")]
fn is_served(file: &File) -> bool {
    use nix::sys::statfs::{FUSE_SUPER_MAGIC, fstatfs};
    // A filesystem that does not even report its type is treated the same.
    fstatfs(file).map_or(true, |filesystem| filesystem.filesystem_type() == FUSE_SUPER_MAGIC)
}

/// Not known on other systems.
#[cfg(not(target_os = "linux"))]
fn is_served(_file: &File) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn flush(file: &File) -> io::Result<()> {
    Ok(nix::unistd::syncfs(file)?)
}

/// `sync` starts all writes; `F_FULLFSYNC` on a file of the volume returns once the drive has flushed its cache.
#[cfg(not(target_os = "linux"))]
fn flush(file: &File) -> io::Result<()> {
    nix::unistd::sync();
    file.sync_all()
}

/// Drops the file from the page cache, so that the next read goes to the device.
#[cfg(target_os = "linux")]
pub fn forget_cached(file: &File) {
    // Only advice: a filesystem that ignores it answers from memory, and the source counts as readable.
    let _ = nix::fcntl::posix_fadvise(file, 0, 0, nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED);
}

/// Other systems have no such call, so cached data may answer.
#[cfg(not(target_os = "linux"))]
pub fn forget_cached(_file: &File) {}

/// `bytes` random bytes as lowercase hexadecimal digits.
pub fn random_hex(bytes: usize) -> io::Result<String> {
    let mut buffer = vec![0; bytes];
    getrandom::fill(&mut buffer).map_err(io::Error::other)?;
    Ok(buffer.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}
