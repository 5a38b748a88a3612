//! Looks for a file in a directory that is another system's root: its links lead where they would lead there, and never
//! out of it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};

use crate::fs::dir::Dir;

/// How many links are followed in one path, the same as on Linux.
const MOST_LINKS: usize = 40;

/// What a path leads to in the system whose root is `root`; `None` if it leads nowhere.
pub fn find(root: &Dir, path: &Path) -> io::Result<Option<FileStat>> {
    match look(root, path) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a path leads to a program there.
pub fn has_program(root: &Dir, path: &Path) -> io::Result<bool> {
    let is_program = |found: FileStat| {
        let kind = SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits());
        kind == SFlag::S_IFREG && found.st_mode & 0o111 != 0
    };
    Ok(find(root, path)?.is_some_and(is_program))
}

fn look(root: &Dir, path: &Path) -> Result<FileStat, Errno> {
    // The directories above the one we are in: `..` never climbs higher than the first.
    let mut way: Vec<File> = Vec::new();
    let mut rest: Vec<OsString> = Vec::new();
    let mut links = 0;
    push(&mut rest, path);
    while let Some(name) = rest.pop() {
        if name == ".." {
            way.pop();
            continue;
        }
        let here = way.last().unwrap_or(root.file());
        let found = fstatat(here, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let kind = SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits());
        if kind == SFlag::S_IFLNK {
            links += 1;
            if links > MOST_LINKS {
                return Err(Errno::ELOOP);
            }
            let target = readlinkat(here, name.as_os_str())?;
            let target = Path::new(&target);
            if target.is_absolute() {
                way.clear();
            }
            push(&mut rest, target);
        } else if rest.is_empty() {
            return Ok(found);
        } else {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let below = File::from(openat(here, name.as_os_str(), flags, Mode::empty())?);
            way.push(below);
        }
    }
    fstatat(way.last().unwrap_or(root.file()), ".", AtFlags::empty())
}

/// Pushes the components of a path on a stack, the first on top.
fn push(rest: &mut Vec<OsString>, path: &Path) {
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    rest.extend(parts);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

    use super::{find, has_program};
    use crate::fs::dir::Dir;

    #[test]
    fn links_lead_where_they_would_lead_in_that_system() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("usr/bin")).unwrap();
        std::fs::write(root.join("usr/bin/tool"), "").unwrap();
        std::fs::set_permissions(root.join("usr/bin/tool"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(root.join("usr/bin/text"), "").unwrap();
        symlink("usr/bin", root.join("bin")).unwrap();
        symlink("/bin", root.join("usr/sbin")).unwrap();
        symlink("../../../../usr", root.join("up")).unwrap();
        symlink("/etc/passwd", root.join("out")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let root = Dir::open(root).unwrap();
        let has = |path: &str| has_program(&root, Path::new(path)).unwrap();
        for there in ["/usr/bin/tool", "/bin/tool", "/usr/sbin/tool", "up/bin/tool", "/../bin/tool"] {
            assert!(has(there), "{there}");
        }
        for gone in ["/usr/bin/text", "/usr/bin", "/out", "/loop", "/bin/tool/x", "/none"] {
            assert!(!has(gone), "{gone}");
        }
        assert!(find(&root, Path::new("/usr/sbin")).unwrap().is_some());
        assert!(find(&root, Path::new("/out")).unwrap().is_none());
    }
}
