//! What is found out before anything is written: the census, a source that has shrunk, a clone that cannot fit. Needs
//! root.
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

#[path = "faults/faulty.rs"]
mod faulty;
#[path = "faults/scene.rs"]
#[allow(dead_code, reason = "this test crate uses a part")]
mod scene;

#[path = "guards/capacity.rs"]
mod capacity;
#[path = "guards/census.rs"]
mod census;
#[path = "guards/encrypted.rs"]
mod encrypted;
#[path = "guards/room.rs"]
mod room;
#[path = "guards/shrunken.rs"]
mod shrunken;
#[path = "guards/swap.rs"]
mod swap;
