//! The files that say where a system finds its filesystems, rewritten so that a clone finds its own.
//!
//! Every function takes the source's file and makes the clone's from it. What is not understood is an error, not a guess: a
//! clone that starts from the source's disk without a word is worse than one that does not start.

pub mod crypttab;
pub mod fstab;
pub mod grub_defaults;
pub mod kernel_line;
pub mod layout;
pub mod loader_entries;
pub mod mount_options;
pub mod resume;
mod text;

/// What cannot be rewritten without guessing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unresolved(pub String);
