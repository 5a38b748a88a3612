//! A small system on a partitioned disk, with a boot loader that only pretends; and an empty disk for its clone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::sandbox::{Finished, Sandbox, write_script};

/// A disk with a partition table and ext4 in its first partition.
pub struct Disk {
    device: String,
    point: PathBuf,
    dir: TempDir,
}

/// Runs a program that must succeed, and returns what it prints.
#[track_caller]
pub fn must(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Disk {
    /// Makes one by this script for sfdisk.
    pub fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        fs::File::create(&image).unwrap().set_len(96 << 20).unwrap();
        let table = dir.path().join("table");
        fs::write(&table, script).unwrap();
        let shell = format!("sfdisk -q {} <{}", image.display(), table.display());
        must("sh", &["-c", &shell]);
        let device = must("losetup", &["-f", "--show", image.to_str().unwrap()]);
        let disk = Self { device, point: dir.path().join("mounted"), dir };
        // A kernel that reads partition tables has them already.
        let _ = Command::new("partx").args(["-u", &disk.device]).output();
        must("mkfs.ext4", &["-q", "-F", "-L", "root", &disk.partition(1)]);
        fs::create_dir(&disk.point).unwrap();
        must("mount", &[&disk.partition(1), disk.point.to_str().unwrap()]);
        // As systemd has all mounts: what is mounted in a copy of it shows here.
        must("mount", &["--make-shared", disk.point.to_str().unwrap()]);
        disk
    }

    /// One partition, in an MBR.
    pub fn mbr() -> Self {
        Self::new("label: dos\nstart=2048, size=131072, type=83, bootable\n")
    }

    /// Where its first partition is mounted.
    pub fn path(&self) -> &Path {
        &self.point
    }

    /// The disk.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// A partition of it.
    pub fn partition(&self, number: u32) -> String {
        format!("{}p{number}", self.device)
    }

    /// What its first partition is known by.
    pub fn tag(&self, tag: &str) -> String {
        must("blkid", &["-p", "-o", "value", "-s", tag, &self.partition(1)])
    }

    /// The beginning of the disk.
    pub fn boot_code(&self) -> String {
        let start = fs::read(self.device()).unwrap();
        String::from_utf8_lossy(&start[..9]).into_owned()
    }

    /// Puts something else there.
    pub fn overwrite(&self, code: &str) {
        use std::os::unix::fs::FileExt as _;
        let disk = fs::File::options().write(true).open(self.device()).unwrap();
        disk.write_all_at(code.as_bytes(), 0).unwrap();
        disk.sync_all().unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let quietly = |program: &str, arguments: &[&str]| {
            let _ = Command::new(program).args(arguments).output();
        };
        quietly("umount", &["-l", self.point.to_str().unwrap()]);
        quietly("partx", &["-d", &self.device]);
        quietly("losetup", &["-d", &self.device]);
        let _ = &self.dir;
    }
}

/// The machine, its disk, and the disk of the clone.
pub struct Machine {
    pub sandbox: Sandbox,
    pub source: Disk,
    pub clone: Disk,
}

/// What `grub-install` does here: it says where it runs, and writes to the disk and to its directory.
const GRUB_INSTALL: &str = "echo \"installing $*\"
[ -e /proc/self/exe ] || { echo 'no /proc' >&2; exit 1; }
[ -d /sys/class/block ] || { echo 'no /sys' >&2; exit 1; }
[ ! -e /outside ] || { echo 'not the root' >&2; exit 1; }
for disk; do :; done
while read -r tag point rest; do [ \"$point\" != / ] || root=${tag#UUID=}; done </etc/fstab
[ -b \"/dev/disk/by-uuid/$root\" ] || { echo \"no link for $root\" >&2; exit 1; }
[ -b \"$disk\" ] || { echo \"no $disk\" >&2; exit 1; }
echo 'in /run' >/run/left
echo 'in /tmp' >/tmp/left
echo 'in /dev' >/dev/left
printf 'bootcode!' 1<>\"$disk\"
[ -d /boot/grub/i386-pc ] || mkdir /boot/grub/i386-pc || exit 1
[ -d /boot/grub/fonts ] || mkdir /boot/grub/fonts || exit 1
echo font >/boot/grub/fonts/unicode.pf2
echo module >/boot/grub/i386-pc/normal.mod
echo \"core for $root\" >/boot/grub/i386-pc/core.img";

/// What `grub-mkconfig -o FILE` does here.
const GRUB_MKCONFIG: &str = "while read -r tag point rest; do [ \"$point\" != / ] || root=$tag; done </etc/fstab
. /etc/default/grub
for kernel in /boot/vmlinuz-*; do printf 'menuentry x {\\n\\tlinux %s root=%s ro %s\\n}\\n' \"$kernel\" \"$root\" \"$GRUB_CMDLINE_LINUX\"; done >\"$2.new\"
[ -d /boot/grub/i386-pc ] && read -r line </boot/grub/grub.cfg.new && [ -n \"$line\" ] || exit 1
cat \"$2.new\" >\"$2\"
rm \"$2.new\"";

impl Machine {
    /// A system that starts by GRUB and a BIOS, and a disk like its own.
    pub fn new() -> Self {
        Self::with(Disk::mbr())
    }

    /// The same with another disk for the clone.
    pub fn with(clone: Disk) -> Self {
        let (sandbox, source) = (Sandbox::new(), Disk::mbr());
        let machine = Self { sandbox, source, clone };
        machine.install();
        machine
    }

    fn install(&self) {
        self.sandbox.tool("blkid", "PATH=/usr/sbin:/sbin exec blkid \"$@\"");
        let root = self.source.path();
        for dir in
            ["boot/grub/i386-pc", "dev", "proc", "sys", "run", "tmp", "etc/default", "usr/bin", "usr/sbin"]
        {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        for (link, target) in
            [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")]
        {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        for program in ["/bin/sh", "/bin/cat", "/bin/rm", "/bin/mkdir"] {
            self.copy_program(program);
        }
        self.script("grub-install", GRUB_INSTALL);
        self.script("grub-mkconfig", GRUB_MKCONFIG);
        let uuid = self.source.tag("UUID");
        self.write(
            "etc/fstab",
            &format!(
                "# of the source\nUUID={uuid} /     ext4  errors=remount-ro 0 1\nUUID=1-2 none swap sw 0 0\n"
            ),
        );
        self.write("etc/default/grub", "GRUB_CMDLINE_LINUX=\"quiet\"\n");
        self.write("boot/vmlinuz-1", "kernel");
        self.write("boot/grub/grub.cfg", &format!("linux /boot/vmlinuz-1 root=UUID={uuid} ro\n"));
        self.write("boot/grub/i386-pc/core.img", "core of the source");
    }

    /// Copies a program with its libraries.
    fn copy_program(&self, program: &str) {
        let printed = must("ldd", &[program]);
        let libraries = printed.split_whitespace().filter(|word| word.starts_with('/'));
        for file in libraries.chain([program]) {
            let real = fs::canonicalize(file).unwrap();
            let to = self.source.path().join(
                fs::canonicalize(Path::new(file).parent().unwrap()).unwrap().strip_prefix("/").unwrap(),
            );
            fs::create_dir_all(&to).unwrap();
            fs::copy(&real, to.join(Path::new(file).file_name().unwrap())).unwrap();
        }
    }

    /// Puts a program into the system.
    pub fn script(&self, name: &str, body: &str) {
        write_script(&self.source.path().join("usr/sbin").join(name), body);
    }

    /// Puts a file into the system.
    pub fn write(&self, name: &str, content: &str) {
        let path = self.source.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// A file of the clone.
    pub fn read(&self, name: &str) -> String {
        let path = self.clone.path().join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The options of a clone to its own disk.
    pub fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.arguments_to(self.clone.path(), more)
    }

    /// The options of a clone to this place.
    pub fn arguments_to<'a>(&'a self, destination: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
        let ends = ["-s", self.source.path().to_str().unwrap(), "-d", destination.to_str().unwrap()];
        ends.into_iter().chain(more.iter().copied()).collect()
    }

    /// Makes the clone start.
    pub fn clone(&self) -> Finished {
        self.sandbox.run(self.arguments(&["--bootable"]))
    }
}
