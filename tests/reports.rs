//! What a run leaves for those who look at it: the record, the metrics, the pings, and what scripts are told.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/disk.rs"]
mod disk;
#[path = "cli/fakes.rs"]
#[allow(dead_code, reason = "each test crate uses a part")]
mod fakes;
#[path = "cli/nobody.rs"]
#[allow(dead_code, reason = "each test crate uses a part")]
mod nobody;
#[path = "support/sandbox.rs"]
mod sandbox;

#[path = "reports/metrics.rs"]
mod metrics;
#[path = "reports/missing.rs"]
mod missing;
#[path = "reports/pings.rs"]
mod pings;
#[path = "reports/record.rs"]
mod record;
#[path = "reports/scripts.rs"]
mod scripts;
#[path = "reports/server.rs"]
mod server;
#[path = "reports/tls.rs"]
mod tls;
