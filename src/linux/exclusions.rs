//! What a clone of a running Linux system leaves out.

use std::path::Path;

/// What a filesystem keeps for itself at its root.
pub const FILESYSTEMS_OWN: &[&str] = &["lost+found"];

/// Left out of a clone of `/`, and only of that: a data directory may well hold a `tmp` or a `proc`.
///
/// The directories themselves are cloned, since a booting system mounts something on them.
pub const SYSTEM: &[&str] =
    &["/dev/*", "/proc/*", "/sys/*", "/tmp/*", "/run/*", "/mnt/*", "/media/*", "/lost+found", "/swapfile"];

/// Whether a directory, by its canonical path, is the root of a system.
#[must_use]
pub fn is_system(path: &Path) -> bool {
    path == Path::new("/")
}
