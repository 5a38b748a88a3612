//! Limits of a filesystem that the kernel reports without writing anything.

use std::fs::File;
use std::os::fd::AsFd;

/// Whether this directory itself ignores case: possible on ext4, f2fs and tmpfs, which then also treat different
/// Unicode forms of a name as equal.
#[cfg(target_os = "linux")]
#[must_use]
pub fn ignores_case(directory: &File) -> bool {
    /// `FS_CASEFOLD_FL`.
    const CASEFOLD: u32 = 0x4000_0000;
    rustix::fs::ioctl_getflags(directory).is_ok_and(|flags| flags.bits() & CASEFOLD != 0)
}

/// Elsewhere this is a property of the whole volume, and most ignore case.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn ignores_case(directory: &File) -> bool {
    crate::sys::property(directory, nix::libc::_PC_CASE_SENSITIVE) == Some(0)
}

/// Whether all directories of a filesystem ignore case if this one does.
#[must_use]
pub fn whole_volume_ignores_case(directory: &File) -> bool {
    cfg!(not(target_os = "linux")) && ignores_case(directory)
}

/// The length of the longest name, in bytes.
#[cfg(target_os = "linux")]
pub fn longest_name(directory: impl AsFd) -> Option<u64> {
    let found = nix::sys::statvfs::fstatvfs(directory).ok()?;
    Some(found.name_max()).filter(|most| *most > 0)
}

/// Elsewhere it is in characters, which says little about bytes.
#[cfg(not(target_os = "linux"))]
pub fn longest_name(_directory: impl AsFd) -> Option<u64> {
    None
}

/// Whether an open file could have this size: the kernel does not allow seeking beyond the filesystem's maximum.
#[cfg(target_os = "linux")]
#[must_use]
pub fn reaches(mut file: &File, size: u64) -> bool {
    use std::io::{Seek as _, SeekFrom};
    file.seek(SeekFrom::Start(size)).is_ok()
}

/// Elsewhere the filesystem reports how many bits a size has, including the sign.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn reaches(file: &File, size: u64) -> bool {
    let bits = crate::sys::property(file, nix::libc::_PC_FILESIZEBITS);
    let bits = bits.filter(|bits| (2..64).contains(bits));
    bits.is_none_or(|bits| size < 1 << (bits - 1))
}
