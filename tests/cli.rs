//! Runs the built binary with the real rsync on real files; one file per phase or contract below `cli/`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod adoption;
mod awake;
mod clone;
mod destination_inside;
mod endpoints;
mod exclusions;
mod keep_logs;
mod log;
mod lying_rsync;
mod markers;
mod names;
mod outputs;
mod planted_paths;
mod privacy;
mod scripts;
mod state;
mod tags;
mod test_run;
mod usage;
mod without_root;
