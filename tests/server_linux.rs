//! The server backup of a Linux server, with real servers on sockets of their own.
//!
//! Each test moves its thread into a network namespace of its own, and everything that it starts with it: so the
//! product finds this test's servers and no other's.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/sandbox.rs"]
mod sandbox;

#[path = "server_linux/attacks.rs"]
mod attacks;
#[path = "server_linux/faults.rs"]
mod faults;
#[path = "server_linux/memory.rs"]
mod memory;
#[path = "server_linux/mysql.rs"]
mod mysql;
#[path = "server_linux/openldap.rs"]
mod openldap;
#[path = "server_linux/password.rs"]
mod password;
#[path = "server_linux/postgres.rs"]
mod postgres;
#[path = "server_linux/servers.rs"]
mod servers;
#[path = "server_linux/trusted.rs"]
mod trusted;
