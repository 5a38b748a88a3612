//! Filesystems of their own for a test, unmounted when the test ends in whatever way. They need root.
#![allow(dead_code, unused_imports, reason = "each test crate uses a part")]

#[path = "disk/ownerless.rs"]
mod ownerless;

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

pub use ownerless::OwnerlessFuse;

/// What is left of the image of a lost device: next to nothing, but enough to stay a loop device.
const STUB: u64 = 64 * 1024;

/// A filesystem in a file, by way of a loop device.
#[derive(Debug)]
pub struct LoopDisk {
    // The order of the fields is the order in which they are given up.
    mounted: Mounted,
    attached: Attached,
    dir: TempDir,
}

/// A filesystem in memory.
#[derive(Debug)]
pub struct Tmpfs {
    mounted: Mounted,
    dir: TempDir,
}

/// Whether this machine can make and mount such a filesystem.
pub fn supported(kind: &str) -> bool {
    let tool_is_there = |dir: &&str| Path::new(dir).join(format!("mkfs.{kind}")).exists();
    ["/usr/sbin", "/sbin", "/usr/bin"].iter().any(tool_is_there)
        && (kernel_knows(kind) || run("modprobe", ["-q", kind]).is_ok() && kernel_knows(kind))
}

/// Forgets what has been read from the disks, so that it has to be read again; what is yet to be written stays.
pub fn drop_caches() {
    must("drop the caches", write_to("/proc/sys/vm/drop_caches", "3"));
}

impl LoopDisk {
    /// Makes a disk of this size and mounts it. XFS takes no less than 300 MiB, btrfs no less than 110; none of them
    /// occupies more than what is written to it.
    pub fn new(kind: &str, size_mib: u64, mkfs_arguments: &[&str], mount_options: &str) -> Self {
        Self::inside(&std::env::temp_dir(), kind, size_mib, mkfs_arguments, mount_options)
    }

    /// The same, with the image in a directory of one's choice: on a small filesystem it can be larger than its host.
    pub fn inside(
        host: &Path,
        kind: &str,
        size_mib: u64,
        mkfs_arguments: &[&str],
        mount_options: &str,
    ) -> Self {
        let dir = must("make a temporary directory", tempfile::tempdir_in(host));
        let image = dir.path().join("image");
        let file = must("create the image", fs::File::create(&image));
        must("size the image", file.set_len(size_mib * 1024 * 1024));
        let attached = Attached::new(&image);
        let device = attached.device.clone();
        let force: &[&str] = match kind {
            // Small disks would get small blocks, and with them hardly any room for attributes.
            "ext2" | "ext3" | "ext4" => &["-q", "-F", "-b", "4096"],
            "xfs" | "btrfs" => &["-q", "-f"],
            _ => &[],
        };
        let arguments = force.iter().chain(mkfs_arguments).map(OsStr::new).chain([device.as_os_str()]);
        must("make the filesystem", run(&format!("mkfs.{kind}"), arguments));
        let point = dir.path().join("mounted");
        must("make the mount point", fs::create_dir(&point));
        let mounted = Mounted::new(kind, device.as_os_str(), &point, mount_options);
        Self { mounted, attached, dir }
    }

    /// Mounts the filesystem that an image holds already, as after a power cut; the image is not removed with it.
    pub fn of_image(kind: &str, image: &Path, mount_options: &str) -> Self {
        let dir = must("make a temporary directory", tempfile::tempdir());
        let attached = Attached::new(image);
        let point = dir.path().join("mounted");
        must("make the mount point", fs::create_dir(&point));
        let mounted = Mounted::new(kind, attached.device.as_os_str(), &point, mount_options);
        Self { mounted, attached, dir }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mounted.point
    }

    /// The loop device.
    pub fn device(&self) -> &Path {
        &self.attached.device
    }

    /// The file that holds the disk.
    pub fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Makes the mounted filesystem read-only, as an administrator would.
    pub fn remount_read_only(&self) {
        self.mounted.remount("ro");
    }

    /// Makes the mounted filesystem writable again.
    pub fn remount_writable(&self) {
        self.mounted.remount("rw");
    }

    /// Detaches the loop device, as an administrator would who believes that nobody uses it.
    pub fn detach(&self) {
        must("detach the loop device", run("losetup", [OsStr::new("-d"), self.device().as_os_str()]));
        self.attached.is_given_up.set(true);
    }

    /// Takes the filesystem out of the tree of directories while whoever has something open on it keeps using it.
    pub fn unmount_lazily(&self) {
        must("unmount lazily", run("umount", [OsStr::new("-l"), self.path().as_os_str()]));
    }

    /// Mounts the filesystem again where it was.
    pub fn mount_again(&self) {
        must("mount again", run("mount", [self.device().as_os_str(), self.path().as_os_str()]));
    }

    /// Unmounts the filesystem, repairs what is wrong with it, and mounts it again: what is unwritten is lost.
    pub fn repair(&self) {
        must("unmount", run("umount", [self.path()]));
        let check = [OsStr::new("-f"), OsStr::new("-y"), self.device().as_os_str()];
        // It ends with 1 when it has repaired something; what has no ext filesystem is left to the mount.
        let _ = run("e2fsck", check);
        self.mount_again();
    }

    /// Copies the image as it is on the disk.
    pub fn save(&self) -> PathBuf {
        must("write the caches", run("sync", [OsStr::new("-f"), self.path().as_os_str()]));
        let copy = self.dir.path().join("saved");
        let sparse = OsStr::new("--sparse=always");
        must("save the image", run("cp", [sparse, self.image().as_os_str(), copy.as_os_str()]));
        copy
    }

    /// Gives a lost device back as it was saved.
    pub fn give_back(&self, saved: &Path) {
        // What is unwritten cannot be written to what is left of the device.
        let _ = run("umount", [self.path()]);
        let size = must("measure the saved image", fs::metadata(saved)).len();
        let image = must("open the image", OpenOptions::new().write(true).open(self.image()));
        must("size the image", image.set_len(size));
        let end = |name: &str, path: &Path| {
            let mut argument = OsString::from(name);
            argument.push(path);
            argument
        };
        let how = ["conv=notrunc,sparse", "bs=64K", "status=none"].map(OsString::from);
        let ends = [end("if=", saved), end("of=", &self.image())];
        must("restore the image", run("dd", how.into_iter().chain(ends)));
        must("size the device", run("losetup", [OsStr::new("-c"), self.device().as_os_str()]));
        must("forget the device", run("blockdev", [OsStr::new("--flushbufs"), self.device().as_os_str()]));
        self.mount_again();
    }

    /// Shuts the filesystem down, as after a fatal error: every access fails from now on, mostly with EIO. Works for
    /// xfs and ext4.
    pub fn shutdown(&self) {
        let arguments = [OsStr::new("-x"), OsStr::new("-c"), OsStr::new("shutdown"), self.path().as_os_str()];
        must("shut the filesystem down", run("xfs_io", arguments));
    }

    /// Makes ext3 or ext4 find an error in itself, which turns it read-only when it is mounted with
    /// `errors=remount-ro`.
    pub fn trigger_fs_error(&self) {
        let device = self.device().file_name().unwrap_or_default().to_string_lossy();
        must("trigger an error", write_to(&format!("/sys/fs/ext4/{device}/trigger_fs_error"), "x"));
    }

    /// Cuts the image after so many bytes: what lies behind them cannot be read any more and fails with EIO, and
    /// nothing of it is left in the caches. Which files lie behind is for the filesystem to choose.
    pub fn truncate_image(&self, bytes: u64) {
        must("write the caches", run("sync", [OsStr::new("-f"), self.path().as_os_str()]));
        let image = must("open the image", OpenOptions::new().write(true).open(self.image()));
        must("cut the image", image.set_len(bytes));
        drop_caches();
    }

    /// Makes the device itself smaller than its filesystem: what is written behind its end fails too, while a cut image
    /// would just grow again.
    pub fn shrink_device(&self) {
        self.truncate_image(STUB);
        must("shrink the device", run("losetup", [OsStr::new("-c"), self.device().as_os_str()]));
    }

    /// Takes the device away under the mounted filesystem: contents fail with EIO. Directories and properties do too,
    /// except those that the kernel holds in memory for reasons of its own.
    pub fn lose_device(&self) {
        self.truncate_image(STUB);
    }
}

impl Tmpfs {
    /// Mounts one, with options such as `size=1m`, or none.
    pub fn new(options: &str) -> Self {
        Self::of_kind("tmpfs", options)
    }

    /// Mounts one that has neither access control lists nor other attributes, and no limit: a ramfs.
    pub fn without_attributes() -> Self {
        Self::of_kind("ramfs", "")
    }

    fn of_kind(kind: &str, options: &str) -> Self {
        let dir = must("make a temporary directory", tempfile::tempdir());
        let mounted = Mounted::new(kind, OsStr::new(kind), dir.path(), options);
        Self { mounted, dir }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mounted.point
    }

    /// Makes the mounted filesystem read-only.
    pub fn remount_read_only(&self) {
        self.mounted.remount("ro");
    }
}

/// A second place for a directory.
#[derive(Debug)]
pub struct BindMount {
    mounted: Mounted,
    dir: Option<TempDir>,
}

impl BindMount {
    /// Shows an existing directory at another path too.
    pub fn new(original: &Path) -> Self {
        let dir = must("make a temporary directory", tempfile::tempdir());
        Self { mounted: Self::at(original, dir.path()).mounted, dir: Some(dir) }
    }

    /// Shows an existing directory at this path too, over the directory that is there.
    pub fn at(original: &Path, point: &Path) -> Self {
        Self { mounted: Mounted::new("none", original.as_os_str(), point, "bind"), dir: None }
    }

    /// The other path.
    pub fn path(&self) -> &Path {
        &self.mounted.point
    }
}

/// A mount that ends with this value.
#[derive(Debug)]
struct Mounted {
    point: PathBuf,
}

impl Mounted {
    fn new(kind: &str, device: &OsStr, point: &Path, options: &str) -> Self {
        let options = if options.is_empty() { "defaults" } else { options };
        let arguments = ["-t", kind, "-o", options].map(OsStr::new);
        must("mount", run("mount", arguments.into_iter().chain([device, point.as_os_str()])));
        Self { point: point.to_path_buf() }
    }

    fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        must("remount", run("mount", [OsStr::new("-o"), OsStr::new(&options), self.point.as_os_str()]));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = (0..20).any(|attempt| {
            sleep(Duration::from_millis(if attempt == 0 { 0 } else { 100 }));
            run("umount", [&self.point]).is_ok()
        });
        if !unmounted && let Err(error) = run("umount", [OsStr::new("-l"), self.point.as_os_str()]) {
            eprintln!("{} stays mounted: {error}", self.point.display());
        }
    }
}

/// A loop device that is detached with this value.
#[derive(Debug)]
struct Attached {
    device: PathBuf,
    /// The kernel gives the device up by itself, and may give its name to another.
    is_given_up: Cell<bool>,
}

impl Attached {
    fn new(image: &Path) -> Self {
        let attach = || run("losetup", [OsStr::new("-f"), OsStr::new("--show"), image.as_os_str()]);
        // The free device that it found may have been taken by another test meanwhile.
        let attached = (0..20).find_map(|attempt| {
            sleep(Duration::from_millis(attempt * 25));
            attach().ok()
        });
        let output = attached.unwrap_or_else(|| must("attach a loop device", attach()));
        let device = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end());
        Self { device, is_given_up: Cell::new(false) }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if !self.is_given_up.get()
            && let Err(error) = run("losetup", [OsStr::new("-d"), self.device.as_os_str()])
        {
            eprintln!("{} stays attached: {error}", self.device.display());
        }
    }
}

fn kernel_knows(kind: &str) -> bool {
    let known = must("list the filesystems", fs::read_to_string("/proc/filesystems"));
    known.lines().any(|line| line.split_whitespace().last() == Some(kind))
}

/// Writes to a file of the kernel, which must not be created or cut.
fn write_to(path: &str, text: &str) -> io::Result<()> {
    io::Write::write_all(&mut OpenOptions::new().write(true).open(path)?, text.as_bytes())
}

/// Runs a tool for at most a minute.
fn run<A: AsRef<OsStr>>(tool: &str, arguments: impl IntoIterator<Item = A>) -> Result<Output, String> {
    let output = Command::new("/usr/bin/timeout")
        .args(["-k", "5", "60", tool])
        .args(arguments)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| format!("timeout: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{tool}: {}: {}", output.status, complaint.trim()))
}

fn must<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}
