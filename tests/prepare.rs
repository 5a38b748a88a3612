//! `counterpart prepare`, on loop devices.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod confirmation;
mod encrypted;
mod failures;
mod layout;
mod refusals;
mod scene;
