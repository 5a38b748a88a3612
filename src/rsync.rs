//! What is known about rsync: pure functions that parse its output and build its arguments.

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
