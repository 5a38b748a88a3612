//! Who else can change a program that we run: whoever can write to it, or to a directory above it, is us.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// How many links are followed, the same as on Linux.
const MOST_LINKS: u32 = 40;

/// The first file or directory on the way to `path` that others can change: one not owned by root or this user, or
/// writable by others. The targets of links are checked as well.
///
/// Errors if a part of the path cannot be checked.
pub fn changeable(path: &Path, uid: u32) -> io::Result<Option<PathBuf>> {
    let mut rest: Vec<PathBuf> = parts(path);
    let mut here = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part == Path::new("..") {
            here.pop();
            continue;
        }
        let next = here.join(&part);
        let metadata = std::fs::symlink_metadata(&next)?;
        if metadata.is_symlink() {
            // Only the directory that contains a link decides who can change it.
            links += 1;
            if links > MOST_LINKS {
                return Err(io::Error::other("too many symbolic links"));
            }
            let target = std::fs::read_link(&next)?;
            if target.is_absolute() {
                here = PathBuf::from("/");
            }
            rest.extend(parts(&target));
            continue;
        }
        if is_changeable(&metadata, uid) {
            return Ok(Some(next));
        }
        here = next;
    }
    Ok(None)
}

/// The components of a path, including `..`, in reverse order.
fn parts(path: &Path) -> Vec<PathBuf> {
    let is_step = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    let mut parts: Vec<PathBuf> =
        path.components().filter(is_step).map(|part| Path::new(part.as_os_str()).to_owned()).collect();
    parts.reverse();
    parts
}

fn is_changeable(metadata: &std::fs::Metadata, uid: u32) -> bool {
    let is_strangers = metadata.uid() != 0 && metadata.uid() != uid;
    // In a sticky directory others can neither replace nor rename files that are not theirs.
    let is_sticky = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
    // An access control list shows up in the group bits.
    let by_group = metadata.mode() & 0o020 != 0 && metadata.gid() != 0;
    is_strangers || (!is_sticky && (by_group || metadata.mode() & 0o002 != 0))
}
