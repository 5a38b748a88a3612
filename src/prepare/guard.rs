//! What a disk must not be: mounted, swapped to, built upon, or shown twice. What cannot be found out refuses.
//!
//! The kernel's exclusive claim has the last word; these checks come first, because they can say why.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::display;
use crate::linux::mounts;
use crate::linux::mounts::{Mount, device_name};
use crate::linux::swaps;
use crate::sys;
use crate::volume::block;

/// The disk, its partitions, and all that is built upon them, by device number.
type Members = BTreeMap<u64, PathBuf>;

/// Refuses a disk of which anything is in use.
pub fn check(disk: u64) -> Result<(), String> {
    let members = members(disk).map_err(|error| unknown("what is built upon it", &error))?;
    mounted(&members)?;
    swapped(&members)?;
    in_btrfs(&members)?;
    built_upon(disk, &members)?;
    shown_by_loops(&members)
}

fn unknown(what: &str, error: &io::Error) -> String {
    format!("{what} cannot be found out: {}", display::reason(error))
}

fn members(disk: u64) -> io::Result<Members> {
    let mut found = Members::new();
    let mut next = vec![block::disk_of(disk)?];
    next.extend(block::partitions_of(disk)?);
    while let Some(path) = next.pop() {
        let rdev = fs::metadata(&path)?.rdev();
        if found.contains_key(&rdev) {
            continue;
        }
        for holder in fs::read_dir(Path::new("/sys/dev/block").join(block::number(rdev)).join("holders"))? {
            let uevent = fs::read_to_string(holder?.path().join("uevent"))?;
            let name = device_name(&uevent).ok_or_else(|| io::Error::other("a device without a name"))?;
            next.push(Path::new("/dev").join(name));
        }
        found.insert(rdev, path);
    }
    Ok(found)
}

/// Looks into every mount namespace that a process is in.
fn mounted(members: &Members) -> Result<(), String> {
    let own = fs::read("/proc/self/mountinfo").map_err(|error| unknown("what is mounted", &error))?;
    mounted_in(members, &mounts::read(&own))?;
    let mut seen = BTreeSet::<OsString>::new();
    let processes = fs::read_dir("/proc").map_err(|error| unknown("what is mounted", &error))?;
    for process in processes.flatten() {
        if !process.file_name().as_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let namespace = fs::read_link(process.path().join("ns/mnt"));
        if namespace.is_ok_and(|namespace| !seen.insert(namespace.into_os_string())) {
            continue;
        }
        // It has ended meanwhile, or is out of our sight: the claim of a mount there is not.
        if let Ok(table) = fs::read(process.path().join("mountinfo")) {
            mounted_in(members, &mounts::read(&table))?;
        }
    }
    Ok(())
}

fn mounted_in(members: &Members, table: &[Mount]) -> Result<(), String> {
    let of = |mount: &&Mount| {
        let by_number = members.keys().copied().find(|rdev| block::number(*rdev) == mount.device_number);
        by_number.or_else(|| rdev_of(Path::new(&mount.device)).filter(|rdev| members.contains_key(rdev)))
    };
    let found: Vec<(&Mount, u64)> = table.iter().filter_map(|mount| Some((mount, of(&mount)?))).collect();
    if found.iter().any(|(mount, _)| mount.point == Path::new("/")) {
        return Err("it holds the running system, which is mounted at /".to_owned());
    }
    let Some((mount, rdev)) = found.first() else { return Ok(()) };
    let device = members.get(rdev).map_or(Path::new(&mount.device), PathBuf::as_path);
    Err(format!("{} is mounted at {}", display::path(device), display::path(&mount.point)))
}

/// The number of a block device; `None` for any other path. No other is touched: a dead network mount would hang.
fn rdev_of(path: &Path) -> Option<u64> {
    let found = path.starts_with("/dev").then(|| fs::metadata(path).ok())??;
    found.file_type().is_block_device().then(|| found.rdev())
}

fn swapped(members: &Members) -> Result<(), String> {
    let table = match fs::read("/proc/swaps") {
        Ok(table) => table,
        // A kernel without swap.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unknown("what is swapped to", &error)),
    };
    let in_use = swaps::active_devices(&table);
    let found = in_use.iter().find(|path| rdev_of(path).is_some_and(|rdev| members.contains_key(&rdev)));
    found.map_or(Ok(()), |path| Err(format!("{} is in use as swap", display::path(path))))
}

/// The numbers of all devices of all btrfs that are mounted.
fn btrfs_devices() -> io::Result<BTreeSet<String>> {
    let mut numbers = BTreeSet::new();
    // What has just been unmounted is in the way no more; a kernel without btrfs has no such directory.
    let entries = |dir: &Path| match fs::read_dir(dir) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    for filesystem in entries(Path::new("/sys/fs/btrfs"))? {
        for device in entries(&filesystem.path().join("devices"))? {
            match fs::read_to_string(device.path().join("dev")) {
                Ok(number) => numbers.extend([number.trim().to_owned()]),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(numbers)
}

/// A btrfs of several devices is mounted by the name of one.
fn in_btrfs(members: &Members) -> Result<(), String> {
    let numbers = btrfs_devices().map_err(|error| unknown("which disks a mounted btrfs has", &error))?;
    let found = members.iter().find(|(rdev, _)| numbers.contains(&block::number(**rdev)));
    let Some((_, path)) = found else { return Ok(()) };
    Err(format!("{} belongs to a btrfs that is mounted", display::path(path)))
}

fn built_upon(disk: u64, members: &Members) -> Result<(), String> {
    let own = block::partitions_of(disk).map_err(|error| unknown("its partitions", &error))?;
    let above = members.iter().find(|(rdev, path)| **rdev != disk && !own.contains(path));
    let Some((_, path)) = above else { return Ok(()) };
    Err(format!(
        "{} is built upon it (LVM, RAID, or an open LUKS container): close that first",
        display::path(path)
    ))
}

/// Every loop device that shows something, with what it shows.
fn loops() -> io::Result<Vec<(u64, PathBuf, sys::Backing)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/sys/block")? {
        let dir = entry?.path();
        if !dir.join("loop/backing_file").exists() {
            continue;
        }
        let name = dir.file_name().unwrap_or_default().to_owned();
        let path = Path::new("/dev").join(name);
        match File::open(&path).and_then(|file| Ok((file.metadata()?.rdev(), sys::loop_backing(&file)?))) {
            Ok((rdev, backing)) => found.push((rdev, path, backing)),
            // It has just been detached.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(nix::libc::ENXIO)
}

/// A loop device does not claim the device that it shows.
fn shown_by_loops(members: &Members) -> Result<(), String> {
    let loops = loops().map_err(|error| unknown("what loop devices show", &error))?;
    let on_it =
        loops.iter().find(|(_, _, backing)| backing.device != 0 && members.contains_key(&backing.device));
    on_it.map_or(Ok(()), |(_, path, _)| Err(format!("the loop device {} shows it", display::path(path))))
}

/// Refuses a loop device whose file is a device itself, or is shown by another one too.
pub fn check_loop(disk: u64, file: &File) -> Result<(), String> {
    let Ok(own) = sys::loop_backing(file) else { return Ok(()) };
    if own.device != 0 {
        return Err("it is a loop device that shows another device: name that one".to_owned());
    }
    let loops = loops().map_err(|error| unknown("what loop devices show", &error))?;
    let twin = loops.iter().find(|(rdev, _, backing)| *rdev != disk && backing.file == own.file);
    twin.map_or(Ok(()), |(_, path, _)| Err(format!("{} shows the same file", display::path(path))))
}
