//! The server backup of macOS on a fake Mac, whose tools check what they are told as the real ones do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/sandbox.rs"]
mod sandbox;

#[path = "server_mac/backup.rs"]
mod backup;
#[path = "server_mac/failures.rs"]
mod failures;
#[path = "server_mac/keychain.rs"]
mod keychain;
#[path = "server_mac/mac.rs"]
mod mac;
#[path = "server_mac/secrets.rs"]
mod secrets;
#[path = "server_mac/versions.rs"]
mod versions;
