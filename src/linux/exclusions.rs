//! What a clone of a running Linux system leaves out.

/// What a filesystem keeps for itself at its root.
pub const FILESYSTEMS_OWN: &[&str] = &["lost+found"];

/// Left out of a clone of `/`, and only of that: a data folder may well hold a `tmp` or a `proc`.
///
/// The folders themselves are cloned, since a booting system mounts something on them.
pub const SYSTEM: &[&str] =
    &["/dev/*", "/proc/*", "/sys/*", "/tmp/*", "/run/*", "/mnt/*", "/media/*", "/lost+found", "/swapfile"];
