//! `--snapshot`: whether the source stands still while it is cloned.

/// Whether a clone is made from a snapshot of its source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Frozen {
    /// Where one can be taken, if the source is a system's root.
    #[default]
    Auto,
    /// Always: otherwise there is no clone.
    Require,
    /// Never.
    Never,
}
