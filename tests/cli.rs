//! Drives the built binary with the real rsync on real files; one file a phase or contract below `cli/`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/audit.rs"]
mod audit;
#[path = "support/clock.rs"]
mod clock;
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
#[path = "cli/nobody.rs"]
mod nobody;

#[path = "cli/adoption.rs"]
mod adoption;
#[path = "cli/awake.rs"]
mod awake;
#[path = "cli/clone.rs"]
mod clone;
#[path = "cli/destination_inside.rs"]
mod destination_inside;
#[path = "cli/endpoints.rs"]
mod endpoints;
#[path = "cli/exclusions.rs"]
mod exclusions;
#[path = "cli/keep_logs.rs"]
mod keep_logs;
#[path = "cli/log.rs"]
mod log;
#[path = "cli/lying_rsync.rs"]
mod lying_rsync;
#[path = "cli/markers.rs"]
mod markers;
#[path = "cli/names.rs"]
mod names;
#[path = "cli/outputs.rs"]
mod outputs;
#[path = "cli/planted_paths.rs"]
mod planted_paths;
#[path = "cli/privacy.rs"]
mod privacy;
#[path = "cli/scripts.rs"]
mod scripts;
#[path = "cli/state.rs"]
mod state;
#[path = "cli/test_run.rs"]
mod test_run;
#[path = "cli/usage.rs"]
mod usage;
#[path = "cli/without_root.rs"]
mod without_root;
