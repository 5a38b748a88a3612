//! A kernel lock keyed by a directory's device and inode number. It is released when its last holder exits.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, access};

use crate::fs::dir::{Dir, FileIdentity};
use crate::fs::space::Space;

/// The suffix of our lock files' names.
const ENDING: &str = ".lock";

/// A held lock.
#[derive(Debug)]
pub struct Lock(Flock<std::fs::File>);

impl Lock {
    /// Locks a directory; `None` if it is locked already.
    ///
    /// The lock file is never removed: otherwise two processes could lock two files of the same name. Errors if the
    /// lock directory is not ours alone, or cannot be created or written.
    pub fn take(lock_dir: &Path, dir: FileIdentity) -> io::Result<Option<Self>> {
        let locks = Dir::open_or_create(lock_dir, 0o700)?;
        refuse_strangers(&locks)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&locks, file_name(dir).as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        Self::hold(std::fs::File::from(file))
    }

    /// The identity of a directory's lock file, without creating or opening anything; `None` if there is none.
    ///
    /// Errors if the lock directory is not ours alone.
    pub fn examine(lock_dir: &Path, dir: FileIdentity) -> io::Result<Option<FileIdentity>> {
        match Dir::open(lock_dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => refuse_strangers(&opened?)?,
        }
        match std::fs::symlink_metadata(lock_dir.join(file_name(dir))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => Ok(Some(FileIdentity::from(&found?))),
        }
    }

    /// Whether a lock file could be created or opened in the lock directory, which need not exist: its disk is neither
    /// full nor read-only.
    #[must_use]
    pub fn has_room(lock_dir: &Path) -> bool {
        let there = lock_dir.ancestors().find(|above| above.is_dir());
        there.is_some_and(|there| {
            access(there, AccessFlags::W_OK) != Err(Errno::EROFS)
                && Dir::open(there).and_then(|dir| Space::of(&dir)).is_ok_and(|space| {
                    (space.total == 0 || space.available > 0) && (space.inodes == 0 || space.free_inodes > 0)
                })
        })
    }

    /// Locks the directory itself, if there is no space for a lock file.
    ///
    /// Anyone who can read the directory could hold that lock, so this is the second choice.
    pub fn take_on(dir: &Dir) -> io::Result<Option<Self>> {
        Self::hold(std::fs::File::from(dir.as_fd().try_clone_to_owned()?))
    }

    /// Whether any lock in this directory is held: each is tried for a moment, shared with others that try.
    ///
    /// Errors if the lock directory is not ours alone, or a lock cannot be tried.
    pub fn any_held(lock_dir: &Path) -> io::Result<bool> {
        let locks = match Dir::open(lock_dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        refuse_strangers(&locks)?;
        for name in locks.names()? {
            if !name.as_encoded_bytes().ends_with(ENDING.as_bytes()) {
                continue;
            }
            let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            let file = std::fs::File::from(openat(&locks, name.as_os_str(), flags, Mode::empty())?);
            match Flock::lock(file, FlockArg::LockSharedNonblock) {
                Ok(_) => {}
                Err((_, Errno::EWOULDBLOCK)) => return Ok(true),
                Err((_, error)) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    fn hold(file: std::fs::File) -> io::Result<Option<Self>> {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => Ok(Some(Self(held))),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }

    /// A second handle to the same lock, for a child: the lock is released when both are closed.
    pub fn share(&self) -> io::Result<OwnedFd> {
        self.0.as_fd().try_clone_to_owned()
    }
}

fn file_name(dir: FileIdentity) -> String {
    format!("{:x}-{:x}{ENDING}", dir.device, dir.inode)
}

/// In a directory that others can change, anything could have the name of our lock file.
fn refuse_strangers(locks: &Dir) -> io::Result<()> {
    let metadata = locks.metadata()?;
    if metadata.uid() != nix::unistd::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the lock directory is owned by another user",
        ));
    }
    Ok(())
}
