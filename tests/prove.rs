//! `counterpart prove` with a QEMU that only pretends. `boot` has the real one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod after_clone;
mod refusals;
mod reports;
mod scene;
