//! A system with filesystems of its own for /boot and /home, all in the clone's one partition.

use std::fs;
use std::path::PathBuf;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::bootable::machine::{Machine, must};
use crate::support::disk::LoopDisk;

/// A filesystem that has taken the place of a directory, with what that held.
struct Apart {
    point: PathBuf,
    disk: LoopDisk,
}

impl Apart {
    fn of(machine: &Machine, name: &str) -> Self {
        let (point, disk) = (machine.source.path().join(name), LoopDisk::new("ext4", 16, &[], ""));
        fs::create_dir_all(&point).unwrap();
        must(
            "sh",
            &[
                "-c",
                &format!("cp -a '{0}/.' '{1}' && rm -rf '{0}'/*", point.display(), disk.path().display()),
            ],
        );
        mount(Some(disk.device()), &point, Some("ext4"), MsFlags::empty(), None::<&str>).unwrap();
        Self { point, disk }
    }

    fn uuid(&self) -> String {
        must("blkid", &["-p", "-o", "value", "-s", "UUID", self.disk.device().to_str().unwrap()])
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = umount2(&self.point, MntFlags::MNT_DETACH);
    }
}

#[test]
fn all_become_directories_of_the_clones_root_and_leave_its_tables() {
    let machine = Machine::new();
    let (boot, home) = (Apart::of(&machine, "boot"), Apart::of(&machine, "home"));
    machine.write("home/user/file", "content");
    let source = machine.source.tag("UUID");
    let (boot_uuid, home_uuid) = (boot.uuid(), home.uuid());
    machine.write(
        "etc/fstab",
        &format!(
            "UUID={source} / ext4 defaults 0 1\nUUID={boot_uuid} /boot ext4 defaults 0 2\n\
             UUID={home_uuid} /home ext4 defaults 0 2\n"
        ),
    );
    for _ in 0..2 {
        let finished = machine.clone();
        finished.assert_code(0).assert_err("");
        finished.assert_log("The clone will start by GRUB for a BIOS (i386-pc).");
        let clone = machine.clone.tag("UUID");
        let note = "# A directory of the clone, not a filesystem, says counterpart --bootable:\n";
        assert_eq!(
            machine.read("etc/fstab"),
            format!(
                "UUID={clone} / ext4 defaults 0 1\n{note}# UUID={boot_uuid} /boot ext4 defaults 0 2\n\
                 {note}# UUID={home_uuid} /home ext4 defaults 0 2\n"
            )
        );
        assert_eq!(machine.read("boot/grub/i386-pc/core.img"), format!("core for {clone}\n"));
        assert_eq!(machine.read("boot/vmlinuz-1"), "kernel");
        assert_eq!(machine.read("home/user/file"), "content");
        assert_eq!(machine.clone.boot_code(), "bootcode!");
    }
    // What the clone has of its own is not the source's.
    let core = fs::read_to_string(machine.source.path().join("boot/grub/i386-pc/core.img")).unwrap();
    assert_eq!(core, "core of the source");
    // Without them it would be a clone that does not start, and the last one would lose what they hold.
    let run = machine.sandbox.run(machine.arguments(&["--bootable", "--filesystems", "none"]));
    run.assert_code(76);
    assert_eq!(machine.read("boot/vmlinuz-1"), "kernel");
}
