//! Systems and rsyncs that this machine is not or has not: Macs by fake tools, other rsyncs by real and by fake ones.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/audit.rs"]
mod audit;
#[path = "support/disk.rs"]
mod disk;
#[path = "support/other_rsyncs.rs"]
mod other_rsyncs;
#[path = "support/sandbox.rs"]
mod sandbox;
#[path = "support/tree.rs"]
mod tree;

#[path = "systems/attributes.rs"]
mod attributes;
#[path = "systems/boundaries.rs"]
mod boundaries;
#[path = "systems/descriptors.rs"]
mod descriptors;
#[path = "systems/fakes.rs"]
mod fakes;
#[path = "systems/limits.rs"]
mod limits;
#[path = "systems/macos.rs"]
mod macos;
#[path = "systems/rights.rs"]
mod rights;
#[path = "systems/search.rs"]
mod search;
#[path = "systems/streaming.rs"]
mod streaming;
#[path = "systems/versions.rs"]
mod versions;
