//! `--snapshot`: a source on btrfs or LVM that stands still while it is cloned. Needs root.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod database;
mod frozen;
mod left;
mod lvm;
mod refused;
mod scene;
