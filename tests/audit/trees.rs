//! The builders and the snapshot.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::audit::Twins;
use crate::support::audit::{Options, assert_same};
use crate::support::tree;

#[test]
fn the_hostile_tree_is_as_hostile_as_it_says() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path().join("tree");
    let reserve = root.as_os_str().len() + 1;
    tree::hostile_tree_reserving(&root, reserve);
    let listing = tree::snapshot(&root);
    let longest = listing.paths().map(|path| root.join(path).as_os_str().len()).max();
    assert_eq!(longest, Some(tree::LONGEST_PATH));
    assert!(listing.paths().any(|path| path.to_str().is_none()));
    assert!(listing.paths().any(|path| path.file_name().is_some_and(|name| name.len() == 255)));
    assert!(fs::symlink_metadata(root.join("nodes/socket"))?.file_type().is_socket());
    assert_eq!(fs::symlink_metadata(root.join("hard links/one/symlink"))?.nlink(), 2);
    assert_eq!(fs::metadata(root.join("owners/setuid"))?.mode() & 0o7777, 0o6755);
    assert_eq!(fs::metadata(root.join("owners/setuid"))?.uid(), 54321);
    let sparse = fs::metadata(root.join("contents/sparse"))?;
    assert!(sparse.size() == 100 * 1024 * 1024 && sparse.blocks() * 512 < 200 * 1024, "{sparse:?}");
    for (path, name) in [
        ("xattr/program", "security.capability"),
        ("xattr/file", "trusted.of root"),
        ("acl/file", "system.posix_acl_access"),
        ("acl/directory", "system.posix_acl_default"),
    ] {
        assert!(xattr::get(root.join(path), name)?.is_some(), "{path} lost {name}");
    }
    let (one, two) = (root.join("contents/same second/one"), root.join("contents/same second/two"));
    let (one, two) = (fs::metadata(one)?, fs::metadata(two)?);
    assert_eq!((one.mtime(), one.size()), (two.mtime(), two.size()));
    assert_ne!(one.mtime_nsec(), two.mtime_nsec());
    Ok(())
}

#[test]
fn the_hostile_tree_is_always_the_same() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    tree::hostile_tree(&one);
    tree::hostile_tree(&other);
    assert_same(&one, &other, &Options::default());
    tree::assert_unchanged(&tree::snapshot(&one), &tree::snapshot(&other));
    tree::remove_tree(&one);
    assert!(!one.exists());
    Ok(())
}

#[test]
fn reading_changes_nothing() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path().join("tree");
    tree::hostile_tree(&root);
    let before = tree::snapshot_with_ctime(&root);
    assert_same(&root, &root, &Options::default());
    let after = tree::snapshot_with_ctime(&root);
    assert_eq!(before, after);
    tree::assert_unchanged(&before, &after);
    Ok(())
}

#[test]
fn a_snapshot_tells_each_change() -> io::Result<()> {
    let twins = Twins::new()?;
    let root = twins.source();
    let before = tree::snapshot(&root);
    let with_ctime = tree::snapshot_with_ctime(&root);
    let changes = |expected: &[&str]| assert_eq!(before.changes(&tree::snapshot(&root)), expected);

    fs::write(root.join("file"), "the Contents")?;
    twins.same_times();
    let change = before.changes(&tree::snapshot(&root));
    assert!(change.len() == 1 && change[0].starts_with("file: contents "), "{change:?}");
    fs::write(root.join("file"), "the contents")?;
    twins.same_times();
    changes(&[]);
    let change = with_ctime.changes(&tree::snapshot_with_ctime(&root));
    assert!(change.iter().any(|line| line.starts_with("file: ctime ")), "{change:?}");

    fs::set_permissions(root.join("folder"), Permissions::from_mode(0o700))?;
    changes(&["folder: mode 0755 became 0700"]);
    fs::set_permissions(root.join("folder"), Permissions::from_mode(0o755))?;
    xattr::set(root.join("file"), "user.a", b"\n")?;
    changes(&["file: attributes {} became {\"user.a\": \"\\\\n\"}"]);
    xattr::remove(root.join("file"), "user.a")?;
    tree::set_mtime(&root, 1_500_000_000, 1);
    changes(&[".: mtime 1500000000.123456789 became 1500000000.000000001"]);

    fs::rename(root.join("file"), root.join("renamed"))?;
    twins.same_times();
    changes(&["file: is gone", "renamed: is new"]);
    let after = tree::snapshot(&root).without(Path::new("renamed"));
    tree::assert_unchanged(&before.clone().without(Path::new("file")), &after);
    Ok(())
}

#[test]
fn many_files_are_quick_and_differ() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    tree::many_files(dir.path(), 1_200, 64);
    let listing = tree::snapshot(dir.path());
    assert_eq!(listing.paths().count(), 1_200 + 3 + 1);
    assert_ne!(fs::read(dir.path().join("0000/00000001"))?, fs::read(dir.path().join("0002/00001199"))?);
    assert_eq!(fs::metadata(dir.path().join("0002/00001199"))?.len(), 64);
    Ok(())
}

#[test]
fn an_over_long_path_goes_away() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    for number in 0..2 {
        let root = dir.path().join(number.to_string());
        fs::create_dir(&root)?;
        let path = tree::over_long_path(&root);
        assert!(path.as_os_str().len() > 4096);
        assert!(tree::snapshot(&root).paths().any(|listed| listed == path));
        // The standard library's own way has to work as well, for temporary directories are removed by it.
        if number == 0 {
            tree::remove_tree(&root);
        } else {
            fs::remove_dir_all(&root)?;
        }
        assert!(!root.exists());
    }
    Ok(())
}
