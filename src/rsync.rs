//! What is known about rsync: pure functions from what it prints to what it means, and from choices to arguments.

pub mod arguments;
pub mod capabilities;
pub mod diagnostics;
pub mod exit_status;
pub mod filter;
pub mod itemized;
pub mod names;
pub mod progress;
pub mod statistics;
pub mod version;
