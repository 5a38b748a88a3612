//! Whether the destination is the one it was: real disks on loop devices that are swapped, unmounted and copied.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/audit.rs"]
mod audit;
#[path = "support/disk.rs"]
mod disk;
#[path = "support/sandbox.rs"]
mod sandbox;
#[path = "support/tree.rs"]
mod tree;

#[path = "cli/mounted.rs"]
mod mounted;
#[path = "cli/nobody.rs"]
mod nobody;

#[path = "identity/scene.rs"]
mod scene;

#[path = "identity/dirs.rs"]
mod dirs;
#[path = "identity/disks.rs"]
mod disks;
#[path = "identity/id_file.rs"]
mod id_file;
#[path = "identity/macos.rs"]
mod macos;
#[path = "identity/overlaps.rs"]
mod overlaps;
#[path = "identity/sources.rs"]
mod sources;
#[path = "identity/spellings.rs"]
mod spellings;
#[path = "identity/state.rs"]
mod state;
