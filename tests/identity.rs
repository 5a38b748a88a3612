//! Whether the destination is the same one as before: real disks on loop devices, swapped, unmounted and copied.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod scene;

mod dirs;
mod disks;
mod id_file;
mod macos;
mod overlaps;
mod sources;
mod spellings;
mod state;
