//! Drives the built binary with the real rsync on real files; one file a phase or contract below `cli/`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/audit.rs"]
mod audit;
#[path = "support/disk.rs"]
mod disk;
#[path = "support/sandbox.rs"]
mod sandbox;
#[path = "support/tree.rs"]
mod tree;

#[path = "cli/fakes.rs"]
mod fakes;
#[path = "cli/mounted.rs"]
mod mounted;

#[path = "cli/adoption.rs"]
mod adoption;
#[path = "cli/clone.rs"]
mod clone;
#[path = "cli/destination_inside.rs"]
mod destination_inside;
#[path = "cli/endpoints.rs"]
mod endpoints;
#[path = "cli/exclusions.rs"]
mod exclusions;
#[path = "cli/lying_rsync.rs"]
mod lying_rsync;
#[path = "cli/scripts.rs"]
mod scripts;
