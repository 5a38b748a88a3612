//! Releases a process that is blocked until someone writes to a FIFO.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;

/// Opens a FIFO, named relative to a directory, for writing and closes it again: whoever waits for a writer continues.
///
/// Only a FIFO is opened, whatever takes its place meanwhile.
pub fn let_go(base: &Path, name: &Path) -> io::Result<()> {
    let base = File::options().read(true).custom_flags((OFlag::O_DIRECTORY | PATH_ONLY).bits()).open(base)?;
    let found = find(&base, name)?;
    if !found.metadata()?.file_type().is_fifo() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // The very FIFO that was checked: no name is resolved again.
    let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
    File::options().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(itself)?;
    Ok(())
}

/// Has a process that waits for a writer open its FIFO again, by stopping it and letting it go on; returns whether it was
/// waiting. Requires Linux 5.3.
#[cfg(target_os = "linux")]
#[must_use]
pub fn open_again(number: i32, is_waiting: impl FnOnce() -> bool) -> bool {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    let Some(process) = Pid::from_raw(number).and_then(|id| pidfd_open(id, PidfdFlags::empty()).ok()) else {
        return false;
    };
    // Asked only now: before, the number could have become another's.
    is_waiting()
        && [Signal::STOP, Signal::CONT].into_iter().all(|signal| pidfd_send_signal(&process, signal).is_ok())
}

/// Other systems do not report what a process is waiting for.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn open_again(_number: i32, _is_waiting: impl FnOnce() -> bool) -> bool {
    false
}

#[cfg(target_os = "linux")]
const PATH_ONLY: OFlag = OFlag::O_PATH;

/// Other systems never find one to release.
#[cfg(not(target_os = "linux"))]
const PATH_ONLY: OFlag = OFlag::empty();

/// A handle on what a name leads to from a directory. Below source and destination rsync follows no links, so neither
/// does a relative name.
#[cfg(target_os = "linux")]
fn find(base: &File, name: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // The path to source or destination may contain links; the base is the root directory then.
    let resolve = if name.is_absolute() { ResolveFlags::IN_ROOT } else { ResolveFlags::NO_SYMLINKS };
    let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
    let found = match openat2(base, name, flags, Mode::empty(), resolve) {
        // A kernel before 5.6 follows links on the way; what it finds is opened only if it is a FIFO.
        Err(rustix::io::Errno::NOSYS) => {
            openat(base, name.strip_prefix("/").unwrap_or(name), flags, Mode::empty())
        }
        found => found,
    };
    Ok(File::from(found?))
}

/// Other systems do not report what a process is waiting for.
#[cfg(not(target_os = "linux"))]
fn find(_base: &File, _name: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::let_go;

    /// A directory with a FIFO that has a reader.
    fn fifo(dir: &Path) -> fs::File {
        fs::create_dir(dir.join("real")).unwrap();
        mkfifo(&dir.join("real/fifo"), Mode::S_IRWXU).unwrap();
        fs::File::options().read(true).write(true).open(dir.join("real/fifo")).unwrap()
    }

    #[test]
    fn a_fifo_is_opened_by_each_kind_of_name() {
        let dir = tempfile::tempdir().unwrap();
        let _reader = fifo(dir.path());
        let_go(dir.path(), Path::new("real/fifo")).unwrap();
        let_go(Path::new("/proc/self/root"), &dir.path().join("real/fifo")).unwrap();
    }

    #[test]
    fn nothing_else_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let _reader = fifo(dir.path());
        symlink("real", dir.path().join("link")).unwrap();
        symlink("real/fifo", dir.path().join("straight")).unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        for name in ["link/fifo", "straight", "file", "real", "none", "../../dev/null"] {
            assert!(let_go(dir.path(), Path::new(name)).is_err(), "{name}");
        }
        for name in ["/dev/null", "/dev/zero"] {
            assert!(let_go(Path::new("/proc/self/root"), Path::new(name)).is_err(), "{name}");
        }
    }
}
