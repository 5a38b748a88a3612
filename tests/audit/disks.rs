//! The disks: each kind works, fails as requested, and is removed.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use nix::libc::{EIO, ENOSPC, EPERM, EROFS};

use crate::audit::copy;
use crate::support::audit::{Options, Side, What, assert_same, audit};
use crate::support::disk::{LoopDisk, OwnerlessFuse, Tmpfs, supported};
use crate::support::tree;

const KINDS: [&str; 5] = ["ext3", "ext4", "xfs", "btrfs", "vfat"];

/// XFS shows each access control list as an attribute of its own as well. Without the filter, rsync removes it for not
/// being in the source, and with it the list.
const WITHOUT_THE_LISTS_OF_XFS: &[&str] =
    &["-aHAXS", "--numeric-ids", "--modify-window=-1", "--filter=-x trusted.SGI_ACL_*"];

fn disk(kind: &str) -> LoopDisk {
    LoopDisk::new(kind, 320, &[], "")
}

fn is_mounted(path: &Path) -> io::Result<bool> {
    let shown = path.to_string_lossy();
    Ok(fs::read_to_string("/proc/self/mountinfo")?.lines().any(|line| line.contains(shown.as_ref())))
}

fn fails_with<T>(result: io::Result<T>, expected: i32) {
    assert_eq!(result.err().and_then(|error| error.raw_os_error()), Some(expected));
}

fn read_all(path: &Path) -> io::Result<u64> {
    io::copy(&mut File::open(path)?, &mut io::sink())
}

#[test]
fn every_kind_mounts_and_goes_away() -> io::Result<()> {
    assert!(supported("ext4"), "the tests need ext4 at least");
    for kind in KINDS.into_iter().filter(|kind| supported(kind)) {
        let disk = disk(kind);
        let (point, device, image) = (disk.path().to_path_buf(), disk.device().to_path_buf(), disk.image());
        fs::write(point.join("file"), kind)?;
        assert!(is_mounted(&point)?);
        assert_ne!(fs::metadata(&point)?.dev(), fs::metadata(image.parent().unwrap_or(&point))?.dev());
        assert!(fs::metadata(&image)?.blocks() * 512 < fs::metadata(&image)?.len());
        drop(disk);
        assert!(!is_mounted(&point)? && !image.exists());
        let backing =
            Path::new("/sys/block").join(device.file_name().unwrap_or_default()).join("loop/backing_file");
        assert!(fs::read_to_string(backing).map_or(true, |file| Path::new(file.trim()) != image));
    }
    Ok(())
}

#[test]
fn every_kind_but_vfat_holds_the_hostile_tree() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let source = dir.path().join("source");
    tree::hostile_tree(&source);
    for kind in KINDS.into_iter().filter(|kind| *kind != "vfat" && supported(kind)) {
        let disk = disk(kind);
        let clone = disk.path().join("clone");
        copy("rsync", WITHOUT_THE_LISTS_OF_XFS, &source, &clone)?;
        let options = Options { sparse_slack: 256 * 1024, ..Options::default() };
        assert_same(&source, &clone, &options);
        copy("rsync", WITHOUT_THE_LISTS_OF_XFS, &source, &clone)?;
        assert_same(&source, &clone, &options);
        tree::remove_tree(&clone);
        tree::hostile_tree(&clone);
        assert_same(&source, &clone, &options);
    }
    Ok(())
}

#[test]
fn a_panic_unmounts() -> io::Result<()> {
    let point = std::sync::Mutex::new(PathBuf::new());
    let result = catch_unwind(|| {
        let disk = disk("ext4");
        if let Ok(mut point) = point.lock() {
            *point = disk.path().to_path_buf();
        }
        panic!("in the middle of a test");
    });
    assert!(result.is_err());
    let point = point.into_inner().unwrap_or_default();
    assert!(point.is_absolute() && !point.exists() && !is_mounted(&point)?);
    Ok(())
}

#[test]
fn an_open_file_does_not_keep_a_disk_mounted() -> io::Result<()> {
    let disk = disk("ext4");
    let point = disk.path().to_path_buf();
    let open = File::create(point.join("file"))?;
    drop(disk);
    assert!(!is_mounted(&point)?);
    drop(open);
    Ok(())
}

#[test]
fn mkfs_arguments_and_mount_options_are_used() -> io::Result<()> {
    let disk = LoopDisk::new("ext4", 64, &["-I", "128", "-N", "64"], "noexec,ro");
    fails_with(fs::write(disk.path().join("file"), ""), EROFS);
    drop(disk);
    // Without the room in the inodes, such a disk has no nanoseconds: an audit has to be able to tell.
    let disk = LoopDisk::new("ext4", 64, &["-I", "128"], "");
    fs::write(disk.path().join("file"), "")?;
    tree::set_mtime(&disk.path().join("file"), 5, 5);
    assert_eq!(fs::metadata(disk.path().join("file"))?.mtime_nsec(), 0);
    Ok(())
}

#[test]
fn read_only_and_writable_again() -> io::Result<()> {
    for kind in KINDS.into_iter().filter(|kind| supported(kind)) {
        let disk = disk(kind);
        fs::write(disk.path().join("file"), "")?;
        disk.remount_read_only();
        fails_with(fs::write(disk.path().join("file"), ""), EROFS);
        disk.remount_writable();
        fs::write(disk.path().join("file"), "")?;
    }
    Ok(())
}

#[test]
fn shut_down() -> io::Result<()> {
    for kind in ["ext4", "xfs"].into_iter().filter(|kind| supported(kind)) {
        let disk = disk(kind);
        fs::write(disk.path().join("file"), "contents")?;
        disk.shutdown();
        fails_with(fs::write(disk.path().join("other"), ""), EIO);
        fails_with(fs::read(disk.path().join("file")), EIO);
    }
    Ok(())
}

#[test]
fn an_error_turns_ext_read_only() -> io::Result<()> {
    for kind in ["ext3", "ext4"] {
        let disk = LoopDisk::new(kind, 64, &[], "errors=remount-ro");
        fs::write(disk.path().join("file"), "contents")?;
        disk.trigger_fs_error();
        fails_with(fs::write(disk.path().join("other"), ""), EROFS);
        assert_eq!(fs::read(disk.path().join("file"))?, b"contents");
    }
    Ok(())
}

#[test]
fn contents_of_a_lost_device_are_unreadable() -> io::Result<()> {
    for kind in KINDS.into_iter().filter(|kind| supported(kind)) {
        let disk = disk(kind);
        fs::write(disk.path().join("file"), tree::noise(1, 3_000_000))?;
        disk.save();
        disk.lose_device();
        fails_with(read_all(&disk.path().join("file")), EIO);
    }
    Ok(())
}

#[test]
fn behind_the_cut_contents_are_unreadable_and_nothing_else_differs() -> io::Result<()> {
    const MEBIBYTE: usize = 1024 * 1024;
    let disk = LoopDisk::new("ext4", 128, &[], "");
    let copy_of = tempfile::tempdir()?;
    let clone = copy_of.path().join("clone");
    for name in ["1", "2", "3"] {
        fs::write(disk.path().join(name), tree::noise(1, 25 * MEBIBYTE))?;
    }
    copy("cp", &["-aT"], disk.path(), &clone)?;
    disk.truncate_image(60 * MEBIBYTE as u64);
    let found = audit(disk.path(), &clone, &Options::default());
    let unreadable = |what: &What| matches!(what, What::Unreadable { side: Side::Source, .. });
    assert!(found.iter().all(|difference| unreadable(&difference.what)), "{found:?}");
    // Which of the files lie behind the cut, if only in part, is for the filesystem to choose; not all can lie before it.
    assert!(!found.is_empty());
    Ok(())
}

#[test]
fn memory_fills_up_and_turns_read_only() {
    let memory = Tmpfs::new("size=64k");
    fails_with(fs::write(memory.path().join("file"), vec![1; 100_000]), ENOSPC);
    memory.remount_read_only();
    fails_with(fs::write(memory.path().join("other"), ""), EROFS);
    let point = memory.path().to_path_buf();
    drop(memory);
    assert!(!point.exists());
}

#[test]
fn no_owners_are_held() -> io::Result<()> {
    let fuse = OwnerlessFuse::new();
    let (file, below) = (fuse.path().join("file"), fuse.backing().join("file"));
    fs::write(&file, "contents")?;
    lchown(&file, Some(54321), Some(54321))?;
    assert_eq!((fs::metadata(&file)?.uid(), fs::metadata(&file)?.gid()), (0, 0));
    lchown(&below, Some(54321), Some(54321))?;
    assert_eq!((fs::metadata(&file)?.uid(), fs::metadata(&file)?.gid()), (0, 0));
    assert_eq!(fs::read(&below)?, b"contents");
    let point = fuse.path();
    drop(fuse);
    assert!(!point.exists() && !is_mounted(&point)?);
    Ok(())
}

#[test]
fn a_change_of_owner_is_refused() -> io::Result<()> {
    let fuse = OwnerlessFuse::refusing_chown();
    fs::write(fuse.path().join("file"), "contents")?;
    fails_with(lchown(fuse.path().join("file"), Some(54321), None), EPERM);
    Ok(())
}

#[test]
fn all_but_owners_and_attributes_is_held() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let source = dir.path().join("source");
    tree::hostile_tree(&source);
    let fuse = OwnerlessFuse::new();
    let clone = fuse.path().join("clone");
    copy("rsync", &["-rlptDHS", "--modify-window=-1"], &source, &clone)?;
    assert_same(&source, &clone, &Options { owners: false, xattrs: false, ..Options::default() });
    let found = audit(&source, &clone, &Options { xattrs: false, ..Options::default() });
    assert!(!found.is_empty());
    assert!(found.iter().all(|difference| matches!(difference.what, What::Uid { .. } | What::Gid { .. })));
    Ok(())
}
