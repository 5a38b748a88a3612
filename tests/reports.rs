//! How a run is reported: the record, the metrics, the pings, and the variables of scripts.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod changes;
mod metrics;
mod missing;
mod ping_file;
mod pings;
mod record;
mod scripts;
pub mod server;
mod tls;
