//! Block devices (Linux): what each holds, by `blkid`, and how they belong together, by `/sys`.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::display;
use crate::host::machine::Machine;
use crate::linux::blkid;
use crate::linux::blkid::Probed;
use crate::linux::mounts::device_name;
use crate::logging::warning;
pub use crate::plan::tag::Tag;
use crate::process::{Command, End, capture};

/// The longest that probing one device may take: one that hangs must not keep us from the others.
const PROBE_LIMIT: Duration = Duration::from_secs(20);

/// Drives that are probed only when named: floppy disks, which make noise even when empty.
const FLOPPY: u64 = 2;

/// A block device, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDevice {
    /// Its path, such as `/dev/sdb1`.
    pub path: PathBuf,
    /// Its device number.
    pub rdev: u64,
    /// What it holds, and the partition that it is.
    pub found: Probed,
    /// It has signatures of several filesystems, so what it holds is not certain.
    pub is_ambiguous: bool,
}

impl BlockDevice {
    /// Its device number as `MAJOR:MINOR`.
    #[must_use]
    pub fn number(&self) -> String {
        number(self.rdev)
    }

    /// Whether this tag names it.
    #[must_use]
    pub fn is(&self, tag: &Tag) -> bool {
        let same = |found: &Option<String>, wanted: &str| found.as_deref() == Some(wanted);
        let same_uuid = |found: &Option<String>, wanted: &str| {
            found.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(wanted))
        };
        match tag {
            Tag::Uuid(uuid) => same_uuid(&self.found.uuid, uuid),
            Tag::Label(label) => same(&self.found.label, label),
            Tag::PartUuid(uuid) => same_uuid(&self.found.part_uuid, uuid),
            Tag::PartLabel(label) => same(&self.found.part_label, label),
            Tag::Device(path) => fs::metadata(path)
                .is_ok_and(|found| found.file_type().is_block_device() && found.rdev() == self.rdev),
        }
    }

    /// The whole disk that it is a partition of; itself if it is none.
    pub fn disk(&self) -> io::Result<PathBuf> {
        disk_of(self.rdev)
    }

    /// Its size in bytes.
    pub fn size(&self) -> io::Result<u64> {
        size(self.rdev)
    }

    /// The devices that it is made of, such as the partition below an opened LUKS container.
    pub fn made_of(&self) -> io::Result<Vec<PathBuf>> {
        related(self.rdev, "slaves")
    }

    /// The devices that are made of it.
    pub fn holders(&self) -> io::Result<Vec<PathBuf>> {
        related(self.rdev, "holders")
    }
}

/// All devices that a tag names, in the order of their paths; none if no such device is there.
///
/// Every device is read itself: links in `/dev/disk` need udev and show one of two devices with the same name, and a
/// cache may be stale. A device below another that is found as well, as one path of several to a disk, does not count.
pub fn find(machine: Machine<'_>, tag: &Tag) -> io::Result<Vec<BlockDevice>> {
    if let Tag::Device(path) = tag {
        return match fs::canonicalize(path) {
            Ok(path) => probe(machine, &path).map(|device| vec![device]),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        };
    }
    let mut found = Vec::new();
    for path in all()? {
        match probe(machine, &path) {
            Ok(device) if device.is(tag) => found.push(device),
            Ok(_) => {}
            // It has just gone, or its disk is not answering: what is sought may be elsewhere.
            Err(error) if is_gone(&error) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => warning(format_args!(
                "{} does not answer: it is left out of the search for {tag}.",
                display::path(&path)
            )),
            Err(error) => return Err(error),
        }
        if machine.interrupts.received().is_some() {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
    let below: Vec<PathBuf> = found.iter().flat_map(|device| ancestors(device.rdev)).collect();
    found.retain(|device| !below.contains(&device.path));
    Ok(found)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput)
        || error.raw_os_error() == Some(nix::libc::ENXIO)
}

/// Probes one device. `InvalidInput` if it is not a block device, `TimedOut` if it does not answer.
pub fn probe(machine: Machine<'_>, path: &Path) -> io::Result<BlockDevice> {
    let metadata = fs::metadata(path)?;
    if !metadata.file_type().is_block_device() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a block device"));
    }
    let options = ["-c", "/dev/null", "-p", "-o", "udev"].map(OsStr::new);
    let command = Command::tool(&machine.host.tools.blkid, options.into_iter().chain([path.as_os_str()]));
    let printed = capture(&command, machine.interrupts, PROBE_LIMIT).map_err(|error| {
        if error.kind() == io::ErrorKind::TimedOut {
            return error;
        }
        // Not the device is missing, but the tool.
        let tool = display::path(&machine.host.tools.blkid);
        io::Error::other(format!("{tool} cannot be run ({})", display::reason(&error)))
    })?;
    let mut device = BlockDevice {
        path: path.to_owned(),
        rdev: metadata.rdev(),
        found: Probed::default(),
        is_ambiguous: false,
    };
    match printed.end {
        End::Exited(0) => device.found = blkid::read(&printed.out),
        // It holds nothing that is known, or cannot be read.
        End::Exited(2) => {}
        End::Exited(8) => device.is_ambiguous = true,
        End::Exited(_) | End::Killed(_) => {
            let tool = display::path(&machine.host.tools.blkid).to_string();
            return Err(io::Error::other(format!("{tool} failed on {}", display::path(path))));
        }
    }
    Ok(device)
}

/// The paths of all block devices that have a size, sorted.
pub fn all() -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir("/sys/class/block")? {
        let dir = entry?.path();
        let is_empty = read_number(&dir.join("size")).is_none_or(|sectors| sectors == 0);
        let is_floppy = read_text(&dir.join("dev")).is_some_and(|dev| dev.starts_with(&format!("{FLOPPY}:")));
        if is_empty || is_floppy {
            continue;
        }
        paths.extend(path_of(&dir));
    }
    paths.sort();
    Ok(paths)
}

/// The whole disk that a device is a partition of; the device itself if it is none.
pub fn disk_of(rdev: u64) -> io::Result<PathBuf> {
    let dir = fs::canonicalize(sys_dir(rdev))?;
    let is_partition = dir.join("partition").exists();
    let disk = if is_partition { dir.parent().unwrap_or(&dir) } else { &dir };
    path_of(disk).ok_or_else(|| io::Error::other("the kernel does not name its disk"))
}

/// The most devices between a filesystem and its disks, such as a logical volume in an encrypted partition.
const DEEPEST: usize = 16;

/// The whole disks that a device lies on, sorted. Errors if that cannot be determined.
pub fn disks_of(rdev: u64) -> io::Result<Vec<PathBuf>> {
    let mut layer = vec![rdev];
    let mut disks = Vec::new();
    for _ in 0..DEEPEST {
        let mut below = Vec::new();
        for rdev in layer {
            let made_of = related(rdev, "slaves")?;
            if made_of.is_empty() {
                disks.push(disk_of(rdev)?);
            }
            for path in made_of {
                below.push(fs::metadata(&path)?.rdev());
            }
        }
        layer = below;
        if layer.is_empty() {
            disks.sort();
            disks.dedup();
            return Ok(disks);
        }
    }
    Err(io::Error::other("too many devices lie upon each other"))
}

/// The partitions of a disk that the kernel knows, in the order of their numbers.
pub fn partitions_of(disk: u64) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(sys_dir(disk))? {
        let dir = entry?.path();
        if let Some(number) = read_number(&dir.join("partition")) {
            found.extend(path_of(&dir).map(|path| (number, path)));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The size of a device in bytes.
pub fn size(rdev: u64) -> io::Result<u64> {
    // The kernel counts in sectors of 512 bytes, whatever the disk's are.
    let sectors = read_number(&sys_dir(rdev).join("size"));
    sectors.map(|sectors| sectors.saturating_mul(512)).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// A device number as `MAJOR:MINOR`.
#[must_use]
pub fn number(rdev: u64) -> String {
    format!("{}:{}", rustix::fs::major(device(rdev)), rustix::fs::minor(device(rdev)))
}

/// The type of a device number depends on the system.
#[allow(
    clippy::cast_possible_truncation,
    clippy::unnecessary_cast,
    clippy::cast_possible_wrap,
    reason = "dev_t"
)]
fn device(rdev: u64) -> rustix::fs::Dev {
    rdev as rustix::fs::Dev
}

fn sys_dir(rdev: u64) -> PathBuf {
    Path::new("/sys/dev/block").join(number(rdev))
}

fn related(rdev: u64, which: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(sys_dir(rdev).join(which)) {
        Ok(entries) => entries,
        // Partitions have no slaves.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        found.extend(path_of(&entry?.path()));
    }
    found.sort();
    Ok(found)
}

/// Everything below a device, as far down as it goes.
fn ancestors(rdev: u64) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut next = related(rdev, "slaves").unwrap_or_default();
    while let Some(path) = next.pop() {
        if found.contains(&path) {
            continue;
        }
        if let Ok(metadata) = fs::metadata(&path) {
            next.extend(related(metadata.rdev(), "slaves").unwrap_or_default());
        }
        found.push(path);
    }
    found
}

/// The path of the device that a directory in `/sys` describes; `None` if `/dev` does not have it.
fn path_of(dir: &Path) -> Option<PathBuf> {
    let uevent = read_text(&dir.join("uevent"))?;
    let path = Path::new("/dev").join(device_name(&uevent)?);
    path.exists().then_some(path)
}

fn read_number(path: &Path) -> Option<u64> {
    read_text(path)?.trim().parse().ok()
}

fn read_text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}
