//! Disks that are refused with 99, whatever is typed, and that keep every byte.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::{Flock, FlockArg};

use crate::prepare::scene::{Disk, Loop, Mounted, assert_refused, attach, must, prepare, small_system, tool};
use crate::support::disk::LoopDisk;
use crate::support::killed::Killed;
use crate::support::sandbox::{Finished, wait_until};

/// A disk with two partitions, the first an ext4.
fn used_disk() -> Disk {
    let disk = Disk::new(300);
    disk.partition(&[100, 100]);
    must(&["mkfs.ext4", "-q", &disk.part(1)]);
    disk
}

/// Tries to prepare it with the right confirmation.
fn erase(disk: &Disk) -> Finished {
    let system = small_system();
    prepare(&disk.device, system.path(), &["--erase", &disk.image()])
}

/// Asserts that a disk is free again, once no namespace of another test has a copy of its mount.
#[track_caller]
fn assert_free(disk: &Disk) {
    assert!(wait_until(|| erase(disk).code == 0), "{}", erase(disk));
}

/// Asserts that a disk is refused before anything is shown.
#[track_caller]
fn refuse(disk: &Disk, why: &str) {
    let before = disk.digest();
    let run = erase(disk);
    assert_refused(&run, disk, &before, why);
    assert_eq!(run.out, "");
}

#[test]
fn a_mounted_partition() {
    let (disk, dir) = (used_disk(), tempfile::tempdir().unwrap());
    let mounted = Mounted::new("ro", &disk.part(1), &dir.path().join("point"));
    refuse(&disk, &format!("{} is mounted at {}", disk.part(1), mounted.path().display()));
    drop(mounted);
    assert_free(&disk);
}

#[test]
fn a_mounted_disk() {
    let (disk, dir) = (Disk::new(300), tempfile::tempdir().unwrap());
    must(&["mkfs.xfs", "-q", disk.path()]);
    let mounted = Mounted::new("ro", disk.path(), &dir.path().join("point"));
    refuse(&disk, &format!("{} is mounted at {}", disk.path(), mounted.path().display()));
}

#[test]
fn a_partition_that_is_mounted_out_of_sight() {
    let (disk, dir) = (used_disk(), tempfile::tempdir().unwrap());
    let ready = dir.path().join("ready");
    let script = format!(
        "mount -r {0} {1} && touch {2} && exec sleep 600",
        disk.part(1),
        dir.path().join("p").display(),
        ready.display()
    );
    fs::create_dir(dir.path().join("p")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-c", &script]).stdin(Stdio::null());
    let _running = Killed(command.spawn().unwrap());
    assert!(wait_until(|| ready.exists()));
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&disk.part(1)));
    refuse(&disk, &format!("{} is mounted at {}", disk.part(1), dir.path().join("p").display()));
}

/// Swap space in use.
struct Swap<'a>(&'a str);

impl Drop for Swap<'_> {
    fn drop(&mut self) {
        tool(&["swapoff", self.0]);
    }
}

#[test]
fn a_partition_that_is_swapped_to() {
    let disk = used_disk();
    let device = disk.part(2);
    must(&["mkswap", "-q", &device]);
    must(&["swapon", &device]);
    let _swap = Swap(&device);
    refuse(&disk, &format!("{device} is in use as swap"));
}

#[test]
fn a_disk_of_a_btrfs_that_is_mounted_by_another_disks_name() {
    let (one, two) = (Disk::new(200), Disk::new(200));
    must(&["mkfs.btrfs", "-q", one.path(), two.path()]);
    must(&["btrfs", "device", "scan", one.path(), two.path()]);
    let dir = tempfile::tempdir().unwrap();
    let _mounted = Mounted::new("ro", one.path(), &dir.path().join("point"));
    let before = two.digest();
    let run = erase(&two);
    // By whichever name the kernel shows the mount.
    let path = two.path();
    let belongs = format!("{path} belongs to a btrfs that is mounted");
    let mounted = format!("{path} is mounted at {}", dir.path().join("point").display());
    let why = if run.err.contains(&belongs) { belongs } else { mounted };
    assert_refused(&run, &two, &before, &why);
}

#[test]
fn a_disk_that_another_loop_device_shows() {
    let disk = used_disk();
    let other = Loop(attach(&["-r"], Path::new(&disk.part(2))));
    refuse(&disk, &format!("the loop device {} shows it", other.0.display()));
    drop(other);
    let other = Loop(attach(&["-r"], Path::new(&disk.image())));
    refuse(&disk, &format!("{} shows the same file", other.0.display()));
    drop(other);
    let shown = Loop(attach(&[], &disk.device));
    let before = disk.digest();
    let system = small_system();
    let run = prepare(&shown.0, system.path(), &["--erase", disk.path()]);
    assert_eq!(run.code, 99, "{run}");
    let device = shown.0.display();
    let why = "it is a loop device that shows another device: name that one. Nothing was written to it.\n";
    assert_eq!(run.err, format!("counterpart: {device} is refused: {why}"));
    assert_eq!(disk.digest(), before);
}

#[test]
fn a_disk_that_a_program_claims_locks_or_has_a_partition_of_open() {
    let disk = used_disk();
    let claimed = fs::File::options().read(true).custom_flags(nix::libc::O_EXCL).open(&disk.device).unwrap();
    let in_use = "it is in use: the kernel does not give it away (RAID, LVM, ZFS, a mount that cannot be seen from \
                  here, or another program)";
    refuse(&disk, in_use);
    drop(claimed);
    let partition =
        fs::File::options().read(true).custom_flags(nix::libc::O_EXCL).open(disk.part(2)).unwrap();
    refuse(&disk, in_use);
    drop(partition);

    let locked = Flock::lock(fs::File::open(&disk.device).unwrap(), FlockArg::LockShared).unwrap();
    refuse(&disk, "another program has locked it");
    drop(locked);

    let open = fs::File::open(disk.part(2)).unwrap();
    let before = disk.digest();
    let run = erase(&disk);
    assert_eq!(run.code, 99, "{run}");
    assert!(run.err.contains(" is refused: its old partition 2 cannot be given up: partx failed"), "{run}");
    assert!(run.err.ends_with(". Nothing was written to it.\n"), "{run}");
    assert_eq!(disk.digest(), before);
    drop(open);
    assert!(Path::new(&disk.part(1)).exists(), "the kernel knows the old partitions again");
    assert_free(&disk);
}

#[test]
fn a_disk_that_cannot_be_written() {
    let disk = Disk::new(300);
    must(&["blockdev", "--setro", disk.path()]);
    refuse(&disk, "it is read-only");
    must(&["blockdev", "--setrw", disk.path()]);
    assert_free(&disk);
}

#[test]
fn what_is_no_whole_disk() {
    let disk = used_disk();
    let before = disk.digest();
    let system = small_system();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "content").unwrap();
    let partition = format!("it is not a whole disk but a partition of {}", disk.path());
    let missing = dir.path().join("missing");
    for (path, why) in [
        (Path::new(&disk.part(1)), partition.as_str()),
        (&file, "it is not a block device"),
        (dir.path(), "it is not a block device"),
        (Path::new("/dev/null"), "it is not a block device"),
        (&missing, "No such file or directory"),
    ] {
        let run = prepare(path, system.path(), &["--erase", &disk.image()]);
        assert_eq!((run.code, run.out.as_str()), (99, ""), "{run}");
        let path = path.display();
        assert_eq!(run.err, format!("counterpart: {path} is refused: {why}. Nothing was written to it.\n"));
    }
    assert_eq!(disk.digest(), before);
    assert_eq!(fs::read(&file).unwrap(), b"content");
}

#[test]
fn the_running_systems_own_disk() {
    let number = fs::metadata("/").unwrap().dev();
    let dir = format!("/sys/dev/block/{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number));
    let Ok(dir) = fs::canonicalize(dir) else { return };
    let disk = if dir.join("partition").exists() { dir.parent().unwrap() } else { &dir };
    let device = Path::new("/dev").join(disk.file_name().unwrap());
    let system = small_system();
    // Without --erase, and with a system that fits: were the guard broken, the plan would still end here.
    let run = prepare(&device, system.path(), &[]);
    assert_eq!((run.code, run.out.as_str()), (99, ""), "{run}");
    let why = "it holds the running system, which is mounted at /. Nothing was written to it.\n";
    assert_eq!(run.err, format!("counterpart: {} is refused: {why}", device.display()));
}

#[test]
fn a_disk_that_is_too_small() {
    let system = LoopDisk::new("ext4", 400, &[], "");
    must(&["fallocate", "-l", "250M", system.path().join("file").to_str().unwrap()]);
    let disk = Disk::new(300);
    let before = disk.digest();
    let run = prepare(&disk.device, system.path(), &["--erase", &disk.image()]);
    let needed = run.err.split(" needs ").nth(1).and_then(|rest| rest.split(". ").next()).unwrap_or_default();
    let like = system.path().display();
    let why =
        format!("it is too small: it has 300.00 MiB, and what {like} uses and a tenth more needs {needed}");
    assert_refused(&run, &disk, &before, &why);
    assert_eq!(run.out, "");
    let needed: f64 = needed.strip_suffix(" MiB").unwrap().parse().unwrap();
    assert!((370.0..450.0).contains(&needed), "{run}");
}

#[test]
fn a_disk_with_too_many_partitions_for_an_mbr() {
    let system = small_system();
    let disks: Vec<LoopDisk> = (0..4).map(|_| LoopDisk::new("ext4", 16, &[], "")).collect();
    let points = ["a", "b", "c", "d"];
    let mounted: Vec<_> = disks
        .iter()
        .zip(points)
        .map(|(disk, point)| crate::prepare::scene::inside(system.path(), point, disk))
        .collect();
    let lines: Vec<String> =
        points.iter().map(|point| format!("UUID={point} /{point} ext4 x 0 0\n")).collect();
    crate::prepare::scene::fstab(system.path(), &lines.concat());
    let disk = Disk::new(900);
    let before = disk.digest();
    let run = prepare(&disk.device, system.path(), &["--table", "mbr", "--erase", &disk.image()]);
    let why = "5 partitions are needed, and an MBR has four; use --table gpt";
    assert_refused(&run, &disk, &before, why);
    drop(mounted);
}
