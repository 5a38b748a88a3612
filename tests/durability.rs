//! What a clone is worth after rsync's second thoughts and after a power cut. Needs root.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/audit.rs"]
mod audit;
#[path = "support/disk.rs"]
mod disk;
#[path = "support/sandbox.rs"]
mod sandbox;
#[path = "support/tree.rs"]
mod tree;

#[path = "durability/attempts.rs"]
mod attempts;
#[path = "durability/power_cut.rs"]
mod power_cut;
#[path = "durability/second_look.rs"]
mod second_look;
#[path = "durability/vanished.rs"]
mod vanished;
