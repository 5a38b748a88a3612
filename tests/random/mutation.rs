//! Random changes to a tree: everything that a filesystem allows root to do.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::support::dice::Dice;
use crate::support::sandbox::STEM;
use crate::support::tree::{acl, capability, edit_in_the_same_second, noise, remove_tree, set_mtime};

/// Names are taken from a small set as often as not, so that they meet again.
const USUAL: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "-n", ".h", "with space", "*", "\u{e9}"];

/// So many entries the tree has at most, by the order of magnitude.
const MANY: usize = 2500;

/// Seconds since 1970 that every one of the filesystems can hold.
const MOMENTS: [i64; 6] = [-1_000_000_000, -1, 0, 1_000_000_000, 1_700_000_000, 4_102_444_800];

type Change = fn(&Tree, &mut Dice) -> io::Result<String>;

/// Every kind of change; those that stand here twice happen twice as often.
const CHANGES: [Change; 30] = [
    Tree::make,
    Tree::make,
    Tree::make,
    Tree::make,
    Tree::make_dirs,
    Tree::make_deep,
    Tree::delete,
    Tree::delete,
    Tree::rename,
    Tree::rename,
    Tree::rename,
    Tree::swap,
    Tree::resize,
    Tree::append,
    Tree::overwrite,
    Tree::edit,
    Tree::edit,
    Tree::punch,
    Tree::change_mode,
    Tree::change_owner,
    Tree::change_time,
    Tree::change_time,
    Tree::change_attribute,
    Tree::change_attribute,
    Tree::change_list,
    Tree::link,
    Tree::link,
    Tree::break_link,
    Tree::break_link,
    Tree::change_kind,
];

/// A tree by its root.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// The tree below a directory.
    pub fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    /// Makes a change and tells it; one that turns out to be impossible, too long a path for one, is another one's turn.
    pub fn change(&self, dice: &mut Dice) -> String {
        loop {
            let change = dice.one_of(&CHANGES);
            if let Ok(told) = change(self, dice) {
                return told;
            }
        }
    }

    fn tell(&self, what: &str, path: &Path) -> String {
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        format!("{what} {}", path.as_os_str().as_bytes().escape_ascii())
    }

    /// The names in a directory that are not ours or the filesystem's, in order.
    fn names(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            let is_ours = name.as_bytes().starts_with(STEM.as_bytes()) || name == "lost+found";
            if dir != self.root || !is_ours {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// A directory, the root among them.
    fn any_dir(&self, dice: &mut Dice) -> io::Result<PathBuf> {
        let mut dir = self.root.clone();
        while !dice.once_in(3) {
            let mut below = self.names(&dir)?;
            below.retain(|name| fs::symlink_metadata(dir.join(name)).is_ok_and(|found| found.is_dir()));
            if below.is_empty() {
                break;
            }
            dir.push(&below[dice.below(below.len())]);
        }
        Ok(dir)
    }

    /// An entry that is there, the root not among them.
    fn any(&self, dice: &mut Dice) -> io::Result<PathBuf> {
        let dir = self.any_dir(dice)?;
        let names = self.names(&dir)?;
        if names.is_empty() { Err(none()) } else { Ok(dir.join(&names[dice.below(names.len())])) }
    }

    fn any_file(&self, dice: &mut Dice) -> io::Result<PathBuf> {
        for _ in 0..20 {
            let path = self.any(dice)?;
            if fs::symlink_metadata(&path)?.is_file() {
                return Ok(path);
            }
        }
        Err(none())
    }

    /// A path that may be taken.
    fn place(&self, dice: &mut Dice) -> io::Result<PathBuf> {
        let dir = self.any_dir(dice)?;
        let path = dir.join(name(dice));
        let is_ours = path.strip_prefix(&self.root).is_ok_and(|path| path.as_os_str() == "lost+found");
        if is_ours { Err(none()) } else { Ok(path) }
    }

    fn make(&self, dice: &mut Dice) -> io::Result<String> {
        if self.count()? > MANY {
            return self.delete(dice);
        }
        let path = self.place(dice)?;
        make_at(&path, dice)?;
        Ok(self.tell("make", &path))
    }

    /// The number of entries.
    pub fn count(&self) -> io::Result<usize> {
        let mut dirs = vec![self.root.clone()];
        let mut count = 0;
        while let Some(dir) = dirs.pop() {
            for name in self.names(&dir)? {
                count += 1;
                let path = dir.join(name);
                if fs::symlink_metadata(&path)?.is_dir() {
                    dirs.push(path);
                }
            }
        }
        Ok(count)
    }

    fn make_dirs(&self, dice: &mut Dice) -> io::Result<String> {
        let path = self.place(dice)?;
        fs::create_dir(&path)?;
        for _ in 0..dice.below(5) {
            make_at(&path.join(name(dice)), dice)?;
        }
        Ok(self.tell("make directory", &path))
    }

    fn make_deep(&self, dice: &mut Dice) -> io::Result<String> {
        let mut path = self.place(dice)?;
        for _ in 0..dice.below(20) {
            fs::create_dir(&path)?;
            path.push(name(dice));
        }
        make_at(&path, dice)?;
        Ok(self.tell("make deep", &path))
    }

    fn delete(&self, dice: &mut Dice) -> io::Result<String> {
        let path = self.any(dice)?;
        remove(&path)?;
        Ok(self.tell("delete", &path))
    }

    fn rename(&self, dice: &mut Dice) -> io::Result<String> {
        let (from, to) = (self.any(dice)?, self.place(dice)?);
        if to.starts_with(&from) {
            return Err(none());
        }
        if dice.once_in(2) && to.symlink_metadata().is_ok() && !from.starts_with(&to) {
            remove(&to)?;
        }
        fs::rename(&from, &to)?;
        Ok(self.tell(&self.tell("rename", &from), &to))
    }

    fn swap(&self, dice: &mut Dice) -> io::Result<String> {
        let (one, other) = (self.any(dice)?, self.any(dice)?);
        if one.starts_with(&other) || other.starts_with(&one) {
            return Err(none());
        }
        let aside = self.root.join("aside");
        if aside.symlink_metadata().is_ok() {
            return Err(none());
        }
        fs::rename(&one, &aside)?;
        fs::rename(&other, &one)?;
        fs::rename(&aside, &other)?;
        Ok(self.tell(&self.tell("swap", &one), &other))
    }

    fn resize(&self, dice: &mut Dice) -> io::Result<String> {
        let path = self.any_file(dice)?;
        let length = length(dice);
        OpenOptions::new().write(true).open(&path)?.set_len(length)?;
        Ok(self.tell(&format!("resize to {length}"), &path))
    }

    fn append(&self, dice: &mut Dice) -> io::Result<String> {
        let path = self.any_file(dice)?;
        let more = noise(dice.any(), dice.below(9000));
        OpenOptions::new().append(true).open(&path)?.write_all(&more)?;
        Ok(self.tell("append to", &path))
    }

    /// Writes in the middle, which makes the file longer at times.
    fn overwrite(&self, dice: &mut Dice) -> io::Result<String> {
        let path = self.any_file(dice)?;
        let size = usize::try_from(path.symlink_metadata()?.size()).unwrap();
        let more = noise(dice.any(), 1 + dice.below(5000));
        OpenOptions::new().write(true).open(&path)?.write_all_at(&more, dice.below(size + 1) as u64)?;
        Ok(self.tell("overwrite", &path))
    }

    /// Only the nanoseconds tell.
    fn edit(&self, dice: &mut Dice) -> io::Result<String> {
        let path = self.any_file(dice)?;
        if !(1..500_000).contains(&path.symlink_metadata()?.size()) {
            return Err(none());
        }
        edit_in_the_same_second(&path);
        Ok(self.tell("edit within the second", &path))
    }

    /// Makes a hole at the end, and data behind it.
    fn punch(&self, dice: &mut Dice) -> io::Result<String> {
        let path = self.any_file(dice)?;
        let file = OpenOptions::new().write(true).open(&path)?;
        let end = file.metadata()?.len().min(1 << 22) + (1 << 20);
        file.write_all_at(&noise(dice.any(), 1 + dice.below(5000)), end)?;
        Ok(self.tell("make a hole in", &path))
    }

    fn change_mode(&self, dice: &mut Dice) -> io::Result<String> {
        let path = self.any_or_root(dice)?;
        if path.symlink_metadata()?.is_symlink() {
            return Err(none());
        }
        let mode = u32::try_from(dice.below(0o10_000)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(self.tell(&format!("chmod {mode:o}"), &path))
    }

    fn any_or_root(&self, dice: &mut Dice) -> io::Result<PathBuf> {
        if dice.once_in(20) { Ok(self.root.clone()) } else { self.any(dice) }
    }

    fn change_owner(&self, dice: &mut Dice) -> io::Result<String> {
        let path = self.any_or_root(dice)?;
        let mut id = || dice.one_of(&[0, 1, 1000, 65_534, 54_321, 4_000_000_000]);
        let (user, group) = (id(), id());
        lchown(&path, Some(user), Some(group))?;
        Ok(self.tell(&format!("chown {user}:{group}"), &path))
    }

    fn change_time(&self, dice: &mut Dice) -> io::Result<String> {
        let path = self.any_or_root(dice)?;
        // Two files of one size and one time would be the same file to rsync.
        let seconds = dice.one_of(&MOMENTS) + i64::try_from(dice.below(1_000_000)).unwrap();
        let nanoseconds = i64::try_from(dice.below(1_000_000_000)).unwrap() * i64::from(!dice.once_in(4));
        set_mtime(&path, seconds, nanoseconds);
        Ok(self.tell(&format!("set the time {seconds}.{nanoseconds:09} of"), &path))
    }

    fn change_attribute(&self, dice: &mut Dice) -> io::Result<String> {
        let path = self.any_or_root(dice)?;
        let kind = path.symlink_metadata()?.file_type();
        let name = match dice.below(6) {
            0 if kind.is_file() => "security.capability",
            1 | 2 => dice.one_of(&["trusted.one", "trusted.\u{e9}"]),
            _ => dice.one_of(&["user.one", "user.two", "user.with space"]),
        };
        if dice.once_in(3) {
            xattr::remove(&path, name)?;
            return Ok(self.tell(&format!("remove {name} from"), &path));
        }
        let value = if name == "security.capability" {
            capability(1 << dice.below(20))
        } else {
            let length = dice.one_of(&[0, 1, 31, 32, 33, 200, 700]);
            noise(dice.any(), length)
        };
        xattr::set(&path, name, &value)?;
        Ok(self.tell(&format!("set {name} of"), &path))
    }

    fn change_list(&self, dice: &mut Dice) -> io::Result<String> {
        let path = self.any_or_root(dice)?;
        let kind = path.symlink_metadata()?.file_type();
        if kind.is_symlink() {
            return Err(none());
        }
        let is_default = kind.is_dir() && dice.once_in(2);
        let name = if is_default { "system.posix_acl_default" } else { "system.posix_acl_access" };
        if dice.once_in(3) {
            xattr::remove(&path, name)?;
            return Ok(self.tell(&format!("remove {name} from"), &path));
        }
        let user = dice.one_of(&[1, 1000, 54_321]);
        let permissions = u16::try_from(dice.below(8)).unwrap();
        xattr::set(&path, name, &acl(user, permissions))?;
        Ok(self.tell(&format!("set {name} of"), &path))
    }

    fn link(&self, dice: &mut Dice) -> io::Result<String> {
        let (from, to) = (self.any(dice)?, self.place(dice)?);
        fs::hard_link(&from, &to)?;
        Ok(self.tell(&self.tell("link", &from), &to))
    }

    /// Gives one name of something linked an inode of its own: with the same contents, size and time, or of a file with
    /// other contents.
    fn break_link(&self, dice: &mut Dice) -> io::Result<String> {
        let path = self.any_linked(dice)?;
        let was = path.symlink_metadata()?;
        let kind = SFlag::from_bits_truncate(was.mode() & SFlag::S_IFMT.bits());
        if was.is_file() {
            let contents = fs::read(&path)?;
            fs::remove_file(&path)?;
            if dice.once_in(3) {
                fs::write(&path, noise(dice.any(), contents.len()))?;
                return Ok(self.tell("break the link and overwrite", &path));
            }
            write_with_holes(&path, &contents)?;
        } else if was.is_symlink() {
            let target = fs::read_link(&path)?;
            fs::remove_file(&path)?;
            symlink(target, &path)?;
        } else {
            fs::remove_file(&path)?;
            mknod(&path, kind, Mode::from_bits_truncate(0o600), was.rdev())?;
        }
        set_mtime(&path, was.mtime(), was.mtime_nsec());
        Ok(self.tell("break the link", &path))
    }

    fn any_linked(&self, dice: &mut Dice) -> io::Result<PathBuf> {
        for _ in 0..20 {
            let path = self.any(dice)?;
            let found = path.symlink_metadata()?;
            if !found.is_dir() && found.nlink() > 1 {
                return Ok(path);
            }
        }
        Err(none())
    }

    fn change_kind(&self, dice: &mut Dice) -> io::Result<String> {
        let path = self.any(dice)?;
        remove(&path)?;
        make_at(&path, dice)?;
        Ok(self.tell("change the kind of", &path))
    }
}

/// There is nothing that a change could be made to.
/// Writes a file without its zeros: a copy that was given blocks behind a clone's back keeps them.
fn write_with_holes(path: &Path, contents: &[u8]) -> io::Result<()> {
    const BLOCK: usize = 4096;
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.set_len(contents.len() as u64)?;
    for (number, block) in contents.chunks(BLOCK).enumerate() {
        if block.iter().any(|byte| *byte != 0) {
            file.write_all_at(block, (number * BLOCK) as u64)?;
        }
    }
    Ok(())
}

fn none() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        remove_tree(path);
        return Ok(());
    }
    fs::remove_file(path)
}

/// A name of any bytes.
fn name(dice: &mut Dice) -> OsString {
    if dice.once_in(2) {
        return OsStr::new(dice.one_of(&USUAL)).to_owned();
    }
    let length = if dice.once_in(15) { 255 } else { 1 + dice.below(12) };
    let mut bytes = noise(dice.any(), length);
    for byte in &mut bytes {
        if [0, b'/'].contains(byte) {
            *byte = b'_';
        }
    }
    if bytes.iter().all(|byte| *byte == b'.') { OsString::from("dots") } else { OsString::from_vec(bytes) }
}

fn length(dice: &mut Dice) -> u64 {
    dice.one_of(&[0, 0, 1, 59, 60, 61, 700, 701, 4095, 4096, 4097, 65_536, 131_073, 700_000])
}

/// Makes an entry of any kind where there is none.
fn make_at(path: &Path, dice: &mut Dice) -> io::Result<()> {
    match dice.below(12) {
        0 => fs::create_dir(path),
        1 => symlink("../".repeat(dice.below(3)) + dice.one_of(&USUAL), path),
        2 => symlink(name(dice), path),
        3 => node(path, SFlag::S_IFIFO, dice),
        4 => node(path, SFlag::S_IFSOCK, dice),
        5 => node(path, SFlag::S_IFCHR, dice),
        6 => node(path, SFlag::S_IFBLK, dice),
        _ => {
            let length = usize::try_from(length(dice)).unwrap();
            let contents = noise(dice.any(), length);
            OpenOptions::new().write(true).create_new(true).open(path)?.write_all(&contents)
        }
    }
}

/// Makes a FIFO, a socket or a device. rsync takes a character device for a block device of the same number, so no two of
/// them have one.
fn node(path: &Path, kind: SFlag, dice: &mut Dice) -> io::Result<()> {
    let major = match kind {
        SFlag::S_IFCHR => dice.one_of(&[1, 4000]),
        SFlag::S_IFBLK => dice.one_of(&[7, 259]),
        _ => 0,
    };
    let minor = if major == 0 { 0 } else { dice.one_of(&[0, 3, 255, 256, 70_000]) };
    Ok(mknod(path, kind, Mode::from_bits_truncate(0o640), makedev(major, minor))?)
}
