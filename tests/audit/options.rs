//! What the audit can ignore, how deep it goes, and what it reports.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

use crate::audit::{Twins, only};
use crate::support::audit::dir::visit_from_leaves;
use crate::support::audit::{Difference, Options, Side, What, assert_same, audit};
use crate::support::disk::Tmpfs;
use crate::support::tree;

#[test]
fn markers_and_lost_and_found_are_ignored_at_the_root_only() -> io::Result<()> {
    let twins = Twins::new()?;
    let clone = twins.clone();
    fs::write(clone.join(".me.jedda.counterpart.completed"), "")?;
    fs::create_dir(clone.join("lost+found"))?;
    fs::write(clone.join("folder/.me.jedda.counterpart.completed"), "")?;
    fs::create_dir(clone.join("folder/lost+found"))?;
    twins.same_times();
    let found = audit(&twins.source(), &clone, &Options::default());
    assert_eq!(
        found,
        [only("folder/.me.jedda.counterpart.completed", What::Extra), only("folder/lost+found", What::Extra)]
            .concat()
    );
    let nothing_ignored =
        Options { ignored_at_root: Vec::new(), ignore_lost_and_found: false, ..Options::default() };
    assert_eq!(audit(&twins.source(), &clone, &nothing_ignored).len(), 4);
    let other_prefix = Options { ignored_at_root: vec![b"fold".to_vec()], ..Options::default() };
    let found = audit(&twins.source(), &clone, &other_prefix);
    assert_eq!(found, only(".me.jedda.counterpart.completed", What::Extra));
    Ok(())
}

#[test]
fn skipped_paths_are_whole_components() -> io::Result<()> {
    let twins = Twins::new()?;
    fs::write(twins.clone().join("folder/below/extra"), "")?;
    fs::write(twins.clone().join("folder/below, too"), "")?;
    twins.same_times();
    let options = Options { skip: vec![PathBuf::from("folder/below")], ..Options::default() };
    let found = audit(&twins.source(), &twins.clone(), &options);
    assert_eq!(found, only("folder/below, too", What::Extra));
    Ok(())
}

#[test]
fn times_attributes_and_owners_can_be_left_out() -> io::Result<()> {
    let twins = Twins::new()?;
    let clone = twins.clone();
    xattr::set(clone.join("file"), "user.extra", b"")?;
    lchown(clone.join("file"), Some(1), Some(1))?;
    tree::set_mtime(&clone.join("file"), 1_500_000_000, 0);
    tree::set_mtime(&clone, 1, 0);
    assert_eq!(audit(&twins.source(), &clone, &Options::default()).len(), 5);
    let options =
        Options { nanoseconds: false, xattrs: false, owners: false, root_mtime: false, ..Options::default() };
    assert_same(&twins.source(), &clone, &options);
    tree::set_mtime(&clone.join("file"), 1_500_000_001, 0);
    assert_eq!(audit(&twins.source(), &clone, &options).len(), 1);
    Ok(())
}

#[test]
fn a_mount_point_is_an_empty_directory_in_the_clone() -> io::Result<()> {
    let twins = Twins::new()?;
    let memory = Tmpfs::new("mode=755");
    fs::write(memory.path().join("mounted"), "")?;
    let point = twins.source().join("folder/below");
    let bound = Bound::new(memory.path(), &point);
    twins.same_times();
    let options = Options { one_file_system: true, ..Options::default() };
    assert_same(&twins.source(), &twins.clone(), &options);
    let found = audit(&twins.source(), &twins.clone(), &Options::default());
    assert_eq!(found, only("folder/below/mounted", What::Missing));
    fs::write(twins.clone().join("folder/below/mounted"), "")?;
    twins.same_times();
    let found = audit(&twins.source(), &twins.clone(), &options);
    assert_eq!(found, only("folder/below/mounted", What::Extra));
    drop(bound);
    Ok(())
}

/// A directory shown in another place until this value ends.
struct Bound<'a>(&'a Path);

impl<'a> Bound<'a> {
    fn new(dir: &Path, point: &'a Path) -> Self {
        let flags = nix::mount::MsFlags::MS_BIND;
        let mounted = nix::mount::mount(Some(dir), point, None::<&str>, flags, None::<&str>);
        assert_eq!(mounted, Ok(()));
        Self(point)
    }
}

impl Drop for Bound<'_> {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

#[test]
fn paths_beyond_the_limit_and_thousands_of_levels() -> io::Result<()> {
    let twins = Twins::new()?;
    let mut paths = Vec::new();
    for root in [twins.source(), twins.clone()] {
        paths.push(tree::over_long_path(&root));
        let mut levels = root.join("levels");
        levels.extend(vec!["d"; 1900]);
        fs::create_dir_all(levels)?;
    }
    assert_eq!(paths[0], paths[1]);
    assert!(paths[0].as_os_str().len() > 4096);
    twins.same_times();
    assert_same(&twins.source(), &twins.clone(), &Options::default());
    let mut bottom = PathBuf::from("levels");
    bottom.extend(vec!["d"; 1900]);
    bottom.push("extra");
    fs::write(twins.clone().join(&bottom), "")?;
    visit_from_leaves(&twins.clone(), false, |dir, name, path, _| {
        if path == paths[0].as_os_str().as_bytes() {
            assert!(fs::remove_file(dir.at(name)).is_ok());
        }
    });
    twins.same_times();
    let found = audit(&twins.source(), &twins.clone(), &Options::default());
    assert_eq!(found, [only(bottom, What::Extra), only(&paths[0], What::Missing)].concat());
    for root in [twins.source(), twins.clone()] {
        tree::remove_tree(&root);
        assert!(!root.exists());
    }
    Ok(())
}

#[test]
fn a_root_that_is_not_there_is_unreadable() -> io::Result<()> {
    let twins = Twins::new()?;
    let found = audit(&twins.source(), &twins.dir.path().join("nowhere"), &Options::default());
    let error = String::from("No such file or directory (os error 2)");
    assert_eq!(found, only("", What::Unreadable { side: Side::Clone, error }));
    Ok(())
}

#[test]
fn differences_read_well_whatever_the_name() {
    let path = PathBuf::from(OsStr::from_bytes(b"folder/new\nline \xff"));
    let difference = Difference { path, what: What::Mode { source: 0o4755, clone: 0o55 } };
    assert_eq!(difference.to_string(), "folder/new\\nline \\xff: mode 4755 became 0055");
    let difference = Difference { path: PathBuf::new(), what: What::Missing };
    assert_eq!(difference.to_string(), ".: missing in the clone");
}

#[test]
#[should_panic(expected = "25 difference(s), the first of them:\n00: only in the clone\n")]
fn an_unexpected_difference_panics() {
    let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let (source, clone) = (dir.path().join("source"), dir.path().join("clone"));
    for root in [&source, &clone] {
        assert!(fs::create_dir(root).is_ok());
    }
    for number in 0..25 {
        assert!(fs::write(clone.join(format!("{number:02}")), "").is_ok());
    }
    assert_same(&source, &clone, &Options { root_mtime: false, ..Options::default() });
}
