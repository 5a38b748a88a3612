//! What is detected before anything is written: the survey, a source that has shrunk, a clone that cannot fit. Needs
//! root.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod capacity;
mod census;
mod encrypted;
mod room;
mod shrunken;
mod swap;
