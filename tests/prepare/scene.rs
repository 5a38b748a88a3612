//! A disk, and a system to be like.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::disk::{BindMount, LoopDisk};
use crate::support::sandbox::{Finished, PRODUCT};

/// Runs a tool that must succeed, for at most two minutes, and returns what it printed.
#[track_caller]
pub fn must(words: &[&str]) -> String {
    let run = tool(words);
    assert_eq!(run.code, 0, "{words:?}: {run}");
    run.out
}

/// Runs a tool.
pub fn tool(words: &[&str]) -> Finished {
    let mut command = Command::new("/usr/bin/timeout");
    command.args(["-k", "5", "900"]).args(words);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    Finished::from(command.output().unwrap())
}

/// A disk of zeros, detached when the test ends.
#[derive(Debug)]
pub struct Disk {
    dir: TempDir,
    /// The loop device.
    pub device: PathBuf,
}

impl Disk {
    /// One of this size in MiB.
    pub fn new(mib: u64) -> Self {
        let dir = tempfile::Builder::new().prefix("counterpart-test-").tempdir().unwrap();
        let image = dir.path().join("disk");
        fs::File::create(&image).unwrap().set_len(mib << 20).unwrap();
        Self { device: attach(&[], &image), dir }
    }

    /// The file that it shows, which is also what has to be typed.
    pub fn image(&self) -> String {
        self.dir.path().join("disk").to_str().unwrap().to_owned()
    }

    /// Its path.
    pub fn path(&self) -> &str {
        self.device.to_str().unwrap()
    }

    /// The path of a partition.
    pub fn part(&self, number: u32) -> String {
        format!("{}p{number}", self.path())
    }

    /// A hash of every byte, as any reader sees them now.
    pub fn digest(&self) -> String {
        // Many times faster than a hash by a program without optimization.
        must(&["sha256sum", self.path()])
    }

    /// Whether every byte is zero.
    pub fn is_zero(&self) -> bool {
        let size = must(&["blockdev", "--getsize64", self.path()]);
        tool(&["cmp", "-n", size.trim_end(), self.path(), "/dev/zero"]).code == 0
    }

    /// Has a GPT of these partitions, in MiB, written and shown by the kernel.
    pub fn partition(&self, sizes: &[u64]) {
        let lines: Vec<String> = sizes.iter().map(|size| format!("size={size}MiB\n")).collect();
        let script = self.dir.path().join("script");
        fs::write(&script, format!("label: gpt\n{}", lines.concat())).unwrap();
        let command = format!("sfdisk -q --no-reread --no-tell-kernel {} <{}", self.path(), script.display());
        must(&["sh", "-c", &command]);
        must(&["partx", "-u", self.path()]);
    }

    /// The partition table, as sfdisk reads it.
    pub fn table(&self) -> Value {
        let printed = must(&["sfdisk", "-J", self.path()]);
        serde_json::from_str::<Value>(&printed).unwrap()["partitiontable"].clone()
    }

    /// A value that blkid reads from a partition; empty if there is none.
    pub fn tag(&self, number: u32, name: &str) -> String {
        tag(&self.part(number), name)
    }
}

/// A value that blkid reads from a device.
pub fn tag(device: &str, name: &str) -> String {
    tool(&["blkid", "-p", "-o", "value", "-s", name, device]).out.trim_end().to_owned()
}

impl Drop for Disk {
    fn drop(&mut self) {
        detach(&self.device);
    }
}

/// Attaches a file to a free loop device.
pub fn attach(options: &[&str], image: &Path) -> PathBuf {
    let words: Vec<&str> =
        ["losetup", "-f", "--show"].iter().chain(options).copied().chain([image.to_str().unwrap()]).collect();
    for attempt in 0..20 {
        // Another test may have taken the free device meanwhile.
        let run = tool(&words);
        if run.code == 0 {
            let device = PathBuf::from(run.out.trim_end());
            forget_partitions(&device);
            return device;
        }
        std::thread::sleep(std::time::Duration::from_millis(attempt * 25));
    }
    panic!("no loop device for {}", image.display());
}

/// Has the kernel forget the partitions of a loop device: it keeps them beyond the device's end.
fn forget_partitions(device: &Path) {
    let dir = Path::new("/sys/block").join(device.file_name().unwrap());
    let has_some = || {
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.path().join("partition").exists())
    };
    // Another test may be looking at one at this moment.
    for _ in 0..50 {
        if !has_some() {
            return;
        }
        tool(&["partx", "-d", device.to_str().unwrap()]);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Detaches a loop device and its partitions.
pub fn detach(device: &Path) {
    forget_partitions(device);
    let run = tool(&["losetup", "-d", device.to_str().unwrap()]);
    if run.code != 0 {
        eprintln!("{} stays attached: {run}", device.display());
    }
}

/// A loop device that shows something, for as long as it is needed.
#[derive(Debug)]
pub struct Loop(pub PathBuf);

impl Drop for Loop {
    fn drop(&mut self) {
        detach(&self.0);
    }
}

/// A mount that is undone when the test ends.
#[derive(Debug)]
pub struct Mounted(PathBuf);

impl Mounted {
    /// Mounts a device.
    pub fn new(options: &str, device: &str, point: &Path) -> Self {
        fs::create_dir_all(point).unwrap();
        must(&["mount", "-o", options, device, point.to_str().unwrap()]);
        Self(point.to_owned())
    }

    /// Where.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let point = self.0.to_str().unwrap();
        let is_gone = (0..20).any(|_| {
            let is_gone = tool(&["umount", point]).code == 0;
            if !is_gone {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            is_gone
        });
        if !is_gone {
            tool(&["umount", "-l", point]);
        }
    }
}

/// A system of one small ext4.
pub fn small_system() -> LoopDisk {
    let system = LoopDisk::new("ext4", 24, &[], "");
    fs::create_dir(system.path().join("etc")).unwrap();
    system
}

/// Writes the system's fstab.
pub fn fstab(system: &Path, text: &str) {
    fs::create_dir_all(system.join("etc")).unwrap();
    fs::write(system.join("etc/fstab"), text).unwrap();
}

/// Mounts a disk in the system.
pub fn inside(system: &Path, point: &str, disk: &LoopDisk) -> BindMount {
    let point = system.join(point);
    fs::create_dir_all(&point).unwrap();
    BindMount::at(disk.path(), &point)
}

/// Prepares a disk on the real machine.
pub fn prepare(disk: impl AsRef<OsStr>, like: &Path, more: &[&str]) -> Finished {
    let mut command = Command::new("/usr/bin/timeout");
    command.args(["-k", "5", "1800", PRODUCT, "prepare"]).arg(disk).arg("--like").arg(like).args(more);
    command.stdin(std::process::Stdio::null());
    Finished::from(command.output().unwrap())
}

/// Asserts that a disk was refused with 99 for this reason, that nothing was printed, and that no byte has changed.
#[track_caller]
pub fn assert_refused(run: &Finished, disk: &Disk, before: &str, why: &str) {
    assert_eq!(run.code, 99, "{run}");
    let path = disk.path();
    let sentence = format!("counterpart: {path} is refused: {why}. Nothing was written to it.\n");
    assert_eq!(run.err, sentence);
    assert_eq!(disk.digest(), before, "bytes of the disk have changed: {run}");
}
