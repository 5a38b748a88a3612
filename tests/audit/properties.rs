//! Trees that differ in one property: the audit must report that and nothing else.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::audit::{Twins, only};
use crate::support::audit::dir::{Kind, Time};
use crate::support::audit::{Difference, Options, What, assert_same, audit};
use crate::support::tree;

/// Builds something in both trees, something else in the clone, and returns what the audit says to that.
fn difference(
    both: impl Fn(&Path) -> io::Result<()>,
    clone_only: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<Vec<Difference>> {
    let twins = Twins::new()?;
    both(&twins.source())?;
    both(&twins.clone())?;
    twins.same_times();
    assert_same(&twins.source(), &twins.clone(), &Options::default());
    clone_only(&twins.clone())?;
    twins.same_times();
    Ok(audit(&twins.source(), &twins.clone(), &Options::default()))
}

/// The same without anything built in both.
fn change(clone_only: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Vec<Difference>> {
    difference(|_| Ok(()), clone_only)
}

/// Sets a time in the clone and returns what the audit says to that.
fn time(path: &str, seconds: i64, nanoseconds: i64) -> io::Result<Vec<Difference>> {
    let twins = Twins::new()?;
    tree::set_mtime(&twins.clone().join(path), seconds, nanoseconds);
    Ok(audit(&twins.source(), &twins.clone(), &Options::default()))
}

fn node(path: &Path, kind: SFlag, device: u64) -> io::Result<()> {
    Ok(mknod(path, kind, Mode::S_IRUSR | Mode::S_IWUSR, device)?)
}

fn attribute(name: &str, source: Option<&[u8]>, clone: Option<&[u8]>) -> What {
    let (source, clone) = (source.map(<[u8]>::to_vec), clone.map(<[u8]>::to_vec));
    What::Xattr { name: OsString::from(name), source, clone }
}

#[test]
fn missing_file() -> io::Result<()> {
    let found = change(|clone| fs::remove_file(clone.join("folder/other")))?;
    assert_eq!(found, only("folder/other", What::Missing));
    Ok(())
}

#[test]
fn missing_directory_is_reported_once() -> io::Result<()> {
    let found = change(|clone| fs::remove_dir_all(clone.join("folder")))?;
    assert_eq!(found, only("folder", What::Missing));
    Ok(())
}

#[test]
fn extra_file_with_any_name() -> io::Result<()> {
    for name in [&b"new\nline"[..], b"\xff\xfe", b"-", b" ", &[b'x'; 255], &[0xff; 255]] {
        let path = Path::new("folder").join(OsStr::from_bytes(name));
        let found = change(|clone| fs::write(clone.join(&path), ""))?;
        assert_eq!(found, only(path, What::Extra));
    }
    Ok(())
}

#[test]
fn type_of_an_entry() -> io::Result<()> {
    let found = change(|clone| {
        fs::remove_file(clone.join("folder/link"))?;
        fs::write(clone.join("folder/link"), "file")
    })?;
    assert_eq!(found, only("folder/link", What::Kind { source: Kind::Symlink, clone: Kind::File }));
    let found = change(|clone| {
        fs::remove_dir(clone.join("folder/below"))?;
        symlink("/", clone.join("folder/below"))
    })?;
    assert_eq!(found, only("folder/below", What::Kind { source: Kind::Dir, clone: Kind::Symlink }));
    Ok(())
}

#[test]
fn type_of_a_special_file() -> io::Result<()> {
    let kinds = [
        (SFlag::S_IFIFO, Kind::Fifo),
        (SFlag::S_IFSOCK, Kind::Socket),
        (SFlag::S_IFCHR, Kind::CharDevice),
        (SFlag::S_IFBLK, Kind::BlockDevice),
    ];
    for (position, (flag, source)) in kinds.into_iter().enumerate() {
        let (other_flag, clone) = kinds[(position + 1) % kinds.len()];
        let found = difference(
            |root| node(&root.join("special"), flag, 0),
            |root| {
                fs::remove_file(root.join("special"))?;
                node(&root.join("special"), other_flag, 0)
            },
        )?;
        assert_eq!(found, only("special", What::Kind { source, clone }));
    }
    Ok(())
}

#[test]
fn size() -> io::Result<()> {
    let found = change(|clone| fs::write(clone.join("file"), "the contents and more"))?;
    assert_eq!(found, only("file", What::Size { source: 12, clone: 21 }));
    Ok(())
}

#[test]
fn contents_of_the_same_size() -> io::Result<()> {
    let found = change(|clone| fs::write(clone.join("file"), "the Contents"))?;
    assert_eq!(found, only("file", What::Contents { offset: 4 }));
    Ok(())
}

#[test]
fn one_byte_far_into_a_large_file() -> io::Result<()> {
    let mut contents = tree::noise(3, 5_000_000);
    let found = difference(
        |root| fs::write(root.join("large"), tree::noise(3, 5_000_000)),
        |clone| {
            contents[4_999_999] ^= 1;
            fs::write(clone.join("large"), contents)
        },
    )?;
    assert_eq!(found, only("large", What::Contents { offset: 4_999_999 }));
    Ok(())
}

#[test]
fn sparseness() -> io::Result<()> {
    let size = 1024 * 1024;
    let found = difference(
        |root| File::create(root.join("sparse"))?.set_len(size),
        |clone| fs::write(clone.join("sparse"), vec![0; 1024 * 1024]),
    )?;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, Path::new("sparse"));
    assert!(matches!(found[0].what, What::Sparseness { source: 0, clone } if clone >= size), "{}", found[0]);
    Ok(())
}

#[test]
fn permissions() -> io::Result<()> {
    for (path, source, clone) in
        [("file", 0o644, 0o4644), ("file", 0o644, 0o000), ("folder", 0o755, 0o1755), ("", 0o755, 0o2755)]
    {
        let found = difference(
            |root| fs::set_permissions(root.join(path), Permissions::from_mode(source)),
            |root| fs::set_permissions(root.join(path), Permissions::from_mode(clone)),
        )?;
        assert_eq!(found, only(path, What::Mode { source, clone }));
    }
    Ok(())
}

#[test]
fn owner_and_group() -> io::Result<()> {
    for path in ["file", "folder", "folder/link", ""] {
        let found = change(|root| lchown(root.join(path), Some(54321), None))?;
        assert_eq!(found, only(path, What::Uid { source: 0, clone: 54321 }));
        let found = change(|root| lchown(root.join(path), None, Some(54321)))?;
        assert_eq!(found, only(path, What::Gid { source: 0, clone: 54321 }));
    }
    Ok(())
}

#[test]
fn time_to_the_nanosecond() -> io::Result<()> {
    let source = Time { seconds: 1_500_000_000, nanoseconds: 123_456_789 };
    for path in ["file", "folder", "folder/link", ""] {
        let clone = Time { nanoseconds: 123_456_788, ..source };
        let found = time(path, clone.seconds, clone.nanoseconds)?;
        assert_eq!(found, only(path, What::Mtime { source, clone }));
        let clone = Time { seconds: -1, ..source };
        let found = time(path, clone.seconds, clone.nanoseconds)?;
        assert_eq!(found, only(path, What::Mtime { source, clone }));
    }
    Ok(())
}

#[test]
fn time_of_a_special_file() -> io::Result<()> {
    for kind in [SFlag::S_IFIFO, SFlag::S_IFSOCK, SFlag::S_IFCHR, SFlag::S_IFBLK] {
        let twins = Twins::new()?;
        for root in [twins.source(), twins.clone()] {
            node(&root.join("special"), kind, 0)?;
        }
        twins.same_times();
        tree::set_mtime(&twins.clone().join("special"), 1_500_000_000, 0);
        let found = audit(&twins.source(), &twins.clone(), &Options::default());
        let source = Time { seconds: 1_500_000_000, nanoseconds: 123_456_789 };
        let clone = Time { seconds: 1_500_000_000, nanoseconds: 0 };
        assert_eq!(found, only("special", What::Mtime { source, clone }));
    }
    Ok(())
}

#[test]
fn target_of_a_link() -> io::Result<()> {
    let found = change(|clone| {
        fs::remove_file(clone.join("folder/link"))?;
        symlink("./file", clone.join("folder/link"))
    })?;
    let (source, clone) = (OsString::from("file"), OsString::from("./file"));
    assert_eq!(found, only("folder/link", What::Target { source, clone }));
    Ok(())
}

#[test]
fn hard_link_that_became_a_copy() -> io::Result<()> {
    let found = difference(
        |root| fs::hard_link(root.join("file"), root.join("folder/hard")),
        |clone| {
            fs::remove_file(clone.join("folder/hard"))?;
            fs::write(clone.join("folder/hard"), "the contents")
        },
    )?;
    let (source, clone) = (PathBuf::from("file"), PathBuf::from("folder/hard"));
    assert_eq!(found, only("folder/hard", What::HardLinks { source, clone }));
    Ok(())
}

#[test]
fn copy_that_became_a_hard_link() -> io::Result<()> {
    let found = difference(
        |root| fs::write(root.join("folder/hard"), "the contents"),
        |clone| {
            fs::remove_file(clone.join("folder/hard"))?;
            fs::hard_link(clone.join("file"), clone.join("folder/hard"))
        },
    )?;
    let (source, clone) = (PathBuf::from("folder/hard"), PathBuf::from("file"));
    assert_eq!(found, only("folder/hard", What::HardLinks { source, clone }));
    Ok(())
}

#[test]
fn hard_link_in_the_wrong_group() -> io::Result<()> {
    let found = difference(
        |root| {
            fs::hard_link(root.join("file"), root.join("second"))?;
            fs::write(root.join("third"), "the contents")?;
            fs::hard_link(root.join("third"), root.join("wanders"))
        },
        |clone| {
            fs::remove_file(clone.join("wanders"))?;
            fs::hard_link(clone.join("file"), clone.join("wanders"))
        },
    )?;
    let (source, clone) = (PathBuf::from("third"), PathBuf::from("file"));
    assert_eq!(found, only("wanders", What::HardLinks { source, clone }));
    Ok(())
}

#[test]
fn attribute_that_differs_or_is_on_one_side() -> io::Result<()> {
    for (path, name) in
        [("file", "user.name"), ("folder", "trusted.name"), ("folder/link", "trusted.name"), ("", "user.n")]
    {
        let set = |root: &Path| xattr::set(root.join(path), name, b"value");
        let found = difference(set, |clone| xattr::set(clone.join(path), name, b"\0\xff"))?;
        assert_eq!(found, only(path, attribute(name, Some(b"value"), Some(b"\0\xff"))));
        let found = difference(set, |clone| xattr::remove(clone.join(path), name))?;
        assert_eq!(found, only(path, attribute(name, Some(b"value"), None)));
        let found = change(|clone| xattr::set(clone.join(path), name, b""))?;
        assert_eq!(found, only(path, attribute(name, None, Some(b""))));
    }
    Ok(())
}

#[test]
fn access_control_lists() -> io::Result<()> {
    let (one, other) = (tree::acl(54321, 4), tree::acl(54321, 6));
    for (path, name) in [
        ("file", "system.posix_acl_access"),
        ("folder", "system.posix_acl_access"),
        ("folder", "system.posix_acl_default"),
        ("", "system.posix_acl_default"),
    ] {
        // With this mode, the list changes nothing in it.
        let mode = |root: &Path| fs::set_permissions(root.join(path), Permissions::from_mode(0o664));
        let set = |root: &Path| mode(root).and_then(|()| xattr::set(root.join(path), name, &one));
        let found = difference(set, |clone| xattr::set(clone.join(path), name, &other))?;
        assert_eq!(found, only(path, attribute(name, Some(&one), Some(&other))));
        let found = difference(mode, set)?;
        assert_eq!(found, only(path, attribute(name, None, Some(&one))));
    }
    Ok(())
}

#[test]
fn capabilities() -> io::Result<()> {
    let (name, value) = ("security.capability", tree::capability(1 << 10));
    let found = change(|clone| xattr::set(clone.join("file"), name, &value))?;
    assert_eq!(found, only("file", attribute(name, None, Some(&value))));
    Ok(())
}

#[test]
fn device_number() -> io::Result<()> {
    let (source, clone) = (makedev(300, 70_000), makedev(300, 70_001));
    for kind in [SFlag::S_IFCHR, SFlag::S_IFBLK] {
        let found = difference(
            |root| node(&root.join("device"), kind, source),
            |root| {
                fs::remove_file(root.join("device"))?;
                node(&root.join("device"), kind, clone)
            },
        )?;
        assert_eq!(found, only("device", What::Device { source, clone }));
    }
    Ok(())
}

#[test]
fn a_hard_linked_file_is_compared_once() -> io::Result<()> {
    let found = difference(
        |root| fs::hard_link(root.join("file"), root.join("hard")),
        |clone| {
            assert_eq!(fs::metadata(clone.join("hard"))?.nlink(), 2);
            fs::write(clone.join("file"), "tHe contents")
        },
    )?;
    assert_eq!(found, only("file", What::Contents { offset: 1 }));
    Ok(())
}
