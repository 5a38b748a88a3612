//! Whether a Linux machine could boot from the clone.

use std::fs;

use crate::doctor::patient::{ask_for, healthy};
use crate::support::mounted::Mounted;
use crate::support::sandbox::Sandbox;

const TOPIC: &str = "starting from the clone";

const INSIDE: &str = "OK    starting from the clone: /boot, with the kernel, is part of the clone.";

const APART: [&str; 2] = [
    "WARN  starting from the clone: /boot is a separate filesystem, so the kernel is not in the clone.",
    "      To do: Name it with --filesystems, or clone it in a separate run; docs/guide.md, \"One filesystem\".",
];

const NO_LINE: &str =
    "OK    starting from the clone: /etc/fstab has no line for /, so there is none to change in the clone.";

const BIOS: [&str; 2] = [
    "WARN  starting from the clone: without --bootable a clone has no boot loader; this machine boots with a BIOS.",
    "      To do: Clone with --bootable, or in a chroot of the clone, run grub-install on its disk. All commands are in docs/guide.md, \"Restoring, and \
     starting from a clone\".",
];

/// A machine whose source is `/`, and the root of which the doctor looks at.
fn system() -> Sandbox {
    let sandbox = healthy();
    fs::create_dir_all(sandbox.host().join("system-root/boot")).unwrap();
    fs::create_dir_all(sandbox.host().join("system-root/etc")).unwrap();
    sandbox
}

#[test]
fn a_system_with_everything_on_one_disk_lacks_the_boot_loader() {
    let sandbox = system();
    ask_for(&sandbox, ["-s", "/"]).assert_code(0).assert(TOPIC, &[&[INSIDE, NO_LINE][..], &BIOS].concat());
}

#[test]
fn the_line_for_the_root_names_the_old_disk() {
    let sandbox = system();
    for device in ["UUID=0a3407de-014b-458b-b5c1-848e92a327a3", "LABEL=root", "/dev/sda1"] {
        let table = format!("# {device} /gone\n{device} / ext4 defaults 0 1\n");
        fs::write(sandbox.host().join("system-root/etc/fstab"), table).unwrap();
        let told = ask_for(&sandbox, ["-s", "/"]);
        let lines = told.of_topic(TOPIC);
        assert_eq!(
            lines[1..3],
            [
                &format!(
                    "WARN  {TOPIC}: /etc/fstab names the disk for / as {device}, which is not the clone's."
                ),
                "      To do: Clone with --bootable, which writes a table of the clone's own. Without it every run restores the source's: before booting a machine from the clone, put the UUID of the clone's filesystem (see blkid) into its /etc/fstab. docs/guide.md, \"Restoring, and starting from a clone\"."
            ]
        );
    }
}

#[test]
fn a_boot_of_its_own_is_not_in_the_clone() {
    let sandbox = system();
    let boot = sandbox.host().join("system-root/boot");
    {
        let _mounted = Mounted::tmpfs(&boot);
        let told = ask_for(&sandbox, ["-s", "/"]);
        assert_eq!(told.of_topic(TOPIC)[..2], APART);
    }
    // Not mounted now, and mounted at the start.
    fs::write(sandbox.host().join("system-root/etc/fstab"), "UUID=1 /boot ext4 noauto 0 1\n").unwrap();
    let told = ask_for(&sandbox, ["-s", "/"]);
    told.assert(TOPIC, &[&APART[..], &[NO_LINE], &BIOS].concat());
}

#[test]
fn a_machine_with_uefi_needs_another_boot_loader() {
    let sandbox = system();
    fs::create_dir_all(sandbox.host().join("system-root/sys/firmware/efi")).unwrap();
    let told = ask_for(&sandbox, ["-s", "/"]);
    assert_eq!(
        told.of_topic(TOPIC)[2..],
        [
            "WARN  starting from the clone: without --bootable a clone has no boot loader; this machine boots with UEFI, whose \
             EFI system partition is not cloned.",
            "      To do: Clone with --bootable, or make an EFI system partition on the clone's disk, and in a chroot of the clone run grub-install \
             --target=x86_64-efi --efi-directory=/boot/efi --removable. All commands are in docs/guide.md, \"Restoring, and starting \
             from a clone\".",
        ]
    );
}

#[test]
fn a_swap_file_has_to_be_made_anew() {
    let sandbox = system();
    let root = sandbox.host().join("system-root");
    fs::write(root.join("swap.img"), "swap").unwrap();
    fs::write(
        root.join("etc/fstab"),
        "/swap.img none swap sw 0 0\n/dev/sda2 none swap sw 0 0\n/gone none swap sw 0 0\n",
    )
    .unwrap();
    let told = ask_for(&sandbox, ["-s", "/"]);
    let swap = [
        "WARN  starting from the clone: /etc/fstab names the swap file /swap.img, which is not in the clone.",
        "      To do: Recreate it in the clone before booting a machine from it: dd if=/dev/zero of=CLONE/swap.img bs=1M count=2048, \
         chmod 600 CLONE/swap.img, mkswap CLONE/swap.img.",
    ];
    told.assert(TOPIC, &[&[INSIDE, NO_LINE][..], &swap, &BIOS].concat());
}
