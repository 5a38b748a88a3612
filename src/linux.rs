//! What is particular to Linux: pure functions, compiled and tested everywhere.

pub mod blocked;
pub mod exclusions;
pub mod mounts;
