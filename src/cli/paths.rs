//! Paths given on the command line.

use std::path::{Component, Path, PathBuf};

use crate::display;
use crate::plan::tag::Tag;

/// Children run in `/`, so a relative path is resolved where it was typed. Trailing slashes and `.` go: `link/` would
/// otherwise be what the link leads to.
pub fn absolute(path: &Path, option: &str) -> Result<PathBuf, String> {
    if path.as_os_str().is_empty() {
        return Err(format!("{option} is empty"));
    }
    let absolute = std::path::absolute(path).map_err(|error| format!("{option}: {error}"))?;
    Ok(absolute.components().filter(|part| *part != Component::CurDir).collect())
}

/// A destination as given: an absolute path, or what names a filesystem.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destination {
    /// The path, or the tag's own text.
    pub path: PathBuf,
    /// The tag.
    pub named: Option<Tag>,
}

/// Reads a destination. A directory whose name looks like a tag is given as `./UUID=…`.
pub fn destination(path: &Path) -> Result<Destination, String> {
    match Tag::read(path.as_os_str()) {
        Some(Ok(tag)) => Ok(Destination { path: tag.text().into(), named: Some(tag) }),
        Some(Err(why)) => Err(format!("--destination {}: {why}", display::path(path))),
        None => Ok(Destination { path: absolute(path, "--destination")?, named: None }),
    }
}
