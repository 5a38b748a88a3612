//! Private filesystems for a test, unmounted however the test ends. They need root.
#![allow(dead_code, unused_imports, reason = "each test crate uses a part")]

#[path = "disk/ownerless.rs"]
mod ownerless;

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use ownerless::OwnerlessFuse;

/// The remaining size of a lost device's image: almost nothing, but enough to remain a loop device.
const STUB: u64 = 64 * 1024;

/// A filesystem in an image file, on a loop device.
#[derive(Debug)]
pub struct LoopDisk {
    // Fields are dropped in this order.
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

/// Whether this machine can create and mount such a filesystem.
pub fn supported(kind: &str) -> bool {
    let tool_is_there = |dir: &&str| Path::new(dir).join(format!("mkfs.{kind}")).exists();
    ["/usr/sbin", "/sbin", "/usr/bin"].iter().any(tool_is_there)
        && (kernel_knows(kind) || run("modprobe", ["-q", kind]).is_ok() && kernel_knows(kind))
}

/// Drops cached disk contents, so that they have to be read again; dirty data is kept.
pub fn drop_caches() {
    must("drop the caches", write_to("/proc/sys/vm/drop_caches", "3"));
}

impl LoopDisk {
    /// Creates a disk of this size and mounts it. XFS needs at least 300 MiB, btrfs at least 110; none of them occupies
    /// more than what is written to it.
    pub fn new(kind: &str, size_mib: u64, mkfs_arguments: &[&str], mount_options: &str) -> Self {
        Self::inside(&std::env::temp_dir(), kind, size_mib, mkfs_arguments, mount_options)
    }

    /// The same, with the image in a given directory: on a small filesystem it can be larger than its host.
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
            // Small disks would get small blocks, and with them hardly any space for attributes.
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

    /// Mounts an existing filesystem image, as after a power cut; the image is not removed on drop.
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

    /// The image file.
    pub fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// What blkid says of it.
    pub fn tag(&self, name: &str) -> String {
        tag(self.device(), name)
    }

    /// Makes the mounted filesystem read-only, as an administrator would.
    pub fn remount_read_only(&self) {
        self.mounted.remount("ro");
    }

    /// Makes the mounted filesystem writable again.
    pub fn remount_writable(&self) {
        self.mounted.remount("rw");
    }

    /// Detaches the loop device, as an administrator would who believes it is unused.
    pub fn detach(&self) {
        must("detach the loop device", run("losetup", [OsStr::new("-d"), self.device().as_os_str()]));
        self.attached.is_given_up.set(true);
    }

    /// Unmounts the filesystem lazily, while processes with open files keep using it.
    pub fn unmount_lazily(&self) {
        must("unmount lazily", run("umount", [OsStr::new("-l"), self.path().as_os_str()]));
    }

    /// Unmounts the filesystem and waits until nobody has it: the mount namespace of another test's rsync may hold a copy
    /// of the mount, and what is then written to the device is not seen, or is written over.
    pub fn unmount(&self) {
        must("unmount", run("umount", [OsStr::new("-l"), self.path().as_os_str()]));
        let is_free = || {
            // Exclusive use of a block device is refused while it is mounted anywhere.
            OpenOptions::new().read(true).custom_flags(nix::libc::O_EXCL).open(self.device()).is_ok()
        };
        let patience = Instant::now();
        while !is_free() {
            assert!(
                patience.elapsed() < Duration::from_secs(120),
                "{} stays in use",
                self.device().display()
            );
            sleep(Duration::from_millis(20));
        }
    }

    /// Mounts the filesystem again in the same place.
    pub fn mount_again(&self) {
        must("mount again", run("mount", [self.device().as_os_str(), self.path().as_os_str()]));
    }

    /// Unmounts the filesystem, repairs it, and mounts it again: unwritten data is lost.
    pub fn repair(&self) {
        self.unmount();
        let check = [OsStr::new("-f"), OsStr::new("-y"), self.device().as_os_str()];
        // It exits with 1 after a repair; anything that is not an ext filesystem is left to the mount.
        let _ = run("e2fsck", check);
        self.mount_again();
    }

    /// Copies the image as it is on disk.
    pub fn save(&self) -> PathBuf {
        must("write the caches", run("sync", [OsStr::new("-f"), self.path().as_os_str()]));
        let copy = self.dir.path().join("saved");
        let sparse = OsStr::new("--sparse=always");
        must("save the image", run("cp", [sparse, self.image().as_os_str(), copy.as_os_str()]));
        copy
    }

    /// Restores a lost device as it was saved.
    pub fn give_back(&self, saved: &Path) {
        // Dirty data cannot be written to what is left of the device.
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

    /// Makes ext3 or ext4 detect an error in itself, which turns it read-only if mounted with `errors=remount-ro`.
    pub fn trigger_fs_error(&self) {
        let device = self.device().file_name().unwrap_or_default().to_string_lossy();
        must("trigger an error", write_to(&format!("/sys/fs/ext4/{device}/trigger_fs_error"), "x"));
    }

    /// Truncates the image to this many bytes: anything beyond can no longer be read and fails with EIO, and is dropped
    /// from the caches. Which files are affected is up to the filesystem.
    pub fn truncate_image(&self, bytes: u64) {
        must("write the caches", run("sync", [OsStr::new("-f"), self.path().as_os_str()]));
        self.cut(bytes);
    }

    fn cut(&self, bytes: u64) {
        let image = must("open the image", OpenOptions::new().write(true).open(self.image()));
        must("cut the image", image.set_len(bytes));
        drop_caches();
    }

    /// Makes the device itself smaller than its filesystem: writes beyond its end fail too, while a truncated image
    /// would simply grow again.
    pub fn shrink_device(&self) {
        self.truncate_image(STUB);
        must("shrink the device", run("losetup", [OsStr::new("-c"), self.device().as_os_str()]));
    }

    /// Takes the device away under the mounted filesystem: reading contents fails with EIO. So do directories and
    /// metadata, except what the kernel keeps in memory for its own reasons. What has not been written before may stay
    /// readable: nothing is waited for here.
    pub fn lose_device(&self) {
        self.cut(STUB);
    }
}

impl Tmpfs {
    /// Mounts one, with options such as `size=1m`, or none.
    pub fn new(options: &str) -> Self {
        Self::of_kind("tmpfs", options)
    }

    /// Mounts one with neither access control lists nor other attributes, and without a limit: a ramfs.
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

/// What blkid says of a device.
fn tag(device: &Path, name: &str) -> String {
    let options = ["-p", "-o", "value", "-s", name].map(OsStr::new);
    let output = must("probe", run("blkid", options.into_iter().chain([device.as_os_str()])));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// A second path to a directory.
#[derive(Debug)]
pub struct BindMount {
    mounted: Mounted,
    dir: Option<TempDir>,
}

impl BindMount {
    /// Makes an existing directory available at another path too.
    pub fn new(original: &Path) -> Self {
        let dir = must("make a temporary directory", tempfile::tempdir());
        Self { mounted: Self::at(original, dir.path()).mounted, dir: Some(dir) }
    }

    /// Makes an existing directory available at this path too, over the directory there.
    pub fn at(original: &Path, point: &Path) -> Self {
        Self { mounted: Mounted::new("none", original.as_os_str(), point, "bind"), dir: None }
    }

    /// The other path.
    pub fn path(&self) -> &Path {
        &self.mounted.point
    }
}

/// A mount that is unmounted on drop.
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

/// A loop device that is detached on drop.
#[derive(Debug)]
struct Attached {
    device: PathBuf,
    /// The kernel releases the device by itself, and may reuse its name.
    is_given_up: Cell<bool>,
}

impl Attached {
    fn new(image: &Path) -> Self {
        let attach = || run("losetup", [OsStr::new("-f"), OsStr::new("--show"), image.as_os_str()]);
        // Another test may have taken the free device meanwhile.
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

/// Writes to a kernel file, which must be neither created nor truncated.
fn write_to(path: &str, text: &str) -> io::Result<()> {
    io::Write::write_all(&mut OpenOptions::new().write(true).open(path)?, text.as_bytes())
}

/// Runs a tool for at most a minute.
fn run<A: AsRef<OsStr>>(tool: &str, arguments: impl IntoIterator<Item = A>) -> Result<Output, String> {
    let output = Command::new("/usr/bin/timeout")
        .args(["-k", "5", "600", tool])
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

/// A filesystem in an image file, on a loop device, that is not mounted.
#[derive(Debug)]
pub struct BareDisk {
    attached: Attached,
    dir: TempDir,
}

impl BareDisk {
    /// Makes a filesystem of this kind.
    pub fn new(kind: &str, mkfs_arguments: &[&str]) -> Self {
        let size = match kind {
            "xfs" => 300,
            "btrfs" => 128,
            _ => 64,
        };
        let force: &[&str] = if kind.starts_with("ext") { &["-q", "-F"] } else { &["-q", "-f"] };
        Self::made(size, |device| {
            let arguments = force.iter().chain(mkfs_arguments).map(OsStr::new).chain([device.as_os_str()]);
            must("make the filesystem", run(&format!("mkfs.{kind}"), arguments));
        })
    }

    /// A disk of this size, in MiB, on which `make` puts something.
    pub fn made(size_mib: u64, make: impl FnOnce(&Path)) -> Self {
        let dir = must("make a temporary directory", tempfile::tempdir());
        let image = dir.path().join("image");
        let file = must("create the image", fs::File::create(&image));
        must("size the image", file.set_len(size_mib * 1024 * 1024));
        let attached = Attached::new(&image);
        make(&attached.device);
        Self { attached, dir }
    }

    /// A disk with a copy of an image.
    pub fn of_image(image: &Path) -> Self {
        let dir = must("make a temporary directory", tempfile::tempdir());
        let copy = dir.path().join("image");
        must(
            "copy the image",
            run("cp", [OsStr::new("--sparse=always"), image.as_os_str(), copy.as_os_str()]),
        );
        Self { attached: Attached::new(&copy), dir }
    }

    /// The loop device.
    pub fn device(&self) -> &Path {
        &self.attached.device
    }

    /// The image file.
    pub fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// What blkid says of it.
    pub fn tag(&self, name: &str) -> String {
        tag(self.device(), name)
    }

    /// Pulls the plug.
    pub fn unplug(&self) {
        must("detach the loop device", run("losetup", [OsStr::new("-d"), self.device().as_os_str()]));
        self.attached.is_given_up.set(true);
    }

    /// Plugs it in again, perhaps as another device.
    pub fn plug_in(&mut self) {
        self.attached = Attached::new(&self.image());
    }

    /// Mounts it where everybody sees it, to look at it.
    pub fn inside<T>(&self, look: impl FnOnce(&Path) -> T) -> T {
        let point = must("make a temporary directory", tempfile::tempdir());
        let options = "defaults";
        let arguments = ["-o", options].map(OsStr::new);
        let ends = [self.device().as_os_str(), point.path().as_os_str()];
        must("mount", run("mount", arguments.into_iter().chain(ends)));
        let mounted = Mounted { point: point.path().to_path_buf() };
        let seen = look(point.path());
        drop(mounted);
        seen
    }

    /// Whether nobody, in whatever namespace, has it mounted or open for himself.
    pub fn is_free(&self) -> bool {
        use std::os::unix::fs::OpenOptionsExt as _;
        OpenOptions::new().read(true).custom_flags(nix::libc::O_EXCL).open(self.device()).is_ok()
    }
}
