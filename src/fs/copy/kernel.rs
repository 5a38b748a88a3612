//! What the kernel copies by itself.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::atomic::AtomicBool;

/// How much is copied between two looks at whether to go on, in bytes.
#[cfg(target_os = "linux")]
const CHUNK: u64 = 8 << 20;

/// Lets the copy share the blocks of the file; `Some(false)` if that is not possible with this file, `None` if with no file.
#[cfg(target_os = "linux")]
pub fn reflink(from: &File, to: &File) -> Option<bool> {
    use rustix::io::Errno;
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => Some(true),
        Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOSYS) => None,
        Err(_) => Some(false),
    }
}

/// Other systems make no first copy.
#[cfg(not(target_os = "linux"))]
pub fn reflink(_from: &File, _to: &File) -> Option<bool> {
    None
}

/// Copies what lies between the holes.
#[cfg(target_os = "linux")]
pub fn sparse(
    is_able: &AtomicBool,
    from: &File,
    to: &File,
    size: u64,
    go_on: &dyn Fn(u64) -> bool,
) -> io::Result<()> {
    use rustix::fs::{SeekFrom, ftruncate, seek};
    let mut at = 0;
    while at < size {
        let data = match seek(from, SeekFrom::Data(at)) {
            Ok(data) => data.min(size),
            // Only a hole is left.
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let hole = if data < size { seek(from, SeekFrom::Hole(data))?.min(size) } else { size };
        range(is_able, from, to, data..hole, go_on)?;
        at = hole;
    }
    Ok(ftruncate(to, size)?)
}

/// Other systems make no first copy.
#[cfg(not(target_os = "linux"))]
pub fn sparse(
    _is_able: &AtomicBool,
    _from: &File,
    _to: &File,
    _size: u64,
    _go_on: &dyn Fn(u64) -> bool,
) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Copies a part of a file to the same place in another one. `is_able` becomes false if the filesystems cannot do it, and
/// the data has to go through a pipe.
#[cfg(target_os = "linux")]
pub fn range(
    is_able: &AtomicBool,
    from: &File,
    to: &File,
    part: Range<u64>,
    go_on: &dyn Fn(u64) -> bool,
) -> io::Result<()> {
    use rustix::fs::{SeekFrom, copy_file_range, seek, sendfile};
    use rustix::io::Errno;
    use std::sync::atomic::Ordering;
    let mut at = part.start;
    while at < part.end {
        let length = usize::try_from((part.end - at).min(CHUNK)).unwrap_or(usize::MAX);
        let copied = if is_able.load(Ordering::Relaxed) {
            let (mut here, mut there) = (at, at);
            match copy_file_range(from, Some(&mut here), to, Some(&mut there), length) {
                Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                    is_able.store(false, Ordering::Relaxed);
                    continue;
                }
                copied => copied?,
            }
        } else {
            seek(to, SeekFrom::Start(at))?;
            let mut here = at;
            sendfile(to, from, Some(&mut here), length)?
        };
        if copied == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        at += copied as u64;
        if !go_on(copied as u64) {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
    Ok(())
}

/// Other systems make no first copy.
#[cfg(not(target_os = "linux"))]
pub fn range(
    _is_able: &AtomicBool,
    _from: &File,
    _to: &File,
    _part: Range<u64>,
    _go_on: &dyn Fn(u64) -> bool,
) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Copies attributes and access control lists.
#[cfg(target_os = "linux")]
pub fn attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    use crate::fs::attributes::{is_copied, names_in};
    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
    use rustix::io::Errno;
    let mut names = [0_u8; 1024];
    let names = match flistxattr(from, &mut names) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(()),
        Ok(length) => names[..length].to_vec(),
        Err(Errno::RANGE) => {
            let mut names = vec![0_u8; 1 << 16];
            let length = flistxattr(from, &mut names[..])?;
            names.truncate(length);
            names
        }
        Err(error) => return Err(error.into()),
    };
    let mut value = vec![0_u8; 1 << 16];
    for name in names_in(&names).filter(|name| is_copied(name)) {
        let length = fgetxattr(from, name, &mut value[..])?;
        fsetxattr(to, name, &value[..length], XattrFlags::empty())?;
    }
    Ok(())
}

/// Other systems make no first copy.
#[cfg(not(target_os = "linux"))]
pub fn attributes(_from: BorrowedFd<'_>, _to: BorrowedFd<'_>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
