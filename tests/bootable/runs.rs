//! Clones that start, on real disks, with a loader that only pretends.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::bootable::machine::{Disk, Machine};

/// Everything below a directory, with the time of its last change of any kind.
fn changes(dir: &Path) -> Vec<(PathBuf, i64, i64)> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                dirs.push(path.clone());
            }
            found.push((path, metadata.ctime(), metadata.ctime_nsec()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_clone_has_tables_and_a_loader_of_its_own() {
    let machine = Machine::new();
    let (source, clone) = (machine.source.tag("UUID"), machine.clone.tag("UUID"));
    chown(machine.source.path().join("etc/fstab"), Some(0), Some(42)).unwrap();
    fs::set_permissions(machine.source.path().join("etc/fstab"), fs::Permissions::from_mode(0o640)).unwrap();
    let mounts = || {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let is_here = |line: &&str| line.contains(machine.clone.path().to_str().unwrap());
        table.lines().filter(is_here).count()
    };
    assert_eq!(mounts(), 1);
    let finished = machine.clone();
    finished.assert_code(0).assert_err("");
    finished.assert_log("The clone will start by GRUB for a BIOS (i386-pc).");
    let disk = machine.clone.device();
    finished.assert_log(&format!("grub-install: installing --target=i386-pc --boot-directory=/boot {disk}"));
    assert_eq!(
        machine.read("etc/fstab"),
        format!(
            "# of the source\nUUID={clone} /     ext4  errors=remount-ro 0 1\n\
             # Swap that the clone does not have, says counterpart --bootable:\n# UUID=1-2 none swap sw 0 0\n"
        )
    );
    let (theirs, ours) = (machine.source.path().join("etc/fstab"), machine.clone.path().join("etc/fstab"));
    let (theirs, ours) = (fs::metadata(theirs).unwrap(), fs::metadata(ours).unwrap());
    assert_eq!((ours.mode(), ours.gid()), (theirs.mode(), 42));
    assert_eq!(machine.read("etc/default/grub"), "GRUB_CMDLINE_LINUX=\"quiet noresume\"\n");
    let entry = format!("menuentry x {{\n\tlinux /boot/vmlinuz-1 root=UUID={clone} ro quiet noresume\n}}\n");
    assert_eq!(machine.read("boot/grub/grub.cfg"), entry);
    assert_eq!(machine.read("boot/grub/i386-pc/core.img"), format!("core for {clone}\n"));
    assert_eq!(machine.clone.boot_code(), "bootcode!");
    // The source and this machine are as they were.
    assert_ne!(machine.source.boot_code(), "bootcode!");
    assert!(fs::read_to_string(machine.source.path().join("etc/fstab")).unwrap().contains(&source));
    for dir in ["run", "tmp", "dev"] {
        for root in [machine.clone.path(), Path::new("/")] {
            assert!(!root.join(dir).join("left").exists(), "{dir} in {}", root.display());
        }
    }
    assert_eq!(mounts(), 1);
    let stem = machine.clone.path().join(".me.jedda.counterpart.");
    let marker = |name: &str| PathBuf::from(format!("{}{name}", stem.display()));
    assert!(marker("completed").exists() && marker("boot").exists() && !marker("error").exists());
    assert_eq!(fs::metadata(marker("boot")).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn a_run_with_nothing_to_do_changes_nothing() {
    let machine = Machine::new();
    // mkfs stamps it with a whole second, and such a change is certain to be over only two seconds later.
    let found = machine.source.path().join("lost+found");
    fs::set_permissions(found, fs::Permissions::from_mode(0o700)).unwrap();
    // Enough for a quick pass.
    for number in 0..1100 {
        machine.write(&format!("srv/{number}"), "");
    }
    machine.clone().assert_code(0);
    machine.clone().assert_code(0).assert_log("The clone's boot loader is up to date.");
    let before = changes(machine.clone.path());
    let finished = machine.clone();
    finished.assert_code(0).assert_log("The clone's boot loader is up to date.");
    finished
        .assert_log("Quick pass: 0 of ")
        .assert_no_log("Written for the clone")
        .assert_no_log("Running in the clone");
    let is_ours = |path: &Path| path.to_string_lossy().contains("/.me.jedda.counterpart.");
    let changed: Vec<_> = changes(machine.clone.path())
        .into_iter()
        .filter(|entry| !before.contains(entry) && !is_ours(&entry.0))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
    // A full pass has nothing to undo either.
    let finished = machine.sandbox.run(machine.arguments(&["--bootable", "--full"]));
    finished.assert_code(0).assert_log("Number of regular files transferred: 0").assert_no_warning();
    // The source has no such directory.
    assert_eq!(machine.read("boot/grub/fonts/unicode.pf2"), "font\n");
    finished.assert_log("Number of deleted files: 0").assert_log("The clone's boot loader is up to date.");
}

#[test]
fn what_the_loader_depends_on_makes_it_anew() {
    let machine = Machine::new();
    machine.clone().assert_code(0);
    let again = |why: &str| {
        machine.clone().assert_code(0).assert_log("grub-install: installing").assert_err("");
        assert_eq!(machine.clone.boot_code(), "bootcode!", "{why}");
        machine.clone().assert_code(0).assert_log("The clone's boot loader is up to date.");
    };
    machine.write("boot/vmlinuz-2", "another kernel");
    again("a new kernel");
    assert!(machine.read("boot/grub/grub.cfg").contains("/boot/vmlinuz-2"));
    machine.write("etc/default/grub", "GRUB_CMDLINE_LINUX=\"loud\"\n");
    again("other settings");
    assert!(machine.read("boot/grub/grub.cfg").contains("ro loud noresume"));
    machine.clone.overwrite("elsewhere");
    again("a boot sector that is gone");
    fs::remove_file(machine.clone.path().join("boot/grub/grub.cfg")).unwrap();
    again("a configuration that is gone");
    fs::remove_file(machine.clone.path().join("boot/grub/i386-pc/normal.mod")).unwrap();
    again("a module that is gone");
    assert_eq!(machine.read("boot/grub/i386-pc/normal.mod"), "module\n");
}

#[test]
fn the_tables_follow_the_sources_and_the_option() {
    let machine = Machine::new();
    let clone = machine.clone.tag("UUID");
    machine.clone().assert_code(0);
    // Changed by hand in the clone: made again from the source's.
    fs::write(machine.clone.path().join("etc/fstab"), "nothing\n").unwrap();
    let source = machine.source.tag("UUID");
    machine.write("etc/fstab", &format!("# changed\nUUID={source} / ext4 noatime 0 1\n"));
    machine.clone().assert_code(0).assert_log("Written for the clone: /etc/fstab");
    assert_eq!(machine.read("etc/fstab"), format!("# changed\nUUID={clone} / ext4 noatime 0 1\n"));
    // Without swap there is nothing to say to the kernel.
    assert_eq!(machine.read("etc/default/grub"), "GRUB_CMDLINE_LINUX=\"quiet\"\n");
    // Without the option the clone is a copy again.
    machine.sandbox.run(machine.arguments(&[])).assert_code(0);
    assert_eq!(machine.read("etc/fstab"), format!("# changed\nUUID={source} / ext4 noatime 0 1\n"));
    assert!(machine.read("boot/grub/grub.cfg").contains(&source));
    machine.clone().assert_code(0).assert_log("Running in the clone");
    assert!(machine.read("boot/grub/grub.cfg").contains(&clone));
}

#[test]
fn a_partition_for_grub_is_used_in_a_gpt() {
    let script =
        "label: gpt\nstart=4096, size=131072\nsize=2048, type=21686148-6449-6E6F-744E-656564454649\n";
    let machine = Machine::with(Disk::new(script));
    machine
        .clone()
        .assert_code(0)
        .assert_log("Running in the clone: /usr/sbin/grub-install --target=i386-pc");
    machine.clone().assert_code(0).assert_log("The clone's boot loader is up to date.");
    assert_eq!(machine.clone.boot_code(), "bootcode!");
}

#[test]
fn extlinux_is_installed_with_its_boot_sector() {
    let machine = Machine::new();
    fs::remove_dir_all(machine.source.path().join("boot/grub")).unwrap();
    let (source, clone) = (machine.source.tag("UUID"), machine.clone.tag("UUID"));
    machine.write("boot/extlinux/extlinux.conf", &format!("label l0\n\tappend root=UUID={source} ro\n"));
    machine.write("boot/extlinux/ldlinux.sys", "of the source");
    machine.write("usr/lib/EXTLINUX/mbr.bin", "extlinux!");
    machine.script("extlinux", "echo \"with $*\"; echo 'of the clone' >/boot/extlinux/ldlinux.sys");
    let finished = machine.clone();
    finished.assert_code(0).assert_log("The clone will start by extlinux in /boot/extlinux.");
    finished.assert_log("extlinux: with --install /boot/extlinux");
    assert_eq!(
        machine.read("boot/extlinux/extlinux.conf"),
        format!("label l0\n\tappend root=UUID={clone} ro\n")
    );
    assert_eq!(machine.read("boot/extlinux/ldlinux.sys"), "of the clone\n");
    assert_eq!(machine.clone.boot_code(), "extlinux!");
    machine.clone().assert_code(0).assert_log("The clone's boot loader is up to date.");
    machine.clone.overwrite("elsewhere");
    machine.clone().assert_code(0).assert_log("Running in the clone");
    assert_eq!(machine.clone.boot_code(), "extlinux!");
    let finished = {
        let unmarked = Disk::new("label: dos\nstart=2048, size=131072, type=83\n");
        machine.sandbox.run(machine.arguments_to(unmarked.path(), &["--bootable"]))
    };
    finished.assert_code(78);
    assert!(
        finished.err.contains("extlinux needs an MBR with a partition that is marked active"),
        "{finished}"
    );
}

#[test]
fn a_raspberry_pi_needs_no_program() {
    let machine = Machine::new();
    fs::remove_dir_all(machine.source.path().join("boot/grub")).unwrap();
    let part = machine.source.tag("PART_ENTRY_UUID");
    machine.write("boot/config.txt", "arm_64bit=1\n");
    machine
        .write("boot/cmdline.txt", &format!("console=tty1 root=PARTUUID={part} rootfstype=ext4 rootwait\n"));
    machine.write("etc/fstab", &format!("PARTUUID={part} / ext4 defaults,noatime 0 1\n"));
    let finished = machine.clone();
    finished
        .assert_code(0)
        .assert_log("The clone will start by the Raspberry Pi's firmware, with /boot/cmdline.txt.");
    finished.assert_no_log("Running in the clone");
    let clone = machine.clone.tag("PART_ENTRY_UUID");
    assert_eq!(
        machine.read("boot/cmdline.txt"),
        format!("console=tty1 root=PARTUUID={clone} rootfstype=ext4 rootwait\n")
    );
    assert_eq!(machine.read("etc/fstab"), format!("PARTUUID={clone} / ext4 defaults,noatime 0 1\n"));
}

#[test]
fn a_test_run_says_how_the_clone_would_start_and_changes_nothing() {
    let machine = Machine::new();
    let finished = machine.sandbox.run(machine.arguments(&["--bootable", "-t"]));
    finished
        .assert_code(70)
        .assert_log("The clone will start by GRUB")
        .assert_no_log("Would create etc/fstab");
    assert_eq!(fs::read_dir(machine.clone.path()).unwrap().count(), 1, "lost+found alone");
}

#[test]
fn a_program_that_is_stopped_leaves_a_clone_that_is_not_complete() {
    let machine = Machine::new();
    machine.script("grub-install", "echo waiting; while :; do :; done");
    let log = machine.sandbox.host().join("log");
    let mut child = machine
        .sandbox
        .command(machine.arguments(&["--bootable"]))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let is_waiting = || {
        let Ok(logs) = fs::read_dir(&log) else { return false };
        logs.flatten()
            .any(|log| fs::read_to_string(log.path()).unwrap_or_default().contains("grub-install: waiting"))
    };
    assert!(crate::support::sandbox::wait_until(is_waiting));
    let began = SystemTime::now();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(child.id().try_into().unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(20));
    assert!(began.elapsed().unwrap() < Duration::from_secs(60));
    assert!(!machine.clone.path().join(".me.jedda.counterpart.completed").exists());
    machine.script("grub-install", "exit 0");
}
