//! Everything specific to Linux: pure functions, compiled and tested everywhere.

pub mod activity;
pub mod blkid;
pub mod blocked;
pub mod bootable;
pub mod exclusions;
pub mod fstab;
pub mod locks;
pub mod mounts;
pub mod names;
pub mod processes;
pub mod sockets;
pub mod swaps;
pub mod systemd;
