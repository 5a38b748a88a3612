//! Limits of a filesystem that the kernel tells without anything being written.

use std::fs::File;
use std::os::fd::AsFd;

/// Whether this directory itself ignores case: one of ext4, f2fs or tmpfs that was told so, which then compares names in any
/// Unicode form as well.
#[cfg(target_os = "linux")]
#[must_use]
pub fn ignores_case(directory: &File) -> bool {
    /// `FS_CASEFOLD_FL`.
    const CASEFOLD: u32 = 0x4000_0000;
    rustix::fs::ioctl_getflags(directory).is_ok_and(|flags| flags.bits() & CASEFOLD != 0)
}

/// There it belongs to the volume as a whole, and most volumes do.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn ignores_case(directory: &File) -> bool {
    crate::sys::property(directory, nix::libc::_PC_CASE_SENSITIVE) == Some(0)
}

/// Whether all directories of this one's filesystem ignore case if it does.
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

/// There it counts characters, which tells little of the bytes.
#[cfg(not(target_os = "linux"))]
pub fn longest_name(_directory: impl AsFd) -> Option<u64> {
    None
}

/// Whether an open file could have this size: beyond its largest the kernel lets nobody go.
#[cfg(target_os = "linux")]
#[must_use]
pub fn reaches(mut file: &File, size: u64) -> bool {
    use std::io::{Seek as _, SeekFrom};
    file.seek(SeekFrom::Start(size)).is_ok()
}

/// There the filesystem tells how many bits a size has, the sign among them.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn reaches(file: &File, size: u64) -> bool {
    let bits = crate::sys::property(file, nix::libc::_PC_FILESIZEBITS);
    let bits = bits.filter(|bits| (2..64).contains(bits));
    bits.is_none_or(|bits| size < 1 << (bits - 1))
}
