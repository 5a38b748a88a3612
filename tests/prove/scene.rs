//! A Linux host with a QEMU that plays a guest, and disks to prove.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::disk::BareDisk;
use crate::support::sandbox::{Finished, Sandbox};

/// What a guest reports that is all right, with this root.
pub fn good(uuid: &str) -> String {
    format!(
        "start 2.1\nkernel 6.1.0-test\nstate running\ndefault graphical.target active\nmount /dev/vda1 / ext4 rw\n\
         fstab /dev/vda1 UUID={uuid} / ext4 defaults\ndevice /dev/vda1 LABEL=\"root\" UUID=\"{uuid}\"\nend 9.5\n"
    )
}

/// A host with the real `blkid` and a QEMU whose guest says this.
pub fn host(guest: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.tool("blkid", "exec blkid \"$@\"");
    let bin = sandbox.host().join("usr/bin");
    fs::create_dir_all(&bin).unwrap();
    let program = bin.join("qemu-system-x86_64");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prove/fake_qemu.py");
    fs::copy(source, &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    play(&sandbox, guest);
    sandbox
}

/// Changes what the guest says.
pub fn play(sandbox: &Sandbox, guest: &str) {
    fs::write(sandbox.host().join("usr/bin/guest"), guest).unwrap();
}

/// A disk image that could be anything.
pub fn image(sandbox: &Sandbox) -> PathBuf {
    let path = sandbox.path().join("disk.img");
    fs::write(&path, vec![0; 1 << 20]).unwrap();
    path
}

/// Proves it.
pub fn prove(sandbox: &Sandbox, what: &str, more: &[&str]) -> Finished {
    sandbox.run(["prove", "-d", what].iter().chain(more))
}

/// `UUID=…` of a disk.
pub fn uuid(disk: &BareDisk) -> String {
    format!("UUID={}", disk.tag("UUID"))
}

/// What was saved in the log directory, by name.
pub fn saved(sandbox: &Sandbox) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(sandbox.host().join("log")) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("Prove_"));
    found.sort();
    found
}

/// Waits for the guest that this process starts, and returns its process.
pub fn wait_for_guest(parent: u32) -> u32 {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = guest_of(parent) {
            return found;
        }
        assert!(Instant::now() < end, "no guest was started");
        std::thread::sleep(Duration::from_millis(20));
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
