//! `counterpart schedule`, on fake schedulers that check what they are told, and in a system that is really booted.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/audit.rs"]
mod audit;
#[path = "support/disk.rs"]
mod disk;
#[path = "cli/nobody.rs"]
#[allow(dead_code, reason = "shared with another test crate")]
mod nobody;
#[path = "support/sandbox.rs"]
mod sandbox;
#[path = "support/tree.rs"]
mod tree;

#[path = "schedule/booted.rs"]
mod booted;
#[path = "schedule/checks.rs"]
mod checks;
#[path = "schedule/documents.rs"]
mod documents;
#[path = "schedule/linux.rs"]
mod linux;
#[path = "schedule/mac.rs"]
mod mac;
#[path = "schedule/machine.rs"]
mod machine;
