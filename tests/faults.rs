//! What goes wrong in the middle: real filesystems that fill up, break or go away, signals, kills and rivals. Needs root.
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

#[path = "faults/destination.rs"]
mod destination;
#[path = "faults/faulty.rs"]
mod faulty;
#[path = "faults/fidelity.rs"]
mod fidelity;
#[path = "faults/kills.rs"]
mod kills;
#[path = "faults/lock.rs"]
mod lock;
#[path = "faults/planted.rs"]
mod planted;
#[path = "faults/scene.rs"]
mod scene;
#[path = "faults/signals.rs"]
mod signals;
#[path = "faults/source.rs"]
mod source;
