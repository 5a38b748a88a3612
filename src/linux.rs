//! What is particular to Linux: pure functions, compiled and tested everywhere.

pub mod activity;
pub mod blocked;
pub mod exclusions;
pub mod fstab;
pub mod line_starts;
pub mod locks;
pub mod mounts;
pub mod mysql;
pub mod names;
pub mod openldap;
pub mod postgres;
pub mod processes;
pub mod sockets;
pub mod swaps;
pub mod systemd;
