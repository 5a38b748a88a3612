//! The extended attributes of an entry of an open directory.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::OwnedFd;

/// How many bytes its attributes take up at most, as far as they can be seen: 0 where they cannot.
#[cfg(target_os = "linux")]
#[must_use]
pub fn size(directory: &OwnedFd, name: &CStr) -> u64 {
    use rustix::fs::{lgetxattr_query, llistxattr};
    /// What a filesystem may need for an attribute beside its name and its value, in bytes.
    const EACH: u64 = 32;
    let path = path(directory, name);
    // Most have none, or two or three.
    let mut names = [0_u8; 1024];
    let listed = match llistxattr(&*path, &mut names) {
        Ok(0) | Err(rustix::io::Errno::OPNOTSUPP) => return 0,
        Ok(length) => names[..length].to_vec(),
        Err(rustix::io::Errno::RANGE) => {
            let mut names = vec![0_u8; 1 << 16];
            let length = llistxattr(&*path, &mut names[..]).unwrap_or(0);
            names.truncate(length);
            names
        }
        Err(_) => return 0,
    };
    let one = |name: &CStr| {
        let value = lgetxattr_query(&*path, name).unwrap_or(0);
        (name.to_bytes().len() as u64).saturating_add(value as u64).saturating_add(EACH)
    };
    names_in(&listed).map(one).fold(0, u64::saturating_add)
}

/// No filesystem there is so short of room for them that it would matter.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn size(_directory: &OwnedFd, _name: &CStr) -> u64 {
    0
}

/// There are no calls for a name in an open directory before Linux 6.13; the last part of the path is not followed.
#[cfg(target_os = "linux")]
fn path(directory: &OwnedFd, name: &CStr) -> std::ffi::CString {
    use std::os::fd::AsRawFd as _;
    let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    std::ffi::CString::new(path).unwrap_or_default()
}

#[cfg(target_os = "linux")]
fn names_in(list: &[u8]) -> impl Iterator<Item = &CStr> {
    list.split_inclusive(|byte| *byte == 0).filter_map(|name| CStr::from_bytes_with_nul(name).ok())
}

/// Whether a file can have all attributes of an entry, which it is given; one that it may not have for any other reason
/// than its size is passed over.
#[cfg(target_os = "linux")]
#[must_use]
pub fn fit(directory: &OwnedFd, name: &CStr, to: &File) -> bool {
    use rustix::fs::{XattrFlags, fsetxattr, lgetxattr, llistxattr};
    use rustix::io::Errno;
    let path = path(directory, name);
    let mut names = vec![0_u8; 1 << 16];
    let Ok(length) = llistxattr(&*path, &mut names[..]) else { return true };
    let mut value = vec![0_u8; 1 << 16];
    names_in(&names[..length]).all(|name| {
        let Ok(length) = lgetxattr(&*path, name, &mut value[..]) else { return true };
        let set = fsetxattr(to, name, &value[..length], XattrFlags::empty());
        !matches!(set, Err(Errno::NOSPC | Errno::TOOBIG | Errno::RANGE))
    })
}

/// There it is not asked.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn fit(_directory: &OwnedFd, _name: &CStr, _to: &File) -> bool {
    true
}
