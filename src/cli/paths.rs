//! Paths given on the command line.

use std::path::{Component, Path, PathBuf};

/// Children run in `/`, so a relative path is resolved where it was typed. Trailing slashes and `.` go: `link/` would
/// otherwise be what the link leads to.
pub fn absolute(path: &Path, option: &str) -> Result<PathBuf, String> {
    if path.as_os_str().is_empty() {
        return Err(format!("{option} is empty"));
    }
    let absolute = std::path::absolute(path).map_err(|error| format!("{option}: {error}"))?;
    Ok(absolute.components().filter(|part| *part != Component::CurDir).collect())
}
