//! The two sides of a walk: what is cloned, and what becomes the clone.

/// One of the two trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The tree that is cloned.
    Source,
    /// The tree that becomes the clone.
    Destination,
}

/// Something of each side, where the side has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sides<T> {
    /// The source's.
    pub source: Option<T>,
    /// The destination's.
    pub destination: Option<T>,
}

impl<T> Sides<T> {
    /// The source's alone.
    pub fn source(source: T) -> Self {
        Self { source: Some(source), destination: None }
    }

    /// That of both sides.
    pub fn both(source: T, destination: T) -> Self {
        Self { source: Some(source), destination: Some(destination) }
    }

    /// References to both.
    #[must_use]
    pub fn as_ref(&self) -> Sides<&T> {
        Sides { source: self.source.as_ref(), destination: self.destination.as_ref() }
    }
}
