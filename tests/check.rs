//! `counterpart check`: checked by itself, by its streams and codes, and by the monitoring systems that run it.
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

#[path = "check/judgement.rs"]
mod ending;
#[path = "check/hostile.rs"]
mod hostile;
#[path = "check/memory.rs"]
mod memory;
#[path = "check/monitors.rs"]
mod monitors;
#[path = "check/runs.rs"]
mod runs;
#[path = "check/scene.rs"]
mod scene;
#[path = "check/usage.rs"]
mod usage;
