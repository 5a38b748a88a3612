//! What a clone is worth after errors that rsync revises and after a power cut. Needs root.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod attempts;
mod power_cut;
mod second_look;
mod vanished;
