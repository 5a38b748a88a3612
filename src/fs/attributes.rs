//! The extended attributes of an entry in an open directory.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::OwnedFd;

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

/// Whether two entries of one name have the same attributes and access control lists, as far as a clone copies them; not if
/// they cannot be read.
#[cfg(target_os = "linux")]
#[must_use]
pub fn are_equal(source: &OwnedFd, copy: &OwnedFd, name: &CStr) -> bool {
    let (source, copy) = (path(source, name), path(copy, name));
    match (names(&source), names(&copy)) {
        (Some(names), Some(others)) => {
            let value = |path, name: &CStr| {
                let mut value = vec![0_u8; 1 << 16];
                let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
                value.truncate(length);
                Some(value)
            };
            names == others
                && names.iter().all(|name| {
                    let here = value(&*source, name);
                    here.is_some() && here == value(&*copy, name)
                })
        }
        _ => false,
    }
}

/// The sorted names of the attributes that a clone copies.
#[cfg(target_os = "linux")]
fn names(path: &CStr) -> Option<Vec<std::ffi::CString>> {
    use rustix::io::Errno;
    let is_copied = |name: &&CStr| {
        let name = name.to_bytes();
        let is_list = name.starts_with(b"system.posix_acl_");
        (is_list || !name.starts_with(b"system.")) && !name.starts_with(b"trusted.SGI_ACL_")
    };
    let mut buffer = [0_u8; 1024];
    let found = |list: &[u8]| {
        let mut found: Vec<_> = names_in(list).filter(is_copied).map(CStr::to_owned).collect();
        found.sort_unstable();
        found
    };
    match rustix::fs::llistxattr(path, &mut buffer) {
        Ok(length) => Some(found(&buffer[..length])),
        Err(Errno::OPNOTSUPP) => Some(Vec::new()),
        Err(Errno::RANGE) => {
            let mut buffer = vec![0_u8; 1 << 16];
            let length = rustix::fs::llistxattr(path, &mut buffer[..]).ok()?;
            Some(found(&buffer[..length]))
        }
        Err(_) => None,
    }
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
