//! What the administrator should look at.

use std::fmt::Display;

/// Logs something that the administrator should look at, though the run goes on.
pub fn warning(message: impl Display) {
    log::warn!("Warning: {message}");
}
