//! The doctor: what it reports, that a clone then behaves accordingly, and that it changes nothing.
//!
//! Each test moves its thread into a separate network namespace, so that no server of this machine is found.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod patient;

mod boot;
mod ends;
mod json;
mod machine;
mod macos;
mod over_time;
mod preparations;
mod readme;
mod room;
mod schedule;
mod servers;
mod unchanged;
mod versions;
