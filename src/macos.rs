//! Everything specific to macOS: pure functions, compiled and tested everywhere.

pub mod disks;
pub mod exclusions;
pub mod keychain;
pub mod launchd;
pub mod ownership;
pub mod property_list;
