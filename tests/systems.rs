//! Systems and rsyncs that this machine does not have: Macs with fake tools, other rsyncs with real and fake ones.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod attributes;
mod boundaries;
mod descriptors;
mod fakes;
mod in_place;
mod limits;
mod macos;
mod rights;
mod search;
mod streaming;
pub mod terminal;
mod tuning;
mod versions;
