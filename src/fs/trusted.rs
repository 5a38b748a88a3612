//! Paths that only root and one system account can have arranged, walked through open directories.
//!
//! Each component of such a path belongs to one of the two and is writable by nobody else, and what was checked is held
//! open: swapping a component between check and use has no effect. A directory such as `/tmp` is not trusted, sticky or
//! not, because anyone may have created what is found there.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{Group, User};

use crate::display;
use crate::fs::small_file;

/// How many symbolic links a path may contain, the same as for the kernel.
const MOST_LINKS: usize = 40;

/// How many components a path may have, links resolved.
const MOST_PARTS: usize = 256;

/// An entry of an open directory.
#[derive(Debug)]
pub struct Entry {
    directory: File,
    name: OsString,
    stat: FileStat,
    path: PathBuf,
    account: u32,
}

/// Walks an absolute path. Errors if anyone other than root and the user `account` could have arranged any part of it.
pub fn find(path: &Path, account: u32) -> io::Result<Entry> {
    if !path.is_absolute() {
        return Err(refusal("it is a relative path"));
    }
    let root = File::from(openat(nix::fcntl::AT_FDCWD, "/", DIRECTORY, Mode::empty())?);
    check(&fstat(&root)?, Path::new("/"), account)?;
    Walk { above: vec![root], path: PathBuf::from("/"), account, has_root: true }.follow(path)
}

/// The same, starting from a directory that is trusted as is, for systems where other accounts can write further up.
pub fn find_below(base: &Path, rest: &Path, account: u32) -> io::Result<Entry> {
    let above = vec![File::from(openat(nix::fcntl::AT_FDCWD, base, DIRECTORY, Mode::empty())?)];
    Walk { above, path: base.to_owned(), account, has_root: false }.follow(rest)
}

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

struct Walk {
    /// The open directories, in the order they were entered.
    above: Vec<File>,
    path: PathBuf,
    account: u32,
    /// The first of them is the root directory.
    has_root: bool,
}

impl Walk {
    fn follow(mut self, path: &Path) -> io::Result<Entry> {
        let (mut rest, mut links) = (parts(path), 0);
        while let Some(part) = rest.pop() {
            if part == ".." {
                self.climb()?;
                continue;
            }
            let directory = self.above.last().ok_or(io::ErrorKind::NotFound)?;
            let stat = fstatat(directory, &*part, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            let here = self.path.join(&part);
            check(&stat, &here, self.account)?;
            match kind(&stat) {
                SFlag::S_IFLNK => {
                    links += 1;
                    let target = PathBuf::from(readlinkat(directory, &*part)?);
                    if links > MOST_LINKS || rest.len() > MOST_PARTS {
                        return Err(nix::errno::Errno::ELOOP.into());
                    }
                    if target.is_absolute() {
                        self.restart()?;
                    }
                    rest.extend(parts(&target));
                }
                _ if rest.is_empty() => {
                    let directory = self.above.pop().ok_or(io::ErrorKind::NotFound)?;
                    return Ok(Entry { directory, name: part, stat, path: here, account: self.account });
                }
                _ => {
                    let opened = File::from(openat(directory, &*part, DIRECTORY, Mode::empty())?);
                    check_opened(&opened, &here, self.account)?;
                    self.above.push(opened);
                    self.path = here;
                }
            }
        }
        Err(refusal("it does not name a directory entry"))
    }

    fn climb(&mut self) -> io::Result<()> {
        if self.above.len() > 1 {
            self.above.pop();
            self.path.pop();
            return Ok(());
        }
        if self.has_root { Ok(()) } else { Err(refusal("it points outside its directory")) }
    }

    fn restart(&mut self) -> io::Result<()> {
        if !self.has_root {
            return Err(refusal("it points outside its directory"));
        }
        self.above.truncate(1);
        self.path = PathBuf::from("/");
        Ok(())
    }
}

/// The components of a path, in reverse order.
fn parts(path: &Path) -> Vec<OsString> {
    let is_meant = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(is_meant).map(|part| part.as_os_str().to_owned()).rev().collect()
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn refusal(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why.into())
}

/// Errors if anyone but root and the account can change this. Who may connect to a socket is up to its server, and a
/// link has no mode.
fn check(stat: &FileStat, path: &Path, account: u32) -> io::Result<()> {
    if stat.st_uid != 0 && stat.st_uid != account {
        return Err(refusal(format!("{} belongs to {}", display::path(path), name_of(stat.st_uid))));
    }
    if matches!(kind(stat), SFlag::S_IFLNK | SFlag::S_IFSOCK) {
        return Ok(());
    }
    if stat.st_mode & Mode::S_IWOTH.bits() != 0 {
        return Err(refusal(format!("everybody can write to {}", display::path(path))));
    }
    if stat.st_mode & Mode::S_IWGRP.bits() != 0 && !is_private(stat.st_gid, account) {
        return Err(refusal(format!("a group can write to {}", display::path(path))));
    }
    Ok(())
}

/// The same for an open file: an access control list hides behind the group bits.
fn check_opened(file: &File, path: &Path, account: u32) -> io::Result<()> {
    let stat = fstat(file)?;
    check(&stat, path, account)?;
    if stat.st_mode & Mode::S_IWGRP.bits() != 0 && has_list(file)? {
        return Err(refusal(format!("an access control list lets others write to {}", display::path(path))));
    }
    Ok(())
}

fn has_list(file: &File) -> io::Result<bool> {
    use xattr::FileExt as _;
    match file.get_xattr("system.posix_acl_access") {
        Ok(list) => Ok(list.is_some()),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(false),
        Err(error) => Err(error),
    }
}

/// A user for display.
#[must_use]
pub fn name_of(user: u32) -> String {
    match User::from_uid(user.into()) {
        Ok(Some(user)) => format!("the user {}", display::name(OsStr::new(&user.name))),
        Ok(None) | Err(_) => format!("the user {user}"),
    }
}

/// How much of the user table is read at most, in bytes.
const TABLE: u64 = 1 << 20;

/// Whether root and the account are the only members of a group.
fn is_private(group: u32, account: u32) -> bool {
    let Ok(Some(found)) = Group::from_gid(group.into()) else { return false };
    let Ok(own) = User::from_uid(account.into()) else { return false };
    let is_trusted = |name: &String| name == "root" || own.as_ref().is_some_and(|own| own.name == *name);
    let Ok(table) = small_file::read(Path::new("/etc/passwd"), TABLE) else { return false };
    let table = String::from_utf8_lossy(&table);
    let is_strangers = |line: &str| {
        let mut fields = line.split(':').skip(2).map(|field| field.parse::<u32>().ok());
        let (user, its_group) = (fields.next().flatten(), fields.next().flatten());
        its_group == Some(group) && user.is_none_or(|user| user != 0 && user != account)
    };
    found.mem.iter().all(is_trusted) && !table.lines().any(is_strangers)
}

impl Entry {
    /// Its path, links resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its last part.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// The user and group that own it.
    #[must_use]
    pub fn owner(&self) -> (u32, u32) {
        (self.stat.st_uid, self.stat.st_gid)
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        kind(&self.stat) == SFlag::S_IFDIR
    }

    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        kind(&self.stat) == SFlag::S_IFREG
    }

    /// Whether it is a socket.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        kind(&self.stat) == SFlag::S_IFSOCK
    }

    /// Whether it is an executable regular file.
    #[must_use]
    pub fn is_program(&self) -> bool {
        self.is_file() && self.stat.st_mode & 0o111 != 0
    }

    /// Its device and inode number.
    #[must_use]
    pub fn identity(&self) -> (u64, u64) {
        identity(&self.stat)
    }

    /// Opens the file or directory that was found; errors if another one has taken its place.
    pub fn open(&self) -> io::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.directory, &*self.name, flags, Mode::empty())?);
        check_opened(&file, &self.path, self.account)?;
        if identity(&fstat(&file)?) == self.identity() {
            Ok(file)
        } else {
            Err(refusal(format!("{} was replaced", display::path(&self.path))))
        }
    }

    /// The open directory that contains it.
    #[must_use]
    pub fn directory(&self) -> &File {
        &self.directory
    }
}

/// The device and inode number of a file.
#[must_use]
#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "dev_t and ino_t differ by system")]
pub fn identity(stat: &FileStat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}
