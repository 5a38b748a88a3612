//! Each kind of damage to a clone is found, with what is wrong, and nothing else.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, lchown, symlink};
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::support::sandbox::Sandbox;
use crate::support::tree::{acl, noise, set_mtime};
use crate::verify::scene::{assert_damages, cloned, damages, flip, found, silently, verify};

/// A clone of a few entries of each type.
fn scene() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("directory/file", "some content");
    sandbox.write("directory/below/deep", "deep content");
    sandbox.write("other", "some other content");
    symlink("directory/file", sandbox.source.join("link")).unwrap();
    fs::hard_link(sandbox.source.join("other"), sandbox.source.join("second name")).unwrap();
    mknod(&sandbox.source.join("device"), SFlag::S_IFCHR, Mode::from_bits_truncate(0o600), makedev(1, 3))
        .unwrap();
    mknod(&sandbox.source.join("fifo"), SFlag::S_IFIFO, Mode::from_bits_truncate(0o600), 0).unwrap();
    cloned(&sandbox, &[]);
    sandbox
}

fn in_clone(name: &str, act: impl FnOnce(&Path), expected: &[(&str, &[&str])]) {
    let sandbox = scene();
    silently(&sandbox.destination.join(name), act);
    assert_damages(&sandbox, expected);
}

#[test]
fn a_flipped_byte_is_found_with_its_place() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.source.join("file"), noise(1, 1_000_000)).unwrap();
    cloned(&sandbox, &[]);
    flip(&sandbox.destination.join("file"), 700_001..700_002);
    let document = assert_damages(&sandbox, &[("file", &["contents"])]);
    let damage = &document["damages"][0];
    assert_eq!(
        (&damage["offset"], &damage["length"], &damage["bytes"]),
        (&700_001.into(), &1.into(), &1.into())
    );
    flip(&sandbox.destination.join("file"), 100..110);
    flip(&sandbox.destination.join("file"), 300..301);
    let document = assert_damages(&sandbox, &[("file", &["contents"])]);
    let damage = &document["damages"][0];
    assert_eq!(
        (&damage["offset"], &damage["length"], &damage["bytes"]),
        (&100.into(), &201.into(), &12.into())
    );
    let finished = verify(&sandbox, &[]);
    let line = "Damaged: file: 12 bytes differ, the first within the 201 from offset 100 on.";
    assert_eq!((finished.code, finished.out.lines().next()), (75, Some(line)), "{finished}");
    assert!(finished.out.contains("\n1 damaged, 0 changed since the clone, 0 not compared.\n"), "{finished}");
}

#[test]
fn a_truncated_and_a_longer_copy_are_found() {
    let cut = |path: &Path| fs::File::options().write(true).open(path).unwrap().set_len(4).unwrap();
    in_clone("directory/file", cut, &[("directory/file", &["contents", "size"])]);
    let add = |path: &Path| {
        fs::write(path, "some content and more").unwrap();
    };
    in_clone("directory/file", add, &[("directory/file", &["contents", "size"])]);
    let empty = |path: &Path| fs::write(path, "").unwrap();
    in_clone("directory/file", empty, &[("directory/file", &["contents", "size"])]);
}

#[test]
fn zeros_instead_of_contents_are_found() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.source.join("file"), noise(2, 300_000)).unwrap();
    cloned(&sandbox, &[]);
    silently(&sandbox.destination.join("file"), |path| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(&[0; 8192], 65_536).unwrap();
    });
    let document = assert_damages(&sandbox, &[("file", &["contents"])]);
    let damage = &document["damages"][0];
    let number = |name: &str| damage[name].as_u64().unwrap();
    // Some bytes of the noise are zeros themselves.
    assert!((65_536..65_540).contains(&number("offset")), "{damage:#}");
    assert!(
        (8180..=8192).contains(&number("length")) && (8100..8192).contains(&number("bytes")),
        "{damage:#}"
    );
}

#[test]
fn a_hole_and_zeros_are_equal_and_data_in_a_hole_is_found() {
    let sandbox = Sandbox::new();
    let length = 1 << 30;
    for (name, middle) in [("sparse", &b"in the middle"[..]), ("holes only", b"")] {
        let file = fs::File::create(sandbox.source.join(name)).unwrap();
        file.set_len(length).unwrap();
        file.write_all_at(middle, length / 2).unwrap();
    }
    fs::write(sandbox.source.join("zeros"), vec![0; 1 << 20]).unwrap();
    cloned(&sandbox, &[]);
    silently(&sandbox.destination.join("zeros"), |path| {
        fs::write(path, "").unwrap();
        fs::File::options().write(true).open(path).unwrap().set_len(1 << 20).unwrap();
    });
    let document = assert_damages(&sandbox, &[]);
    assert!(document["bytes_read"].as_u64().unwrap() < 64 << 20, "{document:#}");
    let write = |name: &str, bytes: &[u8], at: u64| {
        silently(&sandbox.destination.join(name), |path| {
            fs::File::options().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
        });
    };
    write("sparse", b"I", length / 2);
    write("holes only", b"data", length / 4 + 7);
    let document = assert_damages(&sandbox, &[("holes only", &["contents"]), ("sparse", &["contents"])]);
    let place =
        |at: usize| (document["damages"][at]["offset"].as_u64(), document["damages"][at]["bytes"].as_u64());
    assert_eq!((place(0), place(1)), ((Some(length / 4 + 7), Some(4)), (Some(length / 2), Some(1))));
}

#[test]
fn a_changed_mode_owner_and_time_are_found() {
    let mode = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o4755)).unwrap();
    in_clone("directory/file", mode, &[("directory/file", &["mode"])]);
    in_clone("directory", mode, &[("directory", &["mode"])]);
    in_clone("fifo", mode, &[("fifo", &["mode"])]);
    let owner = |path: &Path| lchown(path, Some(7), Some(8)).unwrap();
    in_clone("directory/file", owner, &[("directory/file", &["owner"])]);
    in_clone("link", owner, &[("link", &["owner"])]);
    for name in ["directory/file", "directory/below", "link", "device"] {
        let sandbox = scene();
        set_mtime(&sandbox.destination.join(name), 1_000_000_000, 1);
        assert_damages(&sandbox, &[(name, &["modified"])]);
    }
    let sandbox = scene();
    fs::set_permissions(sandbox.destination.join("other"), fs::Permissions::from_mode(0o600)).unwrap();
    let finished = verify(&sandbox, &[]);
    assert!(
        finished.out.starts_with("Damaged: other: its mode is 0600 instead of 0644.\nDamaged: second name: "),
        "{finished}"
    );
}

#[test]
fn a_nanosecond_is_a_change_of_time() {
    use std::os::unix::fs::MetadataExt as _;
    let sandbox = scene();
    let copy = sandbox.destination.join("directory/file");
    let found = fs::metadata(&copy).unwrap();
    set_mtime(&copy, found.mtime(), (found.mtime_nsec() + 1) % 1_000_000_000);
    assert_damages(&sandbox, &[("directory/file", &["modified"])]);
}

#[test]
fn a_changed_attribute_and_access_control_list_are_found() {
    let sandbox = Sandbox::new();
    for name in ["file", "list", "plain"] {
        sandbox.write(name, "content");
    }
    xattr::set(sandbox.source.join("file"), "user.name", b"value").unwrap();
    xattr::set(sandbox.source.join("list"), "system.posix_acl_access", &acl(1234, 6)).unwrap();
    cloned(&sandbox, &[]);
    assert_damages(&sandbox, &[]);
    xattr::set(sandbox.destination.join("file"), "user.name", b"valve").unwrap();
    xattr::set(sandbox.destination.join("list"), "system.posix_acl_access", &acl(1235, 6)).unwrap();
    xattr::set(sandbox.destination.join("plain"), "user.new", b"").unwrap();
    let all: [(&str, &[&str]); 3] =
        [("file", &["attributes"]), ("list", &["attributes"]), ("plain", &["attributes"])];
    assert_damages(&sandbox, &all);
}

#[test]
fn another_target_device_and_type_are_found() {
    let target = |path: &Path| {
        fs::remove_file(path).unwrap();
        symlink("directory/fill", path).unwrap();
    };
    in_clone("link", target, &[("link", &["target"])]);
    let device = |path: &Path| {
        fs::remove_file(path).unwrap();
        mknod(path, SFlag::S_IFCHR, Mode::from_bits_truncate(0o600), makedev(1, 5)).unwrap();
    };
    in_clone("device", device, &[("device", &["device"])]);
    let dir = |path: &Path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        fs::write(path.join("more"), "x").unwrap();
    };
    in_clone("directory/file", dir, &[("directory/file", &["type"])]);
    let file = |path: &Path| {
        fs::remove_dir_all(path).unwrap();
        fs::write(path, "x").unwrap();
    };
    in_clone("directory/below", file, &[("directory/below", &["type"])]);
}

#[test]
fn missing_and_extra_entries_are_found_once_with_all_below_them() {
    in_clone("directory/file", |path| fs::remove_file(path).unwrap(), &[("directory/file", &["missing"])]);
    in_clone("directory", |path| fs::remove_dir_all(path).unwrap(), &[("directory", &["missing"])]);
    in_clone("directory/new", |path| fs::write(path, "x").unwrap(), &[("directory/new", &["extra"])]);
    let tree = |path: &Path| {
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::write(path.join("a/b/c"), "x").unwrap();
    };
    in_clone("tree", tree, &[("tree", &["extra"])]);
}

#[test]
fn hard_links_that_were_split_or_joined_are_found() {
    let split = |path: &Path| {
        let copy = path.with_file_name("third");
        assert!(std::process::Command::new("cp").arg("-a").args([path, &copy]).status().unwrap().success());
        fs::rename(copy, path).unwrap();
    };
    let sandbox = scene();
    silently(&sandbox.destination.join("second name"), split);
    let document = found(&sandbox, &[]);
    let damaged = damages(&document);
    // Which of the two names is called damaged depends on which is met first.
    assert_eq!(damaged.len(), 1, "{document:#}");
    assert!(
        damaged
            .iter()
            .all(|(path, flaws)| ["other", "second name"].contains(&&**path) && *flaws == ["hard_links"]),
        "{document:#}"
    );
    let sandbox = Sandbox::new();
    for name in ["one", "two"] {
        sandbox.write(name, "content");
        set_mtime(&sandbox.source.join(name), 1_700_000_000, 5);
    }
    cloned(&sandbox, &[]);
    silently(&sandbox.destination.join("two"), |path| {
        fs::remove_file(path).unwrap();
        fs::hard_link(path.with_file_name("one"), path).unwrap();
    });
    let damaged = damages(&found(&sandbox, &[]));
    assert_eq!(damaged.len(), 1, "{damaged:?}");
    assert!(damaged.values().all(|flaws| *flaws == ["hard_links"]), "{damaged:?}");
}

#[test]
fn the_top_of_the_clone_is_compared_too() {
    let sandbox = scene();
    fs::set_permissions(&sandbox.destination, fs::Permissions::from_mode(0o700)).unwrap();
    assert_damages(&sandbox, &[(".", &["mode"])]);
}
