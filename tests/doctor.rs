//! The doctor: what it tells, that it tells what a clone then does, and that it changes nothing.
//!
//! Each test moves its thread into a network namespace of its own, so that no server of this machine is found.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/audit.rs"]
mod audit;
#[path = "support/disk.rs"]
mod disk;
#[path = "support/sandbox.rs"]
mod sandbox;
#[path = "support/tree.rs"]
mod tree;

#[path = "cli/mounted.rs"]
mod mounted;
#[path = "cli/nobody.rs"]
mod nobody;

#[path = "doctor/patient.rs"]
mod patient;

#[path = "doctor/boot.rs"]
mod boot;
#[path = "doctor/ends.rs"]
mod ends;
#[path = "doctor/json.rs"]
mod json;
#[path = "doctor/machine.rs"]
mod machine;
#[path = "doctor/macos.rs"]
mod macos;
#[path = "doctor/preparations.rs"]
mod preparations;
#[path = "doctor/readme.rs"]
mod readme;
#[path = "doctor/room.rs"]
mod room;
#[path = "doctor/schedule.rs"]
mod schedule;
#[path = "doctor/servers.rs"]
mod servers;
#[path = "doctor/unchanged.rs"]
mod unchanged;
#[path = "doctor/versions.rs"]
mod versions;
