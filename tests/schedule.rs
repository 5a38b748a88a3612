//! `counterpart schedule`, on fake schedulers that check their input, and on a system that is really booted.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod booted;
mod checks;
mod documents;
mod linux;
mod mac;
pub mod machine;
