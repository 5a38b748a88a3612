//! What a clone deletes or overwrites is kept and can be restored exactly: real rsyncs on real filesystems. Needs root.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod faults;
mod led_astray;
mod memory;
mod moved;
mod order;
mod restore;
mod room;
pub mod scene;
mod stock;
