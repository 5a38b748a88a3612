//! How old a success may be.

/// How old the last success may be, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Older than this is a warning.
    pub warning: i64,
    /// Older than this is critical.
    pub critical: i64,
}
