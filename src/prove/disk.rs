//! The disk that is proven: found by what was typed, opened for reading only, and kept from changing meanwhile.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::failure::refusal::Refusal;
use crate::fs::dir::Dir;
use crate::fs::lock::Lock;
use crate::host::machine::Machine;
use crate::linux::blkid::Probed;
use crate::linux::mounts;
use crate::linux::mounts::Mount;
use crate::prove::media;
use crate::prove::media::Media;
use crate::prove::qemu::{Bus, GuestDisk};
use crate::volume;
use crate::volume::block;
use crate::volume::block::{BlockDevice, Tag};
use crate::volume::mounts as mount_table;

/// The disk, and what was named on it.
#[derive(Debug)]
pub struct Disk {
    /// What it is called in messages.
    pub path: PathBuf,
    /// The UUID of the filesystem that was named, if one was.
    pub filesystem: Option<String>,
    /// What firmware can start.
    pub media: Media,
    /// Where filesystems on it are mounted.
    pub mounted_at: Vec<PathBuf>,
    file: File,
    is_device: bool,
    sector: u32,
    before: Change,
    _locks: Vec<Lock>,
}

/// What changes whenever something is written to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// The kernel's count of writes to a device.
    Count(Option<u64>),
    /// When an image was written to, and its size.
    Image(i64, i64, u64),
}

/// A refusal for what was typed.
fn refuse(what: &str, why: impl std::fmt::Display) -> Refusal {
    Refusal(ExitCode::DESTINATION, format!("{what} cannot be proven: {why}."))
}

/// How the disk is looked for and opened.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// The machine we run on, and the signals that may end us.
    pub machine: Machine<'a>,
    /// The caller holds the destination's lock already.
    pub is_locked: bool,
}

impl Search<'_> {
    /// Finds and opens the disk that this names: a tag, a device, a mounted clone or a disk image.
    pub fn open(&self, given: &OsStr) -> Result<Disk, Refusal> {
        let what = display::name(given).to_string();
        let failed = |error: io::Error| refuse(&what, display::reason(&error));
        if let Some(tag) = Tag::read_or_device(given) {
            let tag = tag.map_err(|error| refuse(&what, error))?;
            let found = block::find(self.machine, &tag).map_err(failed)?;
            return match <[BlockDevice; 1]>::try_from(found) {
                Ok([device]) => self.open_disk_of(&what, &device),
                Err(none) if none.is_empty() => Err(refuse(&what, "no such device is there")),
                Err(several) => {
                    let paths: Vec<String> =
                        several.iter().map(|device| display::path(&device.path).to_string()).collect();
                    Err(refuse(&what, format_args!("several devices have that name: {}", paths.join(", "))))
                }
            };
        }
        let path = Path::new(given);
        let metadata = path.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return self.open_mounted(&what, path);
        }
        if metadata.is_file() {
            return open_image(path).map_err(failed);
        }
        Err(refuse(&what, "it is no disk, no mounted clone and no disk image"))
    }

    fn open_mounted(&self, what: &str, path: &Path) -> Result<Disk, Refusal> {
        let failed = |error: io::Error| refuse(what, display::reason(&error));
        let dir = Dir::reach(path).map_err(failed)?;
        let place = mount_table::of(&dir).map_err(failed)?;
        let mount = place.as_ref().and_then(|place| place.mount());
        let mount = mount.ok_or_else(|| refuse(what, "its disk is not known"))?;
        if mount.point != dir.path() {
            let point = display::path(&mount.point);
            return Err(refuse(
                what,
                format_args!(
                    "it is a directory of the filesystem at {point}, and boots from no disk of its own"
                ),
            ));
        }
        let device = volume::device(mount).ok_or_else(|| refuse(what, "its filesystem is on no disk"))?;
        let device = block::probe(self.machine, &device).map_err(failed)?;
        self.open_disk_of(what, &device)
    }

    /// Opens the whole disk that this device is on.
    fn open_disk_of(&self, what: &str, device: &BlockDevice) -> Result<Disk, Refusal> {
        let failed = |error: io::Error| refuse(what, display::reason(&error));
        let disks = block::disks_of(device.rdev).map_err(failed)?;
        let path = match disks.as_slice() {
            [path] => path.clone(),
            several => {
                let why = format!("it lies on {} disks, and only one can be started", several.len());
                return Err(refuse(what, why));
            }
        };
        let (file, is_ours_alone) = match open(&path, OFlag::O_EXCL) {
            Ok(file) => (file, true),
            Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
                (open(&path, OFlag::empty()).map_err(failed)?, false)
            }
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        let (mounted_at, locks) =
            if is_ours_alone { (Vec::new(), Vec::new()) } else { self.hold_still(what, &path, &metadata)? };
        // Nobody has written through this cache, but it may hold what was there before the clone.
        crate::sys::flush_buffers(&file).map_err(|error| failed(error.into()))?;
        let Probed { usage, uuid, .. } = device.found.clone();
        Ok(Disk {
            filesystem: uuid.filter(|_| usage.as_deref() == Some("filesystem")),
            media: read_media(&file).map_err(failed)?,
            mounted_at,
            is_device: true,
            sector: sector_size(metadata.rdev()),
            before: Change::of(&metadata),
            path,
            file,
            _locks: locks,
        })
    }

    /// Flushes the filesystems of a disk that is in use, and takes the locks of clones to them.
    ///
    /// Refuses if it is in use in another way.
    fn hold_still(
        &self,
        what: &str,
        disk: &Path,
        metadata: &Metadata,
    ) -> Result<(Vec<PathBuf>, Vec<Lock>), Refusal> {
        let failed = |error: io::Error| refuse(what, display::reason(&error));
        let table = std::fs::read("/proc/self/mountinfo").map_err(failed)?;
        let on_disk = |mount: &Mount| {
            let device = volume::device(mount)?;
            let rdev = device.metadata().ok()?.rdev();
            block::disks_of(rdev).ok()?.iter().any(|found| found == disk).then_some(())
        };
        let table = mounts::read(&table);
        let (mut points, mut locks) = (Vec::<PathBuf>::new(), Vec::new());
        for mount in table.iter().filter(|mount| on_disk(mount).is_some()) {
            if mount.point == Path::new("/") {
                return Err(Failure::HoldsSystem { path: disk.to_owned() }.into());
            }
            let dir = Dir::open(&mount.point).map_err(failed)?;
            if !self.is_locked {
                let lock =
                    dir.identity().and_then(|identity| Lock::take(&self.machine.host.lock_dir, identity));
                match lock.map_err(failed)? {
                    Some(lock) => locks.push(lock),
                    // Mounted at two places, it has one lock.
                    None if points.iter().any(|point| same(point, &dir)) => {}
                    None => return Err(Failure::Locked { path: mount.point.clone() }.into()),
                }
            }
            dir.flush_filesystem().map_err(failed)?;
            points.push(mount.point.clone());
        }
        if points.is_empty() {
            let users = users_of(disk, metadata.rdev());
            let by = if users.is_empty() {
                "another program, or mounted where only that sees it".to_owned()
            } else {
                users.join(", ")
            };
            let disk = display::path(disk);
            return Err(refuse(what, format_args!("{disk} is in use by {by}; close or unmount it first")));
        }
        points.sort();
        points.dedup();
        Ok((points, locks))
    }
}

/// The devices that are made of a disk or of its partitions, shown.
fn users_of(disk: &Path, rdev: u64) -> Vec<String> {
    let mut all = block::partitions_of(rdev).unwrap_or_default();
    all.push(disk.to_owned());
    let holders = all.into_iter().filter_map(|path| {
        let rdev = path.metadata().ok()?.rdev();
        BlockDevice { path, rdev, found: Probed::default(), is_ambiguous: false }.holders().ok()
    });
    holders.flatten().map(|path| display::path(&path).to_string()).collect()
}

fn same(point: &Path, dir: &Dir) -> bool {
    let known = Dir::open(point).and_then(|known| known.identity());
    matches!((known, dir.identity()), (Ok(one), Ok(other)) if one == other)
}

/// The bus of the disk that this machine runs from: its initramfs knows it, and so does a clone's.
#[must_use]
pub fn bus_of_root() -> Option<Bus> {
    let table = mounts::read(&std::fs::read("/proc/self/mountinfo").ok()?);
    let device = volume::device(table.iter().find(|mount| mount.point == Path::new("/"))?)?;
    let disks = block::disks_of(device.metadata().ok()?.rdev()).ok()?;
    let name = disks.first()?.file_name()?.to_str()?.to_owned();
    [("vd", Bus::Virtio), ("nvme", Bus::Nvme), ("sd", Bus::Sata)]
        .into_iter()
        .find_map(|(start, bus)| name.starts_with(start).then_some(bus))
}

fn open(path: &Path, more: OFlag) -> io::Result<File> {
    let file = File::options().read(true).custom_flags((more | OFlag::O_NONBLOCK).bits()).open(path)?;
    if file.metadata()?.file_type().is_block_device() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a block device"))
    }
}

fn open_image(path: &Path) -> io::Result<Disk> {
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    Ok(Disk {
        path: path.to_owned(),
        filesystem: None,
        media: read_media(&file)?,
        mounted_at: Vec::new(),
        is_device: false,
        sector: 512,
        before: Change::of(&metadata),
        file,
        _locks: Vec::new(),
    })
}

fn read_media(file: &File) -> io::Result<Media> {
    let mut start = Vec::new();
    file.take(media::READ as u64).read_to_end(&mut start)?;
    Ok(media::read(&start))
}

fn sector_size(rdev: u64) -> u32 {
    let path = format!("/sys/dev/block/{}/queue/logical_block_size", block::number(rdev));
    std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(512)
}

impl Change {
    fn of(metadata: &Metadata) -> Self {
        if metadata.is_file() {
            return Self::Image(metadata.mtime(), metadata.mtime_nsec(), metadata.len());
        }
        let stat = std::fs::read_to_string(format!("/sys/dev/block/{}/stat", block::number(metadata.rdev())));
        Self::Count(stat.ok().and_then(|stat| writes(&stat)))
    }
}

/// The writes in a device's `stat`: the fifth number.
fn writes(stat: &str) -> Option<u64> {
    stat.split_whitespace().nth(4)?.parse().ok()
}

impl Disk {
    /// As QEMU has to know it.
    #[must_use]
    pub fn for_guest(&self) -> GuestDisk {
        GuestDisk { descriptor: self.file.as_raw_fd(), is_device: self.is_device, sector: self.sector }
    }

    /// A second descriptor of it for QEMU. While one is open, nobody can mount a disk that was not in use.
    pub fn share(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Whether anything was written to it since it was opened, or that cannot be known.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        let Ok(metadata) = self.file.metadata() else { return true };
        let now = Change::of(&metadata);
        now == Change::Count(None) || now != self.before
    }
}

#[cfg(test)]
mod tests {
    use super::{open_image, writes};

    #[test]
    fn the_count_of_writes_is_found() {
        // /sys/block/loop0/stat of Linux 6.1.
        let stat =
            "    2103        0    50538      131     4242      310   102400       55        0      160\n";
        assert_eq!(writes(stat), Some(4242));
        assert_eq!(writes(""), None);
    }

    #[test]
    fn an_image_that_changes_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        std::fs::write(&path, vec![0; 4096]).unwrap();
        let disk = open_image(&path).unwrap();
        assert!(!disk.has_changed() && !disk.media.has_boot_code);
        std::fs::write(&path, vec![1; 4097]).unwrap();
        assert!(disk.has_changed());
        assert!(open_image(dir.path()).is_err());
    }
}
