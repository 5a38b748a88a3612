//! A tree with everything that a clone can get wrong.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::linkat;

use super::{LONGEST_PATH, deep_file, must, noise, set_mtime, visit_from_leaves};

/// Space for the root's path before the longest relative path.
const RESERVE: usize = 256;

/// An owner and a group unknown to any system.
const NOBODY_KNOWN: (u32, u32) = (54321, 54322);

/// Names that could trip up a shell, a pattern, an argument parser, a log or a decoder.
const NAMES: &[&[u8]] = &[
    b"new\nline",
    b"\n",
    b"carriage\rreturn",
    b"tab\t",
    b"control \x01\x1b[31m\x7f",
    b"invalid \xff\xfe UTF-8",
    b"cut \xe2\x82",
    b"composed \xc3\xa9",
    b"composed e\xcc\x81",
    b"-rf",
    b"--delete",
    b"- minus rule",
    b"+ plus rule",
    b" leading space",
    b"trailing space ",
    b" ",
    b"colon:",
    b"host:path",
    b"host::module",
    b"*?[]",
    b"*",
    b"[!a-z]",
    b"**",
    b"back\\slash",
    b"trailing backslash\\",
    b"\\#012",
    b"\\#134#012",
    b"# comment",
    b"; comment",
    b"~",
    b"$HOME `id` $(id)",
    b"quotes \"'",
    b"%n %s {}",
    b"!",
    b".hidden",
    b"..dots",
    b"...",
    b"CASE",
    b"case",
    b".file.AbCdEf",
    b"ends in zeros 0000",
];

/// Creates a tree with every property that the audit compares. Needs root and a filesystem that supports all of them,
/// such as ext4. The absolute path of `root` may be up to 255 bytes long.
pub fn hostile_tree(root: &Path) {
    hostile_tree_reserving(root, RESERVE);
}

/// The same, with `reserve` bytes left before the longest relative path reaches the system's limit of 4,096.
pub fn hostile_tree_reserving(root: &Path, reserve: usize) {
    must(fs::create_dir_all(root), root);
    strange_names(&dir(root, "names"));
    deep_file(root, "long", LONGEST_PATH - reserve);
    many_levels(&dir(root, "levels"));
    symlinks(&dir(root, "symlinks"));
    hard_links(&dir(root, "hard links"));
    modes(&dir(root, "modes"));
    owners(&dir(root, "owners"));
    access_control_lists(&dir(root, "acl"));
    attributes(&dir(root, "xattr"));
    nodes(&dir(root, "nodes"));
    contents(&dir(root, "contents"));
    set_xattr(root, "user.of the root", b"root");
    set_mode(root, 0o751);
    stamp(root);
    for (name, nanoseconds) in [("one", 1), ("two", 999_999_999)] {
        set_mtime(&root.join("contents/same second").join(name), 1_600_000_000, nanoseconds);
    }
    set_mtime(&root.join("contents/before 1970"), -86_400, 250_000_000);
    set_mtime(&root.join("contents/after 2038"), 4_102_444_800, 5);
}

/// The raw value of an access control list `user::rw-,user:<user>:<permissions>,group::r--,mask::rw-,other::r--`.
/// As an access list it goes with mode 0664.
pub fn acl(user: u32, permissions: u16) -> Vec<u8> {
    const NO_ID: u32 = u32::MAX;
    let mut value = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in
        [(1u16, 6, NO_ID), (2, permissions, user), (4, 4, NO_ID), (0x10, 6, NO_ID), (0x20, 4, NO_ID)]
    {
        value.extend_from_slice(&tag.to_le_bytes());
        value.extend_from_slice(&permissions.to_le_bytes());
        value.extend_from_slice(&id.to_le_bytes());
    }
    value
}

/// The raw value of `security.capability` that permits the capabilities of this mask and makes them effective.
pub fn capability(mask: u32) -> Vec<u8> {
    [0x0200_0001, mask, 0, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect()
}

fn strange_names(parent: &Path) {
    let (files, dirs) = (dir(parent, "files"), dir(parent, "directories"));
    let long = [[b'x'; 255], [b'*'; 255], [0xff; 255], [b'\n'; 255]];
    for name in NAMES.iter().copied().chain(long.iter().map(<[u8; 255]>::as_slice)) {
        file(&files.join(OsStr::from_bytes(name)), name);
        let below = dirs.join(OsStr::from_bytes(name));
        must(fs::create_dir(&below), &below);
        file(&below.join(OsStr::from_bytes(name)), name);
    }
}

fn many_levels(parent: &Path) {
    let mut path = parent.to_path_buf();
    for _ in 0..300 {
        path.push("d");
    }
    must(fs::create_dir_all(&path), &path);
    file(&path.join("bottom"), b"bottom");
}

fn symlinks(parent: &Path) {
    file(&parent.join("file"), b"file");
    dir(parent, "directory");
    let long = "x".repeat(1000);
    let targets: [(&str, &[u8]); 10] = [
        ("relative", b"file"),
        ("to a directory", b"../symlinks/directory"),
        ("absolute", b"/etc/hostname"),
        ("dangling", b"there is nothing"),
        ("dangling absolute", b"/there/is/nothing"),
        ("not UTF-8", b"\xff\xfe\n target"),
        ("itself", b"itself"),
        ("out of the tree", b"../../../../../../../../../../etc"),
        ("untidy", b"./directory//../file"),
        ("long", long.as_bytes()),
    ];
    for (name, target) in targets {
        let link = parent.join(name);
        must(symlink(OsStr::from_bytes(target), &link), &link);
    }
    chown(&parent.join("dangling"), NOBODY_KNOWN);
    set_xattr(&parent.join("relative"), "trusted.of the link", b"link");
}

fn hard_links(parent: &Path) {
    let (one, two, three) = (dir(parent, "one"), dir(parent, "two"), dir(parent, "three"));
    // Two groups with the same contents, distinguishable only by inode.
    for name in ["first group", "second group"] {
        file(&one.join(name), b"the same contents");
        hard_link(&one.join(name), &two.join(name));
        hard_link(&one.join(name), &three.join(format!("{name}, renamed")));
    }
    must(symlink("first group", one.join("symlink")), &one);
    hard_link(&one.join("symlink"), &two.join("symlink"));
    node(&one.join("fifo"), SFlag::S_IFIFO, 0o640, 0);
    hard_link(&one.join("fifo"), &two.join("fifo"));
    node(&one.join("device"), SFlag::S_IFCHR, 0o600, makedev(1, 3));
    hard_link(&one.join("device"), &two.join("device"));
    file(&one.join("empty"), b"");
    hard_link(&one.join("empty"), &two.join("empty"));
}

fn modes(parent: &Path) {
    for mode in [0o0000, 0o0200, 0o0400, 0o0777, 0o1644, 0o2755, 0o4755, 0o6711, 0o7777] {
        let path = parent.join(format!("file {mode:04o}"));
        file(&path, b"mode");
        set_mode(&path, mode);
        let path = dir(parent, &format!("directory {mode:04o}"));
        file(&path.join("file"), b"in it");
        set_mode(&path, mode);
    }
}

fn owners(parent: &Path) {
    let known_to_nobody = parent.join("file");
    file(&known_to_nobody, b"owned");
    chown(&known_to_nobody, NOBODY_KNOWN);
    let setuid = parent.join("setuid");
    file(&setuid, b"owned and setuid");
    chown(&setuid, NOBODY_KNOWN);
    set_mode(&setuid, 0o6755);
    chown(&dir(parent, "directory"), NOBODY_KNOWN);
    let large = parent.join("large numbers");
    file(&large, b"owned");
    chown(&large, (4_294_967_294, 2_147_483_648));
    let group_only = parent.join("group only");
    file(&group_only, b"owned");
    chown(&group_only, (0, NOBODY_KNOWN.1));
}

fn access_control_lists(parent: &Path) {
    let file_with_list = parent.join("file");
    file(&file_with_list, b"access");
    set_xattr(&file_with_list, "system.posix_acl_access", &acl(NOBODY_KNOWN.0, 6));
    let both = dir(parent, "directory");
    set_xattr(&both, "system.posix_acl_access", &acl(NOBODY_KNOWN.0, 7));
    set_xattr(&both, "system.posix_acl_default", &acl(NOBODY_KNOWN.0, 5));
    file(&both.join("inherits"), b"by default");
    let fifo = parent.join("fifo");
    node(&fifo, SFlag::S_IFIFO, 0o664, 0);
    set_xattr(&fifo, "system.posix_acl_access", &acl(0, 4));
}

fn attributes(parent: &Path) {
    let path = parent.join("file");
    file(&path, b"attributes");
    set_xattr(&path, "user.text", b"text");
    set_xattr(&path, "user.empty", b"");
    set_xattr(&path, "user.zeros", b"\0a\0\n\xff\0");
    set_xattr(&path, "user.large", &noise(7, 2000));
    must(xattr::set(&path, OsStr::from_bytes(b"user.not \xff\n UTF-8"), b"name"), &path);
    set_xattr(&path, "trusted.of root", b"trusted");
    let path = dir(parent, "directory");
    set_xattr(&path, "user.text", b"on a directory");
    set_xattr(&path, "trusted.text", b"on a directory");
    let path = parent.join("program");
    file(&path, b"#!/bin/true\n");
    chown(&path, NOBODY_KNOWN);
    set_mode(&path, 0o755);
    set_xattr(&path, "security.capability", &capability(1 << 10));
}

fn nodes(parent: &Path) {
    node(&parent.join("fifo"), SFlag::S_IFIFO, 0o622, 0);
    node(&parent.join("socket"), SFlag::S_IFSOCK, 0o755, 0);
    node(&parent.join("null"), SFlag::S_IFCHR, 0o666, makedev(1, 3));
    node(&parent.join("disk"), SFlag::S_IFBLK, 0o660, makedev(7, 99));
    node(&parent.join("large numbers"), SFlag::S_IFBLK, 0o600, makedev(300, 70_000));
    chown(&parent.join("disk"), (0, 6));
    chown(&parent.join("socket"), NOBODY_KNOWN);
}

fn contents(parent: &Path) {
    const MEBIBYTE: u64 = 1024 * 1024;
    file(&parent.join("empty"), b"");
    dir(parent, "empty directory");
    file(&parent.join("large"), &noise(1, 3_000_001));
    file(&parent.join("written zeros"), &vec![0; 200_000]);
    file(&parent.join("before 1970"), b"old");
    file(&parent.join("after 2038"), b"new");
    let pair = dir(parent, "same second");
    file(&pair.join("one"), b"one");
    file(&pair.join("two"), b"two");
    let path = parent.join("sparse");
    let sparse = must(File::create(&path), &path);
    for offset in [MEBIBYTE + 1, 50 * MEBIBYTE, 70 * MEBIBYTE - 5] {
        must(sparse.write_all_at(&noise(offset, 20_000), offset), &path);
    }
    must(sparse.set_len(100 * MEBIBYTE), &path);
    let path = parent.join("one hole");
    must(File::create(&path).and_then(|file| file.set_len(5 * MEBIBYTE + 7)), &path);
}

/// Gives each entry a distinct time, to the nanosecond; directories after their contents.
fn stamp(root: &Path) {
    let mut number = 0;
    visit_from_leaves(root, false, |dir, name, _, _| {
        number += 1;
        set_mtime(&dir.at(name), 1_000_000_000 + number * 86_413, number * 123_456_789 % 1_000_000_000);
    });
}

fn dir(parent: &Path, name: &str) -> PathBuf {
    let path = parent.join(name);
    must(fs::create_dir(&path), &path);
    path
}

fn file(path: &Path, contents: &[u8]) {
    must(fs::write(path, contents), path);
}

fn node(path: &Path, kind: SFlag, mode: u32, device: u64) {
    must(mknod(path, kind, Mode::empty(), device), path);
    set_mode(path, mode);
}

/// Links the entry itself, even if it is a symbolic link.
fn hard_link(from: &Path, to: &Path) {
    must(linkat(AT_FDCWD, from, AT_FDCWD, to, AtFlags::empty()), to);
}

fn chown(path: &Path, (user, group): (u32, u32)) {
    must(lchown(path, Some(user), Some(group)), path);
}

fn set_mode(path: &Path, mode: u32) {
    must(fs::set_permissions(path, Permissions::from_mode(mode)), path);
}

fn set_xattr(path: &Path, name: &str, value: &[u8]) {
    must(xattr::set(path, name, value), path);
}
