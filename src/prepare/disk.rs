//! The disk: opened once, held, and recognized again directly before the first write.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use rustix::fs::{FlockOperation, flock};

use crate::display;
use crate::linux::mounts::device_name;
use crate::prepare::guard;
use crate::prepare::serial;
use crate::prepare::serial::Serial;
use crate::sys;
use crate::volume::block;

/// How long udev may take to look at a disk: it holds a lock on it meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// SCSI's number for a drive of CDs.
const CD: &str = "5";

/// What a disk is recognized by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its size in bytes.
    pub size: u64,
    /// The size of its sectors in bytes.
    pub sector: u64,
    /// The numbers of its maker.
    pub serial: Serial,
    /// The file that a loop device shows.
    pub backing: Option<PathBuf>,
    /// The kernel's number for this very disk, and the same as `/sys` has it now.
    sequence: (Option<u64>, Option<u64>),
}

/// A disk that is held: nobody else can mount or claim it or a part of it.
#[derive(Debug)]
pub struct Disk {
    /// Its path in `/dev`, as the kernel names it.
    pub path: PathBuf,
    /// Its device number.
    pub rdev: u64,
    /// What it is recognized by.
    pub facts: Facts,
    /// While it is open, the kernel refuses every other claim.
    held: Option<File>,
    /// Holds the lock that keeps udev from reading the partition table meanwhile.
    open: File,
}

impl Disk {
    /// Opens a disk for good. The error says why it is refused.
    pub fn open(path: &Path) -> Result<Self, String> {
        let metadata = fs::metadata(path).map_err(|error| display::reason(&error))?;
        if !metadata.file_type().is_block_device() {
            return Err("it is not a block device".to_owned());
        }
        let rdev = metadata.rdev();
        let kernel_name = whole_disk(rdev)?;
        let dir = sys_dir(rdev);
        // A kernel without that file has none of them either.
        if text(&dir.join("ro")).as_deref() != Some("0") {
            return Err("it is read-only".to_owned());
        }
        let exclusive = File::options().read(true).write(true).custom_flags(OFlag::O_EXCL.bits()).open(path);
        let held = match exclusive {
            Ok(held) => held,
            Err(error) => {
                guard::check(rdev)?;
                let busy = error.raw_os_error() == Some(nix::libc::EBUSY);
                let words = "it is in use: the kernel does not give it away (RAID, LVM, ZFS, a mount that cannot be \
                             seen from here, or another program)";
                return Err(if busy { words.to_owned() } else { display::reason(&error) });
            }
        };
        let same =
            held.metadata().is_ok_and(|found| found.file_type().is_block_device() && found.rdev() == rdev);
        if !same {
            return Err("it was exchanged for another while it was opened".to_owned());
        }
        let again = format!("/proc/self/fd/{}", held.as_raw_fd());
        let open =
            File::options().read(true).write(true).open(again).map_err(|error| display::reason(&error))?;
        lock(&open)?;
        let facts = facts(&held, rdev)?;
        if facts.size == 0 {
            return Err("it has no medium, or a size of 0".to_owned());
        }
        let disk = Self { path: kernel_name, rdev, facts, held: Some(held), open };
        disk.check()?;
        Ok(disk)
    }

    /// Ensures that it is still the same disk, and that nothing uses it.
    pub fn check(&self) -> Result<(), String> {
        let named = fs::metadata(&self.path).map(|found| found.rdev());
        if named.ok() != Some(self.rdev) {
            return Err(format!("{} is another device than before", display::path(&self.path)));
        }
        guard::check(self.rdev)?;
        guard::check_loop(self.rdev, &self.open)?;
        let now = facts(&self.open, self.rdev)?;
        if now != self.facts || now.sequence.0 != now.sequence.1 {
            return Err(
                "it has changed since the plan was made: it has another size, number or identity".to_owned()
            );
        }
        Ok(())
    }

    /// The open disk, for reading.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.open
    }

    /// Lets programs claim its partitions. It stays open and locked.
    pub fn share(&mut self) {
        self.held = None;
    }

    /// Its directory in `/sys`.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        sys_dir(self.rdev)
    }

    /// What has to be typed to have it erased, any one of them: what its maker numbered it with, if no other disk here
    /// has the same; else a loop device's file; else its size and `contents`, an identifier of what it holds.
    ///
    /// Errors if the other disks cannot be found out.
    pub fn identifiers(&self, contents: &str) -> Result<Vec<String>, String> {
        let others = others(&self.dir()).map_err(|error| {
            format!("which other disks there are cannot be found out: {}", display::reason(&error))
        })?;
        let own = &self.facts.serial;
        let numbers = [&own.number, &own.wwn].into_iter().flatten();
        let unique: Vec<String> = numbers.filter(|number| !others.contains(*number)).cloned().collect();
        if !unique.is_empty() {
            return Ok(unique);
        }
        Ok(match &self.facts.backing {
            Some(file) => vec![display::path(file).to_string()],
            None => vec![format!("{}-{contents}", self.facts.size)],
        })
    }
}

/// The path of the disk with this number, if it is one.
fn whole_disk(rdev: u64) -> Result<PathBuf, String> {
    let disk = block::disk_of(rdev).map_err(|error| display::reason(&error))?;
    let is_whole = fs::metadata(&disk).is_ok_and(|found| found.rdev() == rdev);
    let dir = sys_dir(rdev);
    if !is_whole || dir.join("partition").exists() {
        return Err(format!("it is not a whole disk but a partition of {}", display::path(&disk)));
    }
    if dir.join("loop/backing_file").exists() {
        return Ok(disk);
    }
    if !dir.join("device").exists() {
        return Err("it is not a disk but a virtual device (LVM, RAID, memory or the like)".to_owned());
    }
    if text(&dir.join("device/type")).as_deref() == Some(CD) {
        return Err("it is a drive of CDs or DVDs".to_owned());
    }
    Ok(disk)
}

fn facts(file: &File, rdev: u64) -> Result<Facts, String> {
    let dir = sys_dir(rdev);
    let size = (&mut &*file).seek(SeekFrom::End(0)).map_err(|error| display::reason(&error))?;
    let sector = text(&dir.join("queue/logical_block_size")).and_then(|text| text.parse().ok());
    let sector = sector.filter(|sector| *sector >= 512_u64 && (1 << 20) % sector == 0);
    let backing = text(&dir.join("loop/backing_file")).map(PathBuf::from);
    let sequence = match sys::disk_sequence(file) {
        Ok(number) => Some(number),
        // Before Linux 5.15.
        Err(Errno::ENOTTY | Errno::EINVAL) => None,
        Err(error) => return Err(display::reason(&io::Error::from(error))),
    };
    let shown = text(&dir.join("diskseq")).and_then(|text| text.parse().ok());
    Ok(Facts {
        size,
        sector: sector.ok_or("the kernel does not report the size of its sectors")?,
        serial: serial::read(&dir, &udev(rdev)),
        backing,
        sequence: (sequence, shown.filter(|_| sequence.is_some())),
    })
}

/// The numbers of all other disks.
fn others(own: &Path) -> io::Result<BTreeSet<String>> {
    let own = fs::canonicalize(own)?;
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/sys/block")? {
        let path = entry?.path();
        let dir = match fs::canonicalize(&path) {
            Ok(dir) => dir,
            // It has just been unplugged.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if dir == own {
            continue;
        }
        let uevent = fs::read_to_string(path.join("uevent")).unwrap_or_default();
        let device = device_name(&uevent).map(|name| Path::new("/dev").join(name));
        let rdev = device.and_then(|device| fs::metadata(device).ok()).map_or(0, |found| found.rdev());
        let serial = serial::read(&path, &udev(rdev));
        found.extend([serial.number, serial.wwn].into_iter().flatten());
    }
    Ok(found)
}

/// Waits for udev, which may be looking at it.
fn lock(file: &File) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err("another program has locked it".to_owned()),
            Err(error) => return Err(display::reason(&io::Error::from(error))),
        }
    }
}

/// What udev knows of a device.
fn udev(rdev: u64) -> PathBuf {
    Path::new("/run/udev/data").join(format!("b{}", block::number(rdev)))
}

fn sys_dir(rdev: u64) -> PathBuf {
    Path::new("/sys/dev/block").join(block::number(rdev))
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim_end_matches('\n').to_owned())
}
