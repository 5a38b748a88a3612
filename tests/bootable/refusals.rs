//! What keeps a clone from starting: the copy is complete all the same, and the run ends with 78.

use std::fs;
use std::os::unix::fs::symlink;

use crate::bootable::machine::{Disk, Machine, must};
use crate::support::sandbox::Finished;

/// Asserts 78 with this reason, and that the copy is recorded as complete.
#[track_caller]
fn assert_copy_only(machine: &Machine, finished: &Finished, why: &str) {
    finished.assert_code(78);
    let sentence = format!("The copy is complete, but it could not be made bootable: {why}.\n");
    assert!(finished.err.ends_with(&sentence), "{why}: {finished}");
    let marker = |name: &str| machine.clone.path().join(format!(".me.jedda.counterpart.{name}"));
    assert!(marker("completed").exists() && !marker("error").exists(), "{finished}");
    assert!(fs::read_to_string(marker("stats")).unwrap().contains("Exit Code: 78\n"));
    let record: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(marker("stats.json")).unwrap()).unwrap();
    assert_eq!((record["exit_code"].as_u64(), record["outcome"].as_str()), (Some(78), Some("warning")));
    // Nothing that was left out of the copy is missing.
    for name in ["etc/fstab", "etc/default/grub", "boot/grub/grub.cfg", "boot/grub/i386-pc/core.img"] {
        let is_there = machine.source.path().join(name).symlink_metadata().is_ok();
        assert_eq!(machine.clone.path().join(name).symlink_metadata().is_ok(), is_there, "{name}");
    }
    let check = machine.sandbox.run(["check", "-d", machine.clone.path().to_str().unwrap()]);
    assert_eq!(check.code, 1, "{check}");
    assert!(check.out.contains("could not be made bootable"), "{check}");
}

#[test]
fn a_program_that_fails_or_is_missing_is_named() {
    let machine = Machine::new();
    machine.script("grub-install", "echo 'error: cannot embed' >&2; exit 3");
    let finished = machine.clone();
    finished.assert_log("grub-install: error: cannot embed");
    let why = "the boot loader could not be installed: /usr/sbin/grub-install ended with exit code 3; the log has what it printed";
    assert_copy_only(&machine, &finished, why);
    fs::remove_file(machine.source.path().join("usr/sbin/grub-install")).unwrap();
    let why = "the boot loader could not be installed: grub-install is missing in the clone; install grub2-common (Debian, \
               Ubuntu), grub2-tools (Fedora), grub2 (openSUSE) or grub (Arch Linux) in the source";
    assert_copy_only(&machine, &machine.clone(), why);
    machine.script("grub-install", "exit 0");
    machine.script("grub-mkconfig", "echo 'linux /boot/vmlinuz-1 root=/dev/loop7' >\"$2\"");
    let why = "the boot loader could not be installed: /boot/grub/grub.cfg has no entry that starts the clone's own root";
    assert_copy_only(&machine, &machine.clone(), why);
}

#[test]
fn the_on_error_script_hears_the_reason_and_the_remedy() {
    let machine = Machine::new();
    machine.script("grub-install", "exit 3");
    let saw = machine.sandbox.path().join("saw");
    let script = machine.sandbox.script("error", &format!("env >'{}'", saw.display()));
    let options = ["--bootable", "--on-error", script.to_str().unwrap()];
    machine.sandbox.run(machine.arguments(&options)).assert_code(78);
    let saw = fs::read_to_string(saw).unwrap();
    for line in [
        "COUNTERPART_OUTCOME=warning\n",
        "COUNTERPART_EXIT_CODE=78\n",
        "COUNTERPART_REASON=The copy is complete, but it could not be made bootable: ",
        "COUNTERPART_REMEDY=the message says what is in the way: ",
    ] {
        assert!(saw.contains(line), "{line}: {saw}");
    }
}

#[test]
fn what_worked_before_stays_when_a_table_is_not_understood() {
    let machine = Machine::new();
    machine.clone().assert_code(0);
    let before = machine.read("etc/fstab");
    machine.write("etc/fstab", "rpool/ROOT / zfs defaults 0 0\n");
    let why = "a file that names its filesystems could not be written: /etc/fstab: line 1 (rpool/ROOT / zfs defaults 0 0): \
               rpool/ROOT names no disk that is understood";
    assert_copy_only(&machine, &machine.clone(), why);
    assert_eq!(machine.read("etc/fstab"), before);
    assert_eq!(machine.clone.boot_code(), "bootcode!");
    assert!(machine.read("boot/grub/grub.cfg").contains(&machine.clone.tag("UUID")));
    fs::remove_file(machine.source.path().join("etc/fstab")).unwrap();
    symlink("/etc/shadow", machine.source.path().join("etc/fstab")).unwrap();
    let why = "a file that names its filesystems could not be written: /etc/fstab: it is not a regular file";
    let finished = machine.clone();
    finished.assert_code(78);
    assert!(finished.err.contains(why), "{finished}");
}

#[test]
fn what_worked_before_stays_when_the_loader_is_not_certain_any_more() {
    let machine = Machine::new();
    machine.clone().assert_code(0);
    let own = ["etc/fstab", "boot/grub/grub.cfg", "boot/grub/i386-pc/core.img"];
    let before = own.map(|path| machine.read(path));
    machine.write("boot/extlinux/extlinux.conf", "label l0\n\tappend root=LABEL=root\n");
    machine.write("boot/grub/grub.cfg", "of the source\n");
    machine.clone().assert_code(78);
    assert_eq!(own.map(|path| machine.read(path)), before);
    // Without the option it is a copy like any other, and nothing is kept for another one.
    machine.sandbox.run(machine.arguments(&[])).assert_code(0);
    let source = |path: &str| fs::read_to_string(machine.source.path().join(path)).unwrap();
    assert_eq!(own.map(|path| machine.read(path)), own.map(source));
    assert!(!machine.clone.path().join(".me.jedda.counterpart.boot").exists());
}

#[test]
fn a_clone_that_never_started_stays_an_exact_copy() {
    let machine = Machine::new();
    machine.write("boot/extlinux/extlinux.conf", "label l0\n\tappend root=LABEL=root\n");
    for content in ["first", "second"] {
        machine.write("etc/default/grub", &format!("GRUB_CMDLINE_LINUX=\"{content}\"\n"));
        machine.write("boot/grub/grub.cfg", content);
        machine.clone().assert_code(78);
        for path in ["etc/default/grub", "boot/grub/grub.cfg", "etc/fstab"] {
            let source = fs::read_to_string(machine.source.path().join(path)).unwrap();
            assert_eq!(machine.read(path), source, "{path}");
        }
    }
}

#[test]
fn a_place_that_cannot_start_is_refused() {
    let why = |what: &str| format!("it cannot start a machine: {what}");
    let machine = Machine::with(Disk::new("label: gpt\nstart=4096, size=131072\n"));
    let disk = machine.clone.device();
    let finished = machine.clone();
    let missing = format!(
        "GRUB for i386-pc needs a BIOS boot partition (1 MiB, type 21686148-6449-6e6f-744e-656564454649), which the clone's \
         disk {disk} does not have"
    );
    assert_copy_only(&machine, &finished, &why(&missing));
    assert_ne!(machine.clone.boot_code(), "bootcode!");
    // A directory of a filesystem.
    let below = machine.clone.path().join("below");
    fs::create_dir(&below).unwrap();
    let finished = machine.sandbox.run(machine.arguments_to(&below, &["--bootable", "--adopt"]));
    finished.assert_code(78);
    let part = machine.clone.partition(1);
    let sentence = format!("it is the directory /below on {part}, not a whole filesystem.");
    assert!(finished.err.contains(&sentence), "{finished}");
}

#[test]
fn the_disk_of_the_source_keeps_its_loader() {
    let script = "label: dos\nstart=2048, size=90000, type=83\nstart=94208, size=90000, type=83\n";
    let machine = Machine::new();
    let disk = Disk::new(script);
    // The source moves to the second partition of the clone's disk.
    must("mkfs.ext4", &["-q", "-F", &disk.partition(2)]);
    let second = machine.sandbox.path().join("second");
    fs::create_dir(&second).unwrap();
    must("mount", &[&disk.partition(2), second.to_str().unwrap()]);
    let (from, to) = (format!("{}/.", machine.source.path().display()), second.to_str().unwrap());
    must("cp", &["-a", &from, to]);
    let arguments = ["-s", to, "-d", disk.path().to_str().unwrap(), "--bootable"];
    let finished = machine.sandbox.run(arguments);
    must("umount", &[to]);
    finished.assert_code(78);
    let why = format!(
        "it is on {}, the disk of the source or of the running system, whose boot loader would be replaced.",
        disk.device()
    );
    assert!(finished.err.contains(&why), "{finished}");
    assert_ne!(disk.boot_code(), "bootcode!");
}

#[test]
fn a_loader_that_is_not_certain_is_refused() {
    let machine = Machine::new();
    let why = |what: &str| format!("the boot loader could not be installed: {what}");
    machine.write("boot/extlinux/extlinux.conf", "label l0\n\tappend root=LABEL=root\n");
    let several = "the source has several, GRUB for a BIOS (i386-pc) among them, and which of them starts it is not known";
    assert_copy_only(&machine, &machine.clone(), &why(several));
    fs::remove_dir_all(machine.source.path().join("boot/grub")).unwrap();
    let other = "the source uses U-Boot, which Counterpart does not install yet";
    assert_copy_only(&machine, &machine.clone(), &why(other));
    fs::remove_dir_all(machine.source.path().join("boot/extlinux")).unwrap();
    let none = "the source has none that is known (is it a whole system?)";
    assert_copy_only(&machine, &machine.clone(), &why(none));
}

#[test]
fn a_filesystem_that_the_clone_lacks_is_named() {
    let machine = Machine::new();
    let uuid = machine.source.tag("UUID");
    machine
        .write("etc/fstab", &format!("UUID={uuid} / ext4 defaults 0 1\nUUID=3-4 /boot ext4 defaults 0 2\n"));
    let why = "it cannot start a machine: /boot is a filesystem of its own, which is not part of this clone";
    assert_copy_only(&machine, &machine.clone(), why);
    machine.write("etc/fstab", &format!("UUID={uuid} / ext4 defaults 0 1\n"));
    fs::remove_file(machine.source.path().join("boot/vmlinuz-1")).unwrap();
    assert_copy_only(
        &machine,
        &machine.clone(),
        "it cannot start a machine: there is no kernel in its /boot",
    );
}

#[test]
fn links_in_a_clone_lead_nowhere() {
    let machine = Machine::new();
    let outside = machine.sandbox.path().join("outside");
    fs::create_dir(&outside).unwrap();
    // A mount point that leads out of the clone.
    fs::remove_dir(machine.source.path().join("run")).unwrap();
    symlink(&outside, machine.source.path().join("run")).unwrap();
    let finished = machine.clone();
    finished.assert_code(78);
    assert!(finished.err.contains("the clone's programs cannot be run in it"), "{finished}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    // A directory with tables.
    fs::remove_dir_all(machine.source.path().join("etc/default")).unwrap();
    fs::create_dir(outside.join("default")).unwrap();
    fs::write(outside.join("default/grub"), "GRUB_CMDLINE_LINUX=\"quiet\"\n").unwrap();
    symlink(outside.join("default"), machine.source.path().join("etc/default")).unwrap();
    machine.clone().assert_code(78);
    let settings = fs::read_to_string(outside.join("default/grub")).unwrap();
    assert_eq!(settings, "GRUB_CMDLINE_LINUX=\"quiet\"\n");
}

#[test]
fn the_doctor_says_it_beforehand() {
    let machine = Machine::new();
    let ask = || {
        let ends = machine.arguments(&["--bootable"]);
        machine.sandbox.run(["doctor"].into_iter().chain(ends))
    };
    let told = ask();
    assert_eq!(told.code, 0, "{told}");
    assert!(
        told.out.contains("OK    starting from the clone: it will start by GRUB for a BIOS (i386-pc)."),
        "{told}"
    );
    fs::remove_file(machine.source.path().join("usr/sbin/grub-mkconfig")).unwrap();
    let told = ask();
    assert_eq!(told.code, 78, "{told}");
    assert!(told.out.contains("FAIL  starting from the clone: The clone cannot be made bootable: the boot loader could not be installed: grub-mkconfig is missing"), "{told}");
    assert_eq!(fs::read_dir(machine.clone.path()).unwrap().count(), 1, "lost+found alone");
}
