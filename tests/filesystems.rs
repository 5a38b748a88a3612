//! `--filesystems`: several filesystems of the source, mounted below each other, in one clone. Needs root.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod choice;
mod guards;
mod scene;
mod subvolumes;
mod whole;
