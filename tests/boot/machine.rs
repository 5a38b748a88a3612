//! The machine on which clones are proven: a fake host with the real QEMU, and disks with Debian.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use crate::support::sandbox::Sandbox;

/// Whether boots are left out, which only this asks for.
pub fn is_skipped() -> bool {
    let is_skipped = std::env::var_os("COUNTERPART_SKIP_BOOT").is_some_and(|value| value == "1");
    if is_skipped {
        eprintln!("COUNTERPART_SKIP_BOOT=1: no clone is booted.");
    }
    is_skipped
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    sandbox: Sandbox,
    tar: PathBuf,
}

/// Runs the script that makes disks.
fn image(arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/image.sh");
    let output = Command::new(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Machine {
    /// A machine; makes the Debian if there is none yet.
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.tool("blkid", "exec blkid \"$@\"");
        std::os::unix::fs::symlink("/usr", sandbox.host().join("usr")).unwrap();
        let tar = std::env::var_os("COUNTERPART_BOOT_TAR").map_or_else(
            || {
                let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("boot");
                fs::create_dir_all(&cache).unwrap();
                cache.join("debian-12-with-lvm.tar")
            },
            PathBuf::from,
        );
        if !tar.exists() {
            image(&["tar", tar.to_str().unwrap()]);
        }
        Self { sandbox, tar }
    }

    /// A path in the machine's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path().join(name)
    }

    /// Where it keeps its state.
    pub fn state_dir(&self) -> PathBuf {
        self.sandbox.host().join("state")
    }

    /// The product with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.sandbox.command(arguments)
    }

    /// A disk that boots.
    pub fn disk(&self, name: &str) -> PathBuf {
        let path = self.path(&format!("{name}.img"));
        image(&["disk", path.to_str().unwrap(), self.tar.to_str().unwrap()]);
        path
    }

    /// A copy of it that is broken in this way.
    pub fn broken(&self, whole: &Path, how: &str) -> PathBuf {
        let path = self.path(&format!("{how}.img"));
        let copied = Command::new("cp").arg("--sparse=always").args([whole, &path]).status().unwrap();
        assert!(copied.success());
        image(&["break", how, path.to_str().unwrap()]);
        path
    }
}

/// What a guest with these empty disks says that runs a script as root. The product is beside the script.
pub fn say_in_guest(machine: &Machine, script: &str, disks_mib: &[u64]) -> String {
    let dir = machine.path("guest");
    fs::create_dir(&dir).unwrap();
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    image(&["guest", dir.to_str().unwrap(), machine.tar.to_str().unwrap()]);
    fs::write(path("run.sh"), script).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_counterpart"), path("counterpart")).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-C", dir.to_str().unwrap(), "-cf", &path("given"), "run.sh", "counterpart"]);
    assert!(tar.status().unwrap().success());
    let mut qemu = Command::new("timeout");
    qemu.args(["3000", "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-machine", "q35"]);
    qemu.args(["-accel", "tcg,thread=multi", "-m", "2048", "-smp", "2", "-display", "none", "-nic", "none"]);
    qemu.args(["-no-reboot", "-object", "rng-random,id=r,filename=/dev/urandom"]);
    qemu.args(["-device", "virtio-rng-pci,rng=r", "-serial", "null"]);
    qemu.args(["-serial", &format!("file:{}", path("said"))]);
    qemu.args(["-kernel", &path("kernel"), "-initrd", &path("initrd"), "-append"]);
    qemu.arg(
        "root=/dev/vda rw quiet panic=5 systemd.run=/usr/local/sbin/given systemd.run_success_action=poweroff \
         systemd.run_failure_action=poweroff",
    );
    let drive = |path: &str| format!("file={path},format=raw,if=virtio,cache=unsafe");
    qemu.args(["-drive", &drive(&path("root")), "-drive", &(drive(&path("given")) + ",readonly=on")]);
    for (number, mib) in disks_mib.iter().enumerate() {
        let path = path(&format!("disk{number}"));
        fs::File::create(&path).unwrap().set_len(mib << 20).unwrap();
        qemu.args(["-drive", &drive(&path)]);
    }
    let output = qemu.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = fs::read_to_string(path("said")).unwrap().replace('\r', "");
    fs::remove_dir_all(dir).unwrap();
    said
}

/// A digest of everything on a disk.
pub fn digest(image: &Path) -> String {
    let output = Command::new("sha256sum").arg(image).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What proofs have left behind that are no longer at work: those hold a lock.
pub fn leftovers() -> Vec<String> {
    let is_left = |name: &str| {
        let dir = fs::File::open(Path::new("/var/tmp").join(name));
        dir.is_ok_and(|dir| Flock::lock(dir, FlockArg::LockExclusiveNonblock).is_ok())
    };
    let names = fs::read_dir("/var/tmp").unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap_or_default());
    names.filter(|name| name.starts_with("counterpart-prove.") && is_left(name)).collect()
}

/// The process of the guest that this one has started, once it has a disk: before, QEMU is tried out.
pub fn wait_for_guest(parent: u32) -> u32 {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        if let Some(found) = guest_of(parent) {
            return found;
        }
        assert!(Instant::now() < deadline, "no guest was started");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn guest_of(parent: u32) -> Option<u32> {
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let process: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let above: u32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        let arguments = fs::read(format!("/proc/{process}/cmdline")).ok()?;
        let is_guest = arguments.windows(7).any(|word| word == b"pvpanic");
        (above == parent && is_guest).then_some(process)
    })
}

/// A disk image as a loop device with a partition.
#[derive(Debug)]
pub struct Attached {
    device: String,
}

impl Attached {
    /// Attaches it.
    pub fn new(image: &Path) -> Self {
        let output = Command::new("losetup").args(["--find", "--show"]).arg(image).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let attached = Self { device: String::from_utf8(output.stdout).unwrap().trim().to_owned() };
        assert!(Command::new("partx").args(["-u", &attached.device]).status().unwrap().success());
        attached
    }

    /// Its only partition.
    pub fn partition(&self) -> String {
        format!("{}p1", self.device)
    }

    /// The UUID of the filesystem there.
    pub fn uuid(&self) -> String {
        let output = Command::new("blkid")
            .args(["-p", "-o", "value", "-s", "UUID", &self.partition()])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = Command::new("partx").args(["-d", &self.device]).status();
        let _ = Command::new("losetup").args(["-d", &self.device]).status();
    }
}
