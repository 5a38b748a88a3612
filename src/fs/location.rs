//! One canonical path for a directory, however it is spelled.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

/// A destination as given, and the canonical path its state is stored under. One that is named by a tag has `UUID=…` in
/// the place of a path.
///
/// The last component is not resolved: a destination that is a link is refused, and looking at a dead mount would hang.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// As given, made absolute.
    pub given: PathBuf,
    /// Without links and `..` as far as it exists, and without `..` beyond.
    pub resolved: PathBuf,
    /// The UUID of the filesystem whose root it is, once that is known.
    pub filesystem: Option<String>,
}

impl Location {
    /// Resolves the path. What does not exist, or cannot be read, is resolved lexically.
    #[must_use]
    pub fn of(given: &Path) -> Self {
        if is_tag(given) {
            return Self::named(given);
        }
        let resolved = match (given.components().next_back(), given.parent()) {
            (Some(Component::Normal(name)), Some(parent)) => existing(parent).join(name),
            _ => existing(given),
        };
        Self { given: given.to_owned(), resolved, filesystem: None }
    }

    /// Resolves the path lexically: for a filesystem that does not answer.
    #[must_use]
    pub fn unresolved(given: &Path) -> Self {
        if is_tag(given) {
            return Self::named(given);
        }
        Self { given: given.to_owned(), resolved: lexical(given), filesystem: None }
    }

    /// Uses the path resolved by another process, as bytes.
    #[must_use]
    pub fn found(given: &Path, resolved: Vec<u8>) -> Self {
        Self {
            given: given.to_owned(),
            resolved: PathBuf::from(OsString::from_vec(resolved)),
            filesystem: None,
        }
    }

    fn named(tag: &Path) -> Self {
        Self { given: tag.to_owned(), resolved: tag.to_owned(), filesystem: None }
    }

    /// The root of the filesystem with this UUID, by whatever name it was given.
    #[must_use]
    pub fn filesystem(given: &Path, uuid: &str) -> Self {
        let resolved = of_filesystem(uuid);
        Self { given: given.to_owned(), resolved, filesystem: Some(uuid.to_owned()) }
    }

    /// Whether a tag stands for it, in the place of a path.
    #[must_use]
    pub fn is_named(&self) -> bool {
        is_tag(&self.resolved)
    }

    /// Whether the path was resolved lexically only: no link was met on the way, or none exists now.
    #[must_use]
    pub fn is_lexical(&self) -> bool {
        if self.is_named() { self.filesystem.is_none() } else { self.resolved == lexical(&self.given) }
    }
}

/// What the state of a filesystem's root is stored under, unless its path is known better.
#[must_use]
pub fn of_filesystem(uuid: &str) -> PathBuf {
    PathBuf::from(format!("UUID={uuid}"))
}

/// Every path is absolute, a tag is not.
fn is_tag(path: &Path) -> bool {
    !path.is_absolute() && !path.as_os_str().is_empty()
}

/// The canonical path of the longest part that exists, plus the rest.
fn existing(path: &Path) -> PathBuf {
    path.ancestors()
        .find_map(|above| {
            let rest = path.strip_prefix(above).ok()?;
            Some(append(std::fs::canonicalize(above).ok()?, rest))
        })
        .unwrap_or_else(|| lexical(path))
}

fn lexical(path: &Path) -> PathBuf {
    append(PathBuf::from("/"), path)
}

fn append(mut base: PathBuf, rest: &Path) -> PathBuf {
    for part in rest.components() {
        match part {
            Component::Normal(name) => base.push(name),
            Component::ParentDir => {
                base.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    base
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::Location;

    #[test]
    fn every_spelling_of_a_directory_has_one_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap();
        std::fs::create_dir_all(root.join("disk/clone")).unwrap();
        std::fs::create_dir(root.join("other")).unwrap();
        symlink(root.join("disk"), root.join("link")).unwrap();
        symlink("link", root.join("chain")).unwrap();
        for spelling in
            ["disk/clone", "other/../disk/clone", "link/clone", "chain/clone", "disk/clone/../clone"]
        {
            assert_eq!(Location::of(&root.join(spelling)).resolved, root.join("disk/clone"), "{spelling}");
        }
        // A link is followed before going up, as the system does it; a link at the end is left alone.
        assert_eq!(Location::of(&root.join("link/..")).resolved, root);
        assert_eq!(Location::of(&root.join("link")).resolved, root.join("link"));
        assert_eq!(Location::of(Path::new("/")).resolved, Path::new("/"));
    }

    #[test]
    fn what_is_not_mounted_keeps_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap();
        symlink(&root, root.join("link")).unwrap();
        for spelling in ["disk/clone", "link/disk/clone", "disk/none/../clone", "gone/../disk/clone"] {
            let location = Location::of(&root.join(spelling));
            assert_eq!(location.resolved, root.join("disk/clone"), "{spelling}");
        }
        assert!(Location::of(&root.join("gone/../disk")).is_lexical());
        assert!(!Location::of(&root.join("link/disk")).is_lexical());
        assert_eq!(Location::unresolved(Path::new("/a/../../b/./c")).resolved, Path::new("/b/c"));
    }
}
