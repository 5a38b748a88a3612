//! The server backup of a Linux server, with real servers on their own sockets.
//!
//! Each test moves its thread, and everything it starts, into a separate network namespace, so that the product finds
//! only this test's servers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod attacks;
mod faults;
mod memory;
mod mysql;
mod openldap;
mod password;
mod postgres;
pub mod servers;
mod trusted;
