//! Where filesystems are mounted.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Whether a filesystem is mounted at `path`.
#[must_use]
pub fn is_mount_point(path: &Path) -> bool {
    mount_point(path) == path
}

/// The directory where the filesystem that holds `path` is mounted.
#[must_use]
pub fn mount_point(path: &Path) -> PathBuf {
    let device = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let here = device(path);
    path.ancestors().take_while(|above| device(above) == here).last().unwrap_or(path).to_owned()
}
