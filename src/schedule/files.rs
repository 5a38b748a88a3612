//! The files of a schedule: ours are recognized by a line that no other file has.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::display;
use crate::failure::refusal::Refusal;
use crate::fs::dir::Dir;
use crate::fs::small_file;
use crate::linux::systemd;
use crate::macos::launchd;

/// The largest file that could be ours, in bytes.
const LARGEST: u64 = 1 << 20;

/// A file of a schedule.
#[derive(Debug)]
pub struct File {
    /// Its name in the system's job directory.
    pub name: OsString,
    /// Its contents.
    pub content: Vec<u8>,
}

impl File {
    /// The file for display, below its path.
    pub fn shown(&self, directory: &Path) -> String {
        let mut text = format!("# {}\n", display::path(&directory.join(&self.name)));
        for line in self.content.strip_suffix(b"\n").unwrap_or(&self.content).split(|byte| *byte == b'\n') {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", display::line(line));
        }
        text
    }
}

/// The named files that exist. Errors if one of them is not ours.
pub fn find<'a>(directory: &Path, names: impl Iterator<Item = &'a OsStr>) -> Result<Vec<File>, Refusal> {
    let mut found = Vec::new();
    for name in names {
        let path = directory.join(name);
        match small_file::read(&path, LARGEST) {
            Ok(content) if has_our_line(&content) => found.push(File { name: name.to_owned(), content }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(_) => return Err(foreign(&path, "it was not written by counterpart schedule")),
            Err(error) => return Err(foreign(&path, &display::reason(&error))),
        }
    }
    Ok(found)
}

fn foreign(path: &Path, why: &str) -> Refusal {
    Refusal::new(format!("{} is left alone: {why}. Choose another --name.", display::path(path)))
}

/// Whether a file in the directory is ours. A link never is: systemd masks units with links.
pub fn is_ours(directory: &Path, name: &OsStr) -> bool {
    small_file::read(&directory.join(name), LARGEST).is_ok_and(|content| has_our_line(&content))
}

fn has_our_line(content: &[u8]) -> bool {
    content
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(systemd::OURS.as_bytes()) || line == launchd::OURS.as_bytes())
}

/// The names in the system's job directory; none if it does not exist.
pub fn names(directory: &Path) -> Result<Vec<OsString>, Refusal> {
    match std::fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => Ok(entries.into_iter().map(|entry| entry.file_name()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(unusable(directory, &error)),
    }
}

/// Writes all files, world-readable, each atomically.
pub fn write(directory: &Path, files: &[File]) -> Result<(), Refusal> {
    let dir = open(directory)?;
    for file in files {
        dir.replace(&file.name, 0o644, &file.content)
            .map_err(|error| unusable(&directory.join(&file.name), &error))?;
    }
    Ok(())
}

/// Removes all files; a missing one is not an error.
pub fn remove(directory: &Path, files: &[File]) -> Result<(), Refusal> {
    let dir = open(directory)?;
    for file in files {
        match dir.remove_file(&file.name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unusable(&directory.join(&file.name), &error));
            }
            _ => {}
        }
    }
    dir.sync().map_err(|error| unusable(directory, &error))
}

fn open(directory: &Path) -> Result<Dir, Refusal> {
    let real: io::Result<PathBuf> = std::fs::canonicalize(directory);
    real.and_then(|real| Dir::open(&real)).map_err(|error| unusable(directory, &error))
}

fn unusable(path: &Path, error: &io::Error) -> Refusal {
    Refusal::new(format!("{} cannot be used: {}.", display::path(path), display::reason(error)))
}
