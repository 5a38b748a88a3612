//! The door to the filesystem: what others could exchange is reached by a held descriptor, not by its name a second time.

pub mod attributes;
pub mod dir;
pub mod encryption;
pub mod fifo;
pub mod file_identity;
pub mod location;
pub mod lock;
pub mod peer;
pub mod resolve;
pub mod small_file;
pub mod trust;
pub mod trusted;
