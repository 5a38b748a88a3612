//! `counterpart check`: tested alone, by its output and exit codes, and through the monitoring systems that run it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod hostile;
mod memory;
mod monitors;
mod rules;
mod runs;
pub mod scene;
mod usage;
