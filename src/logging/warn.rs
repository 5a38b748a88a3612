//! Warnings for the administrator.

use std::fmt::Display;

/// Logs something that needs the administrator's attention but does not stop the run.
pub fn warning(message: impl Display) {
    log::warn!("Warning: {message}");
}
