//! Source and destination as rsync sees them: exactly the directories that were checked, with nothing mounted on top. Needs
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

#[path = "view/boundaries.rs"]
mod boundaries;
#[path = "view/mounts.rs"]
mod mounts;
#[path = "view/neighbours.rs"]
mod neighbours;
#[path = "view/scene.rs"]
mod scene;
#[path = "view/unmounted.rs"]
mod unmounted;
#[path = "view/without.rs"]
mod without;
