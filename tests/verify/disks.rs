//! A disk that has lost what was written to it: the damage is below the filesystem, which knows nothing of it.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::support::disk::LoopDisk;
use crate::support::sandbox::Sandbox;
use crate::support::tree::{assert_unchanged, noise, snapshot_with_ctime};
use crate::verify::scene::{assert_damages, cloned, verify};

/// A disk's blocks, in bytes.
const BLOCK: usize = 4096;

fn scene() -> (LoopDisk, Sandbox) {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let mut sandbox = Sandbox::new();
    for (name, seed) in [("flipped", 1), ("zeroed", 2), ("whole", 3)] {
        fs::write(sandbox.source.join(name), noise(seed, 50 * BLOCK)).unwrap();
    }
    sandbox.destination = disk.path().into();
    cloned(&sandbox, &[]);
    (disk, sandbox)
}

/// Where a block of a file stands in the image of its disk.
fn place(image: &Path, contents: &[u8], block: usize) -> u64 {
    let wanted = &contents[block * BLOCK..(block + 1) * BLOCK];
    let disk = fs::read(image).unwrap();
    let found: Vec<usize> =
        disk.chunks(BLOCK).enumerate().filter(|(_, block)| *block == wanted).map(|(at, _)| at).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    (found[0] * BLOCK) as u64
}

#[test]
fn what_the_disk_has_lost_is_found_although_memory_has_it() {
    let (disk, sandbox) = scene();
    let image = fs::File::options().write(true).open(disk.image()).unwrap();
    // It is in memory before and after.
    let read = |name: &str| fs::read(disk.path().join(name)).unwrap();
    let (flipped, zeroed) = (read("flipped"), read("zeroed"));
    let at = place(&disk.image(), &flipped, 30);
    image.write_all_at(&[flipped[30 * BLOCK + 17] ^ 0x10], at + 17).unwrap();
    let at = place(&disk.image(), &zeroed, 7);
    image.write_all_at(&[0; BLOCK], at).unwrap();
    assert!(read("flipped") == flipped && read("zeroed") == zeroed);
    let document = assert_damages(&sandbox, &[("flipped", &["contents"]), ("zeroed", &["contents"])]);
    let number = |at: usize, name: &str| document["damages"][at][name].as_u64().unwrap();
    assert_eq!((number(0, "offset"), number(0, "bytes")), ((30 * BLOCK + 17) as u64, 1), "{document:#}");
    let range = (7 * BLOCK) as u64..(7 * BLOCK + 8) as u64;
    assert!(range.contains(&number(1, "offset")) && number(1, "bytes") > 4000, "{document:#}");
}

#[test]
fn a_clone_that_is_mounted_read_only_is_verified_and_left_as_it_is() {
    let (disk, sandbox) = scene();
    disk.remount_read_only();
    let before = (snapshot_with_ctime(&sandbox.source), snapshot_with_ctime(disk.path()));
    assert_damages(&sandbox, &[]);
    assert_unchanged(&before.0, &snapshot_with_ctime(&sandbox.source));
    assert_unchanged(&before.1, &snapshot_with_ctime(disk.path()));
    disk.remount_writable();
    fs::write(disk.path().join("whole"), "no more").unwrap();
    let before = (snapshot_with_ctime(&sandbox.source), snapshot_with_ctime(disk.path()));
    assert_eq!(verify(&sandbox, &[]).code, 75);
    assert_unchanged(&before.0, &snapshot_with_ctime(&sandbox.source));
    assert_unchanged(&before.1, &snapshot_with_ctime(disk.path()));
}

#[test]
fn access_times_stay_where_files_are_read() {
    use std::os::unix::fs::MetadataExt as _;
    let (_disk, sandbox) = scene();
    let times = || {
        let time = |root: &Path| {
            let found = fs::metadata(root.join("whole")).unwrap();
            (found.atime(), found.atime_nsec())
        };
        (time(&sandbox.source), time(&sandbox.destination))
    };
    let before = times();
    assert_damages(&sandbox, &[]);
    assert_eq!(times(), before);
}
