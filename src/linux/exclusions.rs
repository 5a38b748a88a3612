//! What a clone of a running Linux system excludes.

use std::path::Path;

/// What a filesystem keeps at its root for its own use.
pub const FILESYSTEMS_OWN: &[&str] = &["lost+found"];

/// Excluded from a clone of `/` only: a data directory may well contain a `tmp` or a `proc`.
///
/// The directories themselves are cloned, because a booting system needs them as mount points.
pub const SYSTEM: &[&str] =
    &["/dev/*", "/proc/*", "/sys/*", "/tmp/*", "/run/*", "/mnt/*", "/media/*", "/lost+found", "/swapfile"];

/// Whether this lies in one of the directories whose contents a clone of a system excludes.
#[must_use]
pub fn is_left_out(point: &Path) -> bool {
    let dirs = SYSTEM.iter().filter_map(|pattern| pattern.strip_suffix("/*"));
    dirs.into_iter().any(|dir| point.starts_with(dir))
}

/// Whether a directory, given by its canonical path, is the root of a system.
#[must_use]
pub fn is_system(path: &Path) -> bool {
    path == Path::new("/")
}
