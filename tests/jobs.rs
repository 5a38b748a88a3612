//! Jobs in files: what is read, what is refused, and what is run.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod init;
mod options;
pub mod scene;
mod several;
mod signals;
mod trust;
mod wrong;

mod documents;
mod monitored;
mod scheduled;
