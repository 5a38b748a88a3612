//! Whether the clone could boot, and what that takes.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::display;
use crate::doctor::ends::Ends;
use crate::doctor::exam::Exam;
use crate::host::platform::{MacOsVersion, Platform};
use crate::linux::{fstab, swaps};
use crate::phases::bootable;

const TOPIC: &str = "starting from the clone";

/// Checks it for the given source.
pub fn examine(exam: &mut Exam<'_>, ends: &Ends) {
    if ends.source.is_none() {
        return;
    }
    if exam.run.plan.bootable {
        bootable(exam, ends);
        return;
    }
    if !ends.is_system() {
        exam.ok(TOPIC, "this is a clone of data, not of a system.");
        return;
    }
    match exam.run.machine.host.platform {
        Platform::Linux => linux(exam, ends),
        Platform::MacOs(version) => macos(exam, version),
    }
}

/// What `--bootable` would do.
fn bootable(exam: &mut Exam<'_>, ends: &Ends) {
    // Without both ends a clone would fail before.
    let Some(both) = &ends.both else { return };
    let way = bootable::look(exam.run, both);
    exam.warnings(TOPIC, "");
    match way {
        Ok(way) => exam.ok(TOPIC, format!("it will start by {way}.")),
        Err(failure) => {
            let sentence = bootable::beforehand(&failure.to_string()).replacen("the clone", "The clone", 1);
            let remedy = "Put right what is in the way, and ask again; without --bootable the copy is made all the same.";
            exam.fail_with(TOPIC, sentence, failure.exit_code(), remedy);
        }
    }
}

fn linux(exam: &mut Exam<'_>, ends: &Ends) {
    let root = exam.run.machine.host.tools.system_root.clone();
    let text = std::fs::read(root.join("etc/fstab")).unwrap_or_default();
    let table = fstab::read(&text);
    let is_uefi = root.join("sys/firmware/efi").exists();
    let is_apart = |name: &str| fstab::of(&table, &format!("/{name}")).is_some() || lies_apart(&root, name);
    if is_apart("boot") && !ends.has_part(Path::new("boot")) {
        exam.warn(
            TOPIC,
            "/boot is a separate filesystem, so the kernel is not in the clone.",
            "Name it with --filesystems, or clone it in a separate run; docs/guide.md, \"One filesystem\".",
        );
    } else {
        exam.ok(TOPIC, "/boot, with the kernel, is part of the clone.");
    }
    match fstab::of(&table, "/") {
        Some(entry) => exam.warn(
            TOPIC,
            format!("/etc/fstab names the disk for / as {}, which is not the clone's.", display::name(&entry.device)),
            "Clone with --bootable, which writes a table of the clone's own. Without it every run restores the source's: \
             before booting a machine from the clone, put the UUID of the clone's filesystem (see blkid) into its \
             /etc/fstab. docs/guide.md, \"Restoring, and starting from a clone\".",
        ),
        None => exam.ok(TOPIC, "/etc/fstab has no line for /, so there is none to change in the clone."),
    }
    swap(exam, &root, &text);
    boot_loader(exam, is_uefi);
}

/// A swap file is not in the clone, and a system that boots from it will look for it.
fn swap(exam: &mut Exam<'_>, root: &Path, table: &[u8]) {
    // Only files: a partition belongs to another disk and needs the same treatment as the line for /.
    let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    let is_file = |path: &&PathBuf| inside(path).metadata().is_ok_and(|found| found.is_file());
    for path in swaps::of_fstab(table).iter().filter(is_file) {
        let name = display::path(path).to_string();
        exam.warn(
            TOPIC,
            format!("/etc/fstab names the swap file {name}, which is not in the clone."),
            format!(
                "Recreate it in the clone before booting a machine from it: dd if=/dev/zero of=CLONE{name} bs=1M \
                 count=2048, chmod 600 CLONE{name}, mkswap CLONE{name}."
            ),
        );
    }
}

fn boot_loader(exam: &mut Exam<'_>, is_uefi: bool) {
    let (firmware, command) = if is_uefi {
        (
            "UEFI, whose EFI system partition is not cloned",
            "make an EFI system partition on the clone's disk, and in a chroot of the clone run grub-install \
             --target=x86_64-efi --efi-directory=/boot/efi --removable.",
        )
    } else {
        ("a BIOS", "in a chroot of the clone, run grub-install on its disk.")
    };
    exam.warn(
        TOPIC,
        format!("without --bootable a clone has no boot loader; this machine boots with {firmware}."),
        format!("Clone with --bootable, or {command} All commands are in docs/guide.md, \"Restoring, and starting from a clone\"."),
    );
}

fn lies_apart(root: &Path, name: &str) -> bool {
    let device = |path: &Path| std::fs::metadata(path).map(|found| found.dev()).ok();
    device(&root.join(name)).is_some_and(|there| Some(there) != device(root))
}

fn macos(exam: &mut Exam<'_>, version: MacOsVersion) {
    let system = exam.run.machine.host.platform;
    if version >= MacOsVersion::BIG_SUR {
        exam.warn(
            TOPIC,
            format!("no Mac can start from it: {system} keeps the system on a sealed volume, and this clone has the \
                     data."),
            "To restore, install macOS from Recovery and import the clone with Migration Assistant.",
        );
        return;
    }
    if version >= MacOsVersion::CATALINA {
        exam.warn(
            TOPIC,
            format!(
                "{system} keeps system and data on two volumes, and a clone of one of them is not enough."
            ),
            "Inspect the clone to see what it holds; docs/guide.md, \"macOS 10.15 and earlier\".",
        );
        return;
    }
    let destination = if exam.inquiry.has_destination {
        display::path(&exam.run.plan.destination).to_string()
    } else {
        "DESTINATION".to_owned()
    };
    exam.ok_with(
        TOPIC,
        "a Mac can start from it when it has been blessed:",
        vec![format!(
            "sudo bless --folder '{}/System/Library/CoreServices' --bootinfo --bootefi",
            destination.trim_end_matches('/')
        )],
    );
}
