//! The paths to restore.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::FileStat;

use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::fs::dir::Dir;
use crate::restore::output::unreadable;

/// A path below the clone's root; empty for the root itself.
pub struct Wanted {
    /// Without a leading slash.
    pub relative: PathBuf,
}

impl Wanted {
    /// Parses a path from the command line.
    pub fn read(path: &Path) -> Result<Self, Refusal> {
        let mut relative = PathBuf::new();
        for part in path.components() {
            match part {
                Component::Normal(name) => relative.push(name),
                Component::RootDir | Component::CurDir => {}
                Component::ParentDir | Component::Prefix(_) => {
                    let sentence =
                        format!("{} holds \"..\", which means nothing in a safety net.", display::path(path));
                    return Err(Refusal(ExitCode::USAGE, sentence));
                }
            }
        }
        if path.as_os_str().is_empty() || path.as_os_str().as_bytes().contains(&0) {
            return Err(Refusal(
                ExitCode::USAGE,
                "A path is empty; / stands for all of a safety net.".to_owned(),
            ));
        }
        Ok(Self { relative })
    }

    /// Looks up this path in a tree, without following links on the way.
    pub fn look(&self, root: &Dir) -> Result<Option<FileStat>, Refusal> {
        let unreadable = |error| unreadable(&root.shown().join(&self.relative), &error);
        if self.relative.as_os_str().is_empty() {
            return root.stat(std::ffi::OsStr::new(".")).map_err(unreadable);
        }
        let Some(name) = self.relative.file_name() else { return Ok(None) };
        let mut above = None;
        for part in self.relative.parent().into_iter().flat_map(Path::iter) {
            match above.as_ref().unwrap_or(root).enter(part) {
                Ok(below) => above = Some(below),
                Err(error) if is_no_dir(&error) => return Ok(None),
                Err(error) => return Err(unreadable(error)),
            }
        }
        above.as_ref().unwrap_or(root).stat(name).map_err(unreadable)
    }
}

fn is_no_dir(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw);
    matches!(number, Some(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP))
}

impl fmt::Display for Wanted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = OsString::from("/");
        path.push(&self.relative);
        display::name(&path).fmt(formatter)
    }
}
