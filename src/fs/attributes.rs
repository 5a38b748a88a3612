//! The extended attributes of an entry in an open directory.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

#[cfg(target_os = "linux")]
use crate::sys;

/// An upper bound on the bytes its attributes take up, as far as they are visible; 0 if they are not.
#[cfg(target_os = "linux")]
#[must_use]
pub fn size(directory: &OwnedFd, name: &CStr) -> u64 {
    use rustix::fs::{lgetxattr_query, llistxattr};
    /// What a filesystem may need per attribute in addition to name and value, in bytes.
    const EACH: u64 = 32;
    let path = path(directory, name);
    // Most entries have at most two or three.
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

/// No filesystem on these systems is tight enough on attribute space to matter.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn size(_directory: &OwnedFd, _name: &CStr) -> u64 {
    0
}

/// Before Linux 6.13 no call takes a name relative to an open directory; the last component is not followed.
#[cfg(target_os = "linux")]
fn path(directory: impl AsFd, name: &CStr) -> std::ffi::CString {
    use std::os::fd::AsRawFd as _;
    let mut path = format!("/proc/self/fd/{}/", directory.as_fd().as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    std::ffi::CString::new(path).unwrap_or_default()
}

/// The names in a list of attributes as the kernel gives it.
#[cfg(target_os = "linux")]
pub fn names_in(list: &[u8]) -> impl Iterator<Item = &CStr> {
    list.split_inclusive(|byte| *byte == 0).filter_map(|name| CStr::from_bytes_with_nul(name).ok())
}

/// Whether two entries of one name have the same attributes and access control lists, as far as a clone copies them; not if
/// they cannot be read.
#[cfg(target_os = "linux")]
#[must_use]
pub fn are_equal(source: &OwnedFd, copy: &OwnedFd, name: &CStr) -> bool {
    let (Some(here), Some(there)) = (names(source, name), names(copy, name)) else { return false };
    if here.is_empty() && there.is_empty() {
        return true;
    }
    let (source, copy) = (path(source, name), path(copy, name));
    let value = |path, name: &CStr| {
        let mut value = vec![0_u8; 1 << 16];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
        value.truncate(length);
        Some(value)
    };
    here == there
        && here.iter().all(|name| {
            let here = value(&*source, name);
            here.is_some() && here == value(&*copy, name)
        })
}

/// Whether the attribute of this name is one that a clone copies: what a filesystem makes up, it makes up for the copy too.
#[cfg(target_os = "linux")]
#[must_use]
pub fn is_copied(name: &CStr) -> bool {
    let name = name.to_bytes();
    let is_list = name.starts_with(b"system.posix_acl_");
    (is_list || !name.starts_with(b"system.")) && !name.starts_with(b"trusted.SGI_ACL_")
}

/// Whether an entry has no attribute and no access control list that a clone copies; not if that cannot be determined.
#[cfg(target_os = "linux")]
#[must_use]
pub fn has_none(directory: impl AsFd, name: &CStr) -> bool {
    names(directory, name).is_some_and(|names| names.is_empty())
}

/// Not determined on these systems.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn has_none(_directory: impl AsFd, _name: &CStr) -> bool {
    false
}

/// The sorted names of the attributes that a clone copies; `None` if they cannot be determined.
#[cfg(target_os = "linux")]
fn names(directory: impl AsFd, name: &CStr) -> Option<Vec<std::ffi::CString>> {
    use nix::errno::Errno;
    let mut buffer = [0_u8; 1024];
    let found = |list: &[u8]| {
        let mut found: Vec<_> = names_in(list).filter(|name| is_copied(name)).map(CStr::to_owned).collect();
        found.sort_unstable();
        found
    };
    match list(&directory, name, &mut buffer) {
        Ok(0) | Err(Errno::EOPNOTSUPP) => Some(Vec::new()),
        Ok(length) => Some(found(&buffer[..length])),
        Err(Errno::ERANGE) => {
            let mut buffer = vec![0_u8; 1 << 16];
            let length = list(&directory, name, &mut buffer).ok()?;
            Some(found(&buffer[..length]))
        }
        Err(_) => None,
    }
}

#[cfg(target_os = "linux")]
fn list(directory: impl AsFd, name: &CStr, buffer: &mut [u8]) -> nix::Result<usize> {
    use std::sync::atomic::{AtomicBool, Ordering};
    /// The kernel has the call that takes a directory.
    static TAKES_DIRECTORY: AtomicBool = AtomicBool::new(true);
    if TAKES_DIRECTORY.load(Ordering::Relaxed) {
        match sys::list_attributes(&directory, name, buffer) {
            Err(nix::errno::Errno::ENOSYS | nix::errno::Errno::EPERM) => {
                TAKES_DIRECTORY.store(false, Ordering::Relaxed);
            }
            listed => return listed,
        }
    }
    rustix::fs::llistxattr(&*path(&directory, name), buffer)
        .map_err(|error| nix::errno::Errno::from_raw(error.raw_os_error()))
}

/// Not compared on these systems, where no quick pass is made.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn are_equal(_source: &OwnedFd, _copy: &OwnedFd, _name: &CStr) -> bool {
    true
}

/// Whether a file can hold all attributes of an entry, which are set on it; an attribute that fails for any reason
/// other than its size is skipped.
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

/// Not checked on these systems.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn fit(_directory: &OwnedFd, _name: &CStr, _to: &File) -> bool {
    true
}
