//! The account that QEMU runs as: one that nobody else has.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::{Uid, User};

/// The user IDs that systemd, too, gives to services without an account of their own.
const RANGE: std::ops::RangeInclusive<u32> = 61_184..=65_519;

/// The device that lets QEMU use the processor itself.
pub const KVM: &str = "/dev/kvm";

/// A user ID that no account has and no process uses.
pub fn free() -> io::Result<u32> {
    let used: Vec<u32> = std::fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.metadata().ok().map(|metadata| metadata.uid()))
        .collect();
    let random = u32::from_str_radix(&crate::fs::dir::random_hex(4)?, 16).map_err(io::Error::other)?;
    let size = RANGE.end() - RANGE.start() + 1;
    for step in 0..size {
        let uid = RANGE.start() + random.wrapping_add(step) % size;
        if !used.contains(&uid) && User::from_uid(Uid::from_raw(uid))?.is_none() {
            return Ok(uid);
        }
    }
    Err(io::Error::other("every user ID that a service may have is in use"))
}

/// Whether a user ID is one that [`free`] may have returned.
#[must_use]
pub fn is_ours(uid: u32) -> bool {
    RANGE.contains(&uid)
}

/// The group that may use KVM, if there is KVM and not everybody may.
#[must_use]
pub fn kvm_group() -> Option<u32> {
    let metadata = Path::new(KVM).metadata().ok()?;
    (metadata.mode() & 0o006 != 0o006 && metadata.mode() & 0o060 == 0o060).then(|| metadata.gid())
}
