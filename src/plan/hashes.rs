//! `--hashes`: where the hashes of a clone's files are kept.

/// Where they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// With this machine's state.
    Here,
    /// There, and at the destination's root, for the day when this machine has died.
    Both,
}
