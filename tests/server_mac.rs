//! The server backup of macOS on a fake Mac, whose tools check their input as the real ones do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod backup;
mod failures;
mod keychain;
mod mac;
mod secrets;
mod versions;
