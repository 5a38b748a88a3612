//! What a clone of a Mac excludes: the original's patterns and those that later systems need.

use std::path::Path;

/// What a volume keeps at its root for its own use. It is never deleted at the destination.
pub const FILESYSTEMS_OWN: &[&str] =
    &[".fseventsd", ".Spotlight-V100", ".DocumentRevisions-V100", ".TemporaryItems", ".Trashes"];

/// Excluded from every clone: what a volume or a user's session keeps for its own use, wherever it is.
pub const ALWAYS: &[&str] = &[
    ".Trash",
    ".Trashes",
    ".Spotlight-*/",
    ".DocumentRevisions-*/",
    ".TemporaryItems",
    "/.fseventsd",
    "/.hotfiles.btree",
    "/.journal*",
];

/// Excluded from a clone of a system only: a data directory may well contain a `Library/Caches`.
pub const SYSTEM: &[&str] = &[
    "/private/var/db/dyld/dyld_*",
    "/System/Library/Caches/com.apple.bootstamps/*",
    "/System/Library/Caches/com.apple.corestorage/*",
    "/System/Library/Caches/com.apple.kext.caches/*",
    "/Library/Caches/*",
    "/Volumes/*",
    "/dev/*",
    "/automount",
    "/Network",
    "/.vol/*",
    "/net",
    "/private/var/folders/*",
    "/private/var/vm/*",
    "/private/tmp/*",
    "/cores",
    "/private/var/db/systemstats",
    "/macOS Install Data",
    "/.MobileBackups",
    "/Backups.backupdb",
    "/private/var/db/dslocal/nodes/Default/secureaccesstoken.plist",
    "/private/var/db/searchparty",
    "/private/var/db/ConfigurationProfiles/Store",
    "/System/Volumes/*",
];

/// The root directories of a running system: its own and, from macOS 11 on, its data volume's.
pub const SYSTEM_ROOTS: &[&str] = &["/", "/System/Volumes/Data"];

/// What identifies the root of another system: its version file, or, on a data volume, which has none, its accounts.
pub const SYSTEM_SIGNS: &[&str] =
    &["System/Library/CoreServices/SystemVersion.plist", "private/var/db/dslocal/nodes/Default"];

/// Whether a directory, given by its canonical path, is the root of a system.
#[must_use]
pub fn is_system(path: &Path) -> bool {
    SYSTEM_ROOTS.iter().any(|root| path == Path::new(root))
        || SYSTEM_SIGNS.iter().any(|sign| path.join(sign).exists())
}
