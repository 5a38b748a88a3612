//! The server backup of a Linux server, with real servers on sockets of their own.
//!
//! Each test moves its thread into a network namespace of its own, and everything that it starts with it: so the
//! product finds this test's servers and no other's.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod attacks;
mod faults;
mod memory;
mod mysql;
mod openldap;
mod password;
mod postgres;
mod servers;
mod trusted;
