//! Source and destination as rsync sees them: exactly the directories that were checked, without anything mounted on
//! them. Needs root.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod boundaries;
mod chroot;
mod mounts;
mod neighbours;
mod scene;
mod unmounted;
mod without;
