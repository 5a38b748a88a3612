//! What is on a disk that was prepared.

use std::fs;
use std::path::Path;

use nix::sys::statvfs::statvfs;
use regex::Regex;
use serde_json::Value;

use crate::prepare::scene::{
    Disk, Loop, Mounted, attach, fstab, inside, must, prepare, small_system, tag, tool,
};
use crate::support::disk::LoopDisk;
use crate::support::sandbox::Sandbox;

/// The output without sizes in use, which depend on the versions of the tools.
fn plain(out: &str) -> String {
    Regex::new(r"; [0-9.]+ [KMG]?i?B used of [0-9.]+ [KMG]iB")
        .unwrap()
        .replace_all(out, "; USED")
        .into_owned()
}

/// A field of every partition.
fn all(table: &Value, field: &str) -> Vec<String> {
    let parts = table["partitions"].as_array().unwrap();
    parts.iter().map(|part| part[field].to_string().trim_matches('"').to_owned()).collect()
}

/// A device that holds a file of this size, made by a program.
fn made(dir: &Path, mib: u64, maker: &[&str]) -> Loop {
    let image = dir.join(maker[0]);
    fs::File::create(&image).unwrap().set_len(mib << 20).unwrap();
    let device = attach(&[], &image);
    let words: Vec<&str> = maker.iter().copied().chain([device.to_str().unwrap()]).collect();
    must(&words);
    Loop(device)
}

#[test]
fn an_empty_disk_becomes_like_the_system() {
    let system = LoopDisk::new("ext4", 100, &["-L", "lay-root"], "");
    let home = LoopDisk::new("xfs", 300, &["-L", "lay-home"], "");
    let dir = tempfile::tempdir().unwrap();
    let efi = made(dir.path(), 70, &["mkfs.vfat", "-n", "LAY-EFI"]);
    let swap = made(dir.path(), 80, &["mkswap", "-q"]);
    let _mounted = inside(system.path(), "home", &home);
    fs::create_dir_all(system.path().join("usr/lib/grub/i386-pc")).unwrap();
    let (efi, swap) = (efi.0.display(), swap.0.display());
    fstab(
        system.path(),
        &format!(
            "UUID=a / ext4 x 0 1\nUUID=b /home xfs x 0 0\n{efi} /boot/efi vfat x 0 0\n{swap} none swap sw 0 0\n"
        ),
    );
    let disk = Disk::new(2201);
    let run = prepare(&disk.device, system.path(), &["--erase", &disk.image()]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run}");

    let table = disk.table();
    assert_eq!(table["label"], "gpt");
    let id = table["id"].as_str().unwrap()[..8].to_lowercase();
    let names = ["bios-boot", "/boot/efi", "/", "/home", "swap"].map(|name| format!("clone-{id}:{name}"));
    assert_eq!(all(&table, "name"), names);
    assert_eq!(
        all(&table, "type"),
        [
            "21686148-6449-6E6F-744E-656564454649",
            "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
            "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
            "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
            "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
        ]
    );
    let numbers =
        |field| all(&table, field).iter().map(|n| n.parse::<u64>().unwrap() / 2048).collect::<Vec<_>>();
    let (starts, sizes) = (numbers("start"), numbers("size"));
    // 2201 MiB less 1 at each end, 1, 70 and 80: 2048 between / and /home, which fills the disk.
    assert_eq!((sizes[0], sizes[1], sizes[4]), (1, 70, 80));
    assert_eq!(sizes[2] + sizes[3], 2048);
    let (small, large) = (statvfs(system.path()).unwrap(), statvfs(home.path()).unwrap());
    let total = |found: &nix::sys::statvfs::Statvfs| found.blocks() * found.fragment_size();
    let share = 2048 * total(&small) / (total(&small) + total(&large));
    assert!(sizes[2].abs_diff(share) <= 1, "{sizes:?}, {share}");
    assert_eq!(starts, [1, 2, 72, 72 + sizes[2], 2120]);

    let found: Vec<String> = (1..=5).map(|number| disk.tag(number, "TYPE")).collect();
    assert_eq!(found, ["", "vfat", "ext4", "xfs", "swap"]);
    let labels: Vec<String> = (1..=5).map(|number| disk.tag(number, "LABEL")).collect();
    assert_eq!(labels, ["", "LAY-E-CLONE", "lay-root-clone", "lay-ho-clone", ""]);
    let uuid: Vec<String> = (1..=5).map(|number| disk.tag(number, "UUID")).collect();
    assert_ne!(uuid[2], tag(system.device().to_str().unwrap(), "UUID"));
    let (device, image, like) = (disk.path(), disk.image(), system.path().display());
    let size = |mib: u64| indicatif_size(mib << 20);
    let expected = format!(
        "{device}: 2.15 GiB\nIts identity, to be typed in full: {image}\nNow on it: nothing\n\
         To be made, like {like}: GPT and\n\
         \x20 1    1.00 MiB  -      BIOS boot\n\
         \x20 2   70.00 MiB  vfat   /boot/efi, label LAY-E-CLONE\n\
         \x20 3  {:>10}  ext4   /, label lay-root-clone; USED\n\
         \x20 4  {:>10}  xfs    /home, label lay-ho-clone; USED\n\
         \x20 5   80.00 MiB  swap   swap\n\
         The partition table is written.\nvfat is made on {device}p2.\next4 is made on {device}p3.\n\
         xfs is made on {device}p4.\nswap is made on {device}p5.\n{device} is prepared:\n\
         \x20 2  UUID={}  /boot/efi\n  3  UUID={root}  /\n  4  UUID={}  /home\n  5  UUID={}  swap\n\
         Clone to it, do so every night, and prove that the clone boots:\n\
         \x20 counterpart -s {like} -d UUID={root} --bootable\n\
         \x20 counterpart schedule install -- -s {like} -d UUID={root} --bootable\n\
         \x20 counterpart prove -d UUID={root}\n",
        size(sizes[2]),
        size(sizes[3]),
        uuid[1],
        uuid[3],
        uuid[4],
        root = uuid[2],
    );
    assert_eq!(plain(&run.out), expected);
    // Nothing is left mounted or claimed.
    assert_eq!(tool(&["findmnt", "-n", "-S", &disk.part(3)]).out, "");
    must(&["wipefs", "--no-act", disk.path()]);
}

/// A size of at most some GiB as the plan prints it.
fn indicatif_size(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "two digits are printed")]
    let mib = bytes as f64 / 1_048_576.0;
    if mib < 1024.0 { format!("{mib:.2} MiB") } else { format!("{:.2} GiB", mib / 1024.0) }
}

#[test]
fn subvolumes_of_btrfs_come_with_their_names() {
    let pool = LoopDisk::new("btrfs", 300, &[], "");
    for name in ["@", "@home", "@left-out"] {
        must(&["btrfs", "subvolume", "create", pool.path().join(name).to_str().unwrap()]);
    }
    let device = pool.device().to_str().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let system = Mounted::new("subvol=@", device, &dir.path().join("system"));
    let _home = Mounted::new("subvol=@home", device, &system.path().join("home"));
    fstab(system.path(), "UUID=a / btrfs subvol=@ 0 0\nUUID=a /home btrfs subvol=@home 0 0\n");
    let disk = Disk::new(900);
    let run = prepare(&disk.device, system.path(), &["--erase", &disk.image()]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run}");
    assert!(run.out.contains("  btrfs  /, subvolumes /@ /@home; "), "{run}");
    assert_eq!(all(&disk.table(), "start").len(), 2, "BIOS boot and one btrfs");
    let top = Mounted::new("subvolid=5", &disk.part(2), &dir.path().join("top"));
    let listed = must(&["btrfs", "subvolume", "list", top.path().to_str().unwrap()]);
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split(" path ").nth(1)).collect();
    assert_eq!(names, ["@", "@home"]);
    let default = must(&["btrfs", "subvolume", "get-default", top.path().to_str().unwrap()]);
    assert!(default.trim_end().ends_with(" path @"), "{default}");
}

#[test]
fn an_mbr_is_written_when_asked_for() {
    let system = small_system();
    let boot = LoopDisk::new("ext4", 30, &[], "");
    let _boot = inside(system.path(), "boot", &boot);
    fstab(system.path(), "UUID=a /boot ext4 x 0 0\n");
    let disk = Disk::new(600);
    let run = prepare(&disk.device, system.path(), &["--table", "mbr", "--erase", &disk.image()]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run}");
    assert!(run.out.contains(": MBR and\n  1"), "{run}");
    let table = disk.table();
    assert_eq!(table["label"], "dos");
    assert_eq!(all(&table, "type"), ["83", "83"]);
    assert_eq!(table["partitions"][0]["bootable"], true);
    assert_eq!([disk.tag(1, "TYPE"), disk.tag(2, "TYPE")], ["ext4", "ext4"]);
    // The first is /boot, whose size stays about the source's.
    assert!(run.out.contains("  ext4   /boot; "), "{run}");
}

#[test]
fn what_the_source_uses_and_a_tenth_more_fits_whatever_the_filesystem() {
    for kind in ["ext4", "xfs", "btrfs"] {
        let system = LoopDisk::new(kind, 320, &[], "");
        must(&["fallocate", "-l", "180M", system.path().join("file").to_str().unwrap()]);
        must(&["sync", "-f", system.path().to_str().unwrap()]);
        let data = LoopDisk::new("ext4", 3000, &[], "");
        let _data = inside(system.path(), "srv", &data);
        fstab(system.path(), "UUID=a /srv ext4 x 0 0\n");
        // By proportion the root would get a tenth.
        let disk = Disk::new(1100);
        let run = prepare(&disk.device, system.path(), &["--erase", &disk.image()]);
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{kind}: {run}");
        let used = statvfs(system.path())
            .map(|found| (found.blocks() - found.blocks_free()) * found.fragment_size());
        let dir = tempfile::tempdir().unwrap();
        let new = Mounted::new("defaults", &disk.part(2), &dir.path().join("new"));
        let found = statvfs(new.path()).unwrap();
        let free = found.blocks_free() * found.fragment_size();
        assert!(free >= used.unwrap() * 11 / 10, "{kind}: {free}, {used:?}, {run}");
    }
}

#[test]
fn no_label_is_one_that_the_machine_has() {
    let system = LoopDisk::new("ext4", 24, &["-L", "lab"], "");
    let _other = LoopDisk::new("ext4", 24, &["-L", "LAB-clone"], "");
    let disk = Disk::new(400);
    let run = prepare(&disk.device, system.path(), &["--erase", &disk.image()]);
    assert_eq!(run.code, 0, "{run}");
    assert_eq!(disk.tag(2, "LABEL"), "lab-clone2");
    // Its own goes with it.
    let run = prepare(&disk.device, system.path(), &["--erase", &disk.image()]);
    assert_eq!(run.code, 0, "{run}");
    assert_eq!(disk.tag(2, "LABEL"), "lab-clone2");
}

#[test]
fn what_was_on_the_disk_is_shown_and_goes_with_erase_only() {
    let system = small_system();
    let disk = Disk::new(700);
    disk.partition(&[100, 400]);
    must(&["mkfs.ext4", "-q", "-L", "photos", &disk.part(1)]);
    must(&["mkfs.xfs", "-q", &disk.part(2)]);
    let before = disk.digest();
    let shown = "Now on it, and lost then:\n  a GPT\n  partition 1, 100.00 MiB: ext4 \"photos\"\n  partition 2, \
                 400.00 MiB: xfs\n";
    let run = prepare(&disk.device, system.path(), &[]);
    let why = format!("it is not empty; if all of it may be lost, add --erase {}", disk.image());
    crate::prepare::scene::assert_refused(&run, &disk, &before, &why);
    assert!(run.out.contains(shown), "{run}");
    let run = prepare(&disk.device, system.path(), &["--erase", &disk.image()]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run}");
    assert!(run.out.contains(shown), "{run}");
    assert_eq!([disk.tag(1, "TYPE"), disk.tag(2, "TYPE")], ["", "ext4"]);
    assert_eq!(all(&disk.table(), "start").len(), 2);
}

#[test]
fn signatures_of_the_whole_disk_are_shown_and_wiped() {
    for maker in [&["mkfs.btrfs", "-q", "-L", "all"][..], &["mkswap", "-q"], &["mkfs.xfs", "-q", "-L", "all"]]
    {
        let system = small_system();
        let disk = Disk::new(400);
        let words: Vec<&str> = maker.iter().copied().chain([disk.path()]).collect();
        must(&words);
        let before = disk.digest();
        let run = prepare(&disk.device, system.path(), &[]);
        let why = format!("it is not empty; if all of it may be lost, add --erase {}", disk.image());
        crate::prepare::scene::assert_refused(&run, &disk, &before, &why);
        let run = prepare(&disk.device, system.path(), &["--erase", &disk.image()]);
        assert_eq!(run.code, 0, "{run}");
        let left = must(&["wipefs", "--no-act", "--noheadings", "--output", "TYPE", disk.path()]);
        assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["gpt", "gpt", "PMBR"], "{maker:?}");
    }
}

#[test]
fn a_machine_that_starts_by_efi_gets_a_partition_for_it() {
    let sandbox = Sandbox::new();
    sandbox.tool("blkid", "exec /usr/sbin/blkid \"$@\"");
    // Larger than whatever runs these tests; it is only planned for.
    let disk = Disk::new(4 << 20);
    let plan = || sandbox.run(["prepare", disk.path(), "--like", "/"]);
    let run = plan();
    assert_eq!(run.code, 99, "{run}");
    let is_efi = run.out.contains("  vfat   /boot/efi");
    fs::create_dir_all(sandbox.host().join("system-root/sys/firmware/efi")).unwrap();
    let run = plan();
    assert_eq!(run.code, 99, "{run}");
    assert!(run.err.contains(" is refused: it was not confirmed; "), "{run}");
    assert!(run.out.contains("  512.00 MiB  vfat   /boot/efi\n") || is_efi, "{run}");
    let note = "Note: this machine starts by EFI: an EFI system partition is added for /boot/efi.\n";
    assert!(run.out.contains(note) || is_efi, "{run}");
    assert!(disk.tag(1, "TYPE").is_empty());
}
