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

/// Reads a source.
pub fn source(path: &Path) -> Result<PathBuf, String> {
    refuse_remote(path, "--source")?;
    absolute(path, "--source")
}

/// Refuses what rsync would take for a place on another machine, unless there is something by that name here.
fn refuse_remote(path: &Path, option: &str) -> Result<(), String> {
    let text = path.as_os_str().as_encoded_bytes();
    let colon = text.iter().position(|byte| *byte == b':');
    // As rsync reads it: a host's name ends at a colon before the first slash.
    let is_remote = colon.is_some_and(|colon| colon > 0 && !text[..colon].contains(&b'/'));
    if !is_remote || path.symlink_metadata().is_ok() {
        return Ok(());
    }
    Err(format!(
        "{option} {}: another machine can be neither source nor destination. Mount it here, or run Counterpart there. \
         (A directory by this name in the current one is ./{0})",
        display::path(path)
    ))
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
        None => {
            refuse_remote(path, "--destination")?;
            Ok(Destination { path: absolute(path, "--destination")?, named: None })
        }
    }
}
