//! Why a password cannot be stored or found.

/// Why the store failed; whole sentences without a full stop.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);
