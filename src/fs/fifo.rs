//! Frees whoever waits for somebody to write to a FIFO.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;

/// Opens the FIFO that a name leads to from a folder for writing, and closes it again: whoever waits for a writer goes on.
///
/// Nothing but a FIFO is opened, whatever takes its place meanwhile.
pub fn let_go(base: &Path, name: &Path) -> io::Result<()> {
    let base = File::options().read(true).custom_flags((OFlag::O_DIRECTORY | PATH_ONLY).bits()).open(base)?;
    let found = find(&base, name)?;
    if !found.metadata()?.file_type().is_fifo() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // The very FIFO that was looked at: no name is resolved again.
    let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
    File::options().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(itself)?;
    Ok(())
}

#[cfg(target_os = "linux")]
const PATH_ONLY: OFlag = OFlag::O_PATH;

/// Elsewhere nothing is ever found to be freed.
#[cfg(not(target_os = "linux"))]
const PATH_ONLY: OFlag = OFlag::empty();

/// A handle of what a name leads to from a folder; below its ends rsync follows no link, so a relative name is followed
/// through none.
#[cfg(target_os = "linux")]
fn find(base: &File, name: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // The way to an end may lead through links; the base is the root then.
    let resolve = if name.is_absolute() { ResolveFlags::IN_ROOT } else { ResolveFlags::NO_SYMLINKS };
    let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
    let found = match openat2(base, name, flags, Mode::empty(), resolve) {
        // A kernel before 5.6 follows links on the way; what it finds is a FIFO or is not opened.
        Err(rustix::io::Errno::NOSYS) => {
            openat(base, name.strip_prefix("/").unwrap_or(name), flags, Mode::empty())
        }
        found => found,
    };
    Ok(File::from(found?))
}

/// No other system tells what a process waits for.
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

    /// A folder with a FIFO, which has a reader.
    fn fifo(folder: &Path) -> fs::File {
        fs::create_dir(folder.join("real")).unwrap();
        mkfifo(&folder.join("real/fifo"), Mode::S_IRWXU).unwrap();
        fs::File::options().read(true).write(true).open(folder.join("real/fifo")).unwrap()
    }

    #[test]
    fn a_fifo_is_opened_by_each_kind_of_name() {
        let folder = tempfile::tempdir().unwrap();
        let _reader = fifo(folder.path());
        let_go(folder.path(), Path::new("real/fifo")).unwrap();
        let_go(Path::new("/proc/self/root"), &folder.path().join("real/fifo")).unwrap();
    }

    #[test]
    fn nothing_else_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let _reader = fifo(folder.path());
        symlink("real", folder.path().join("link")).unwrap();
        symlink("real/fifo", folder.path().join("straight")).unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        for name in ["link/fifo", "straight", "file", "real", "none", "../../dev/null"] {
            assert!(let_go(folder.path(), Path::new(name)).is_err(), "{name}");
        }
        for name in ["/dev/null", "/dev/zero"] {
            assert!(let_go(Path::new("/proc/self/root"), Path::new(name)).is_err(), "{name}");
        }
    }
}
