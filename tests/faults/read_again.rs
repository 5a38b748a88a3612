//! A clone whose disk loses what was written to it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use crate::support::disk::{LoopDisk, drop_caches};
use crate::support::evidence::Evidence;
use crate::support::faulty::FaultyFuse;
use crate::support::sandbox::{Finished, Sandbox, wait_until};

/// What stands in the file that rots, and nowhere else.
const CONTENTS: &[u8] = b"the only copy of these words on the whole disk";

/// A complete clone on a disk that then changes one byte of one file.
fn rotten(more: &[&str]) -> (Sandbox, LoopDisk) {
    let disk = LoopDisk::new("ext4", 32, &[], "");
    let mut sandbox = Sandbox::new();
    disk.path().clone_into(&mut sandbox.destination);
    sandbox.write("sound", "sound");
    fs::write(sandbox.source.join("rotten"), CONTENTS).unwrap();
    // What was changed in the second in which the clone began would be called changed since.
    let begun = std::time::SystemTime::now();
    assert!(wait_until(|| begun.elapsed().is_ok_and(|passed| passed.as_millis() > 1100)));
    sandbox.clone(more).assert_code(0);
    disk.unmount();
    let image = File::options().read(true).write(true).open(disk.image()).unwrap();
    let bytes = fs::read(disk.image()).unwrap();
    let at = bytes.windows(CONTENTS.len()).position(|window| window == CONTENTS).unwrap();
    image.write_all_at(b"T", u64::try_from(at).unwrap()).unwrap();
    disk.mount_again();
    (sandbox, disk)
}

fn verify(sandbox: &Sandbox, more: &[&str]) -> Finished {
    sandbox.run(["verify", "-d", sandbox.destination.to_str().unwrap()].iter().chain(more))
}

pub fn a_copy_that_rots_is_found_at_night(evidence: &mut Evidence) {
    let (sandbox, _disk) = rotten(&[]);
    evidence.watch(&sandbox);
    let run = sandbox.clone(&["--verify-daily=100%"]);
    evidence.verify(&sandbox, &run);
    assert_eq!(verify(&sandbox, &["--repair"]).code, 83);
    evidence.repair(&sandbox);
}

pub fn a_copy_that_rots_is_repaired(evidence: &mut Evidence) {
    let (sandbox, _disk) = rotten(&[]);
    evidence.watch(&sandbox);
    let run = verify(&sandbox, &["--repair"]);
    evidence.verify_code(&sandbox, run.code, &run);
    evidence.verify_loss(&sandbox);
    evidence.repair(&sandbox);
}

pub fn a_copy_that_rots_is_found_when_the_machine_has_died(evidence: &mut Evidence) {
    let (sandbox, _disk) = rotten(&["--hashes=both"]);
    let state = sandbox.host().join("state");
    let kept = sandbox.host().join("kept");
    fs::rename(&state, &kept).unwrap();
    evidence.watch(&sandbox);
    let run = verify(&sandbox, &["--alone"]);
    evidence.verify_code(&sandbox, run.code, &run);
    evidence.verify_loss(&sandbox);
    // The machine is back.
    fs::rename(&kept, &state).unwrap();
    assert_eq!(verify(&sandbox, &["--repair"]).code, 83);
    evidence.repair(&sandbox);
}

pub fn a_copy_that_cannot_be_read_back_is_75(evidence: &mut Evidence) {
    let fuse = FaultyFuse::new();
    fuse.tell("owners *");
    let mut sandbox = Sandbox::new();
    sandbox.destination = fuse.path();
    sandbox.write("sound", "sound");
    sandbox.write("lost", "lost");
    sandbox.clone(&[]).assert_code(0);
    drop_caches();
    fuse.tell("owners *\nfail /lost");
    evidence.watch_at(&sandbox.source, &fuse.backing());
    let run = sandbox.clone(&["--hashes=both"]);
    run.assert_log("Warning: damaged: lost: it cannot be read: Input/output error, at offset 0.\n");
    // It is as little forgotten by the hashes.
    drop_caches();
    let alone = verify(&sandbox, &["--alone"]);
    assert!(alone.code == 75 && alone.out.starts_with("Damaged: lost: it cannot be read: "), "{alone}");
    fuse.tell("owners *");
    evidence.verify(&sandbox, &run);
    evidence.repair(&sandbox);
}
