//! Why a password cannot be kept or found.

/// Why the store could not do it; whole sentences without a full stop.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);
