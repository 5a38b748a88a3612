//! The power fails during a clone: what the destination's device holds at that moment is mounted and checked.
//!
//! The device's image is on XFS, where a reflink copy is atomic and so captures exactly what the device held.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::audit::{Options, assert_same, audit};
use crate::support::disk::LoopDisk;
use crate::support::sandbox::{Finished, Sandbox, marks_of};
use crate::support::tree::{many_files, noise};

/// How often the power is cut in a run, at most.
const CUTS: usize = 10;

/// The device as it is at this moment.
fn cut(host: &LoopDisk, disk: &LoopDisk, number: usize) -> PathBuf {
    let copy = host.path().join(format!("cut-{number}"));
    let copied =
        Command::new("/usr/bin/cp").arg("--reflink=always").arg(disk.image()).arg(&copy).status().unwrap();
    assert!(copied.success());
    copy
}

/// Old files, of which many change, some go and many come: what a crash could mix up.
fn change(sandbox: &Sandbox) {
    many_files(&sandbox.source.join("new"), 600, 3000);
    for number in 0..40_u64 {
        // The same size as before: a file of the right size and time whose contents are lost would stay unnoticed.
        std::fs::write(sandbox.source.join(format!("old/{number}")), noise(1000 + number, 40_000)).unwrap();
    }
    std::fs::remove_dir_all(sandbox.source.join("gone")).unwrap();
}

fn power_fails_on(kind: &str, size_mib: u64) {
    let host = LoopDisk::new("xfs", 1200, &["-m", "reflink=1"], "");
    let disk = LoopDisk::inside(host.path(), kind, size_mib, &[], "");
    let mut sandbox = Sandbox::new();
    sandbox.destination = disk.path().into();
    for number in 0..40_u64 {
        sandbox.write(format!("old/{number}"), "");
        std::fs::write(sandbox.source.join(format!("old/{number}")), noise(number, 40_000)).unwrap();
    }
    many_files(&sandbox.source.join("gone"), 90, 3000);
    sandbox.clone(&[]).assert_code(0);
    let mut cuts = vec![(cut(&host, &disk, 0), true)];
    // A crash after the source has changed and before the next clone: what the first one made is all there.
    change(&sandbox);
    sandbox.rsync("case \" $* \" in *' --stats '*) exec /usr/bin/rsync --bwlimit=1000 \"$@\" ;; esac\nexec /usr/bin/rsync \"$@\"");
    let mut child = sandbox.start(&[]);
    while cuts.len() < CUTS && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(350));
        cuts.push((cut(&host, &disk, cuts.len()), false));
    }
    Finished::from(child.wait_with_output().unwrap()).assert_code(0);
    // Not a moment after its end: what it says must be true on the disk, and not in memory alone.
    let last = (cut(&host, &disk, cuts.len()), true);
    cuts.push(last);
    // A second device with the same identity cannot be mounted beside the first.
    drop(disk);
    assert!(cuts.len() > 4, "only {} cuts", cuts.len());
    let images = cuts.len();
    let mut unfinished = 0;
    for (at, (image, is_finished)) in cuts.into_iter().enumerate() {
        unfinished += usize::from(look_at(&mut sandbox, kind, &image, is_finished, at == 0));
        std::fs::remove_file(image).unwrap();
    }
    assert!(unfinished > 0, "none of {images} cuts on {kind} fell into the run");
}

/// Whether the clone on this image was not finished.
fn look_at(
    sandbox: &mut Sandbox,
    kind: &str,
    image: &Path,
    is_finished: bool,
    is_of_old_source: bool,
) -> bool {
    // One that was unmounted may live on in the mount namespace of another test.
    let after = LoopDisk::of_image(kind, image, if kind == "xfs" { "nouuid" } else { "" });
    sandbox.destination = after.path().into();
    let markers = marks_of(after.path());
    let completed = markers.contains(&"completed".to_owned());
    let name = image.display();
    assert!(
        completed || !is_finished,
        "{kind}, {name}: a finished clone is not complete on the disk: {markers:?}"
    );
    let differences = audit(&sandbox.source, after.path(), &Options::default()).len();
    if completed && !is_of_old_source && differences > 0 {
        // Only the moment before the markers were made ready may show yesterday's completion.
        assert!(!is_finished && untouched(after.path()), "{kind}, {name}: it looks complete and is not");
    }
    let run = sandbox.clone(&[]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{kind}, {name}: {run}");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"], "{kind}, {name}: {run}");
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    !completed
}

/// The second run has not changed anything yet.
fn untouched(clone: &Path) -> bool {
    !clone.join("new").exists() && clone.join("gone").exists()
}

#[test]
fn power_cuts_on_ext4_are_mended() {
    power_fails_on("ext4", 100);
}

#[test]
fn power_cuts_on_xfs_are_mended() {
    power_fails_on("xfs", 300);
}

#[test]
fn power_cuts_on_btrfs_are_mended() {
    power_fails_on("btrfs", 200);
}
