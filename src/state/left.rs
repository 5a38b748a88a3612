//! What a run makes outside the destination and removes at its end, so that a later run finds what it has left.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::display;

/// A snapshot of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The UUID of its filesystem.
    pub filesystem: String,
    /// Its name there.
    pub name: String,
    /// The volume group that it is in; `None` if the filesystem itself has it.
    #[serde(default)]
    pub group: Option<String>,
}

impl Left {
    /// Its name, escaped.
    #[must_use]
    pub fn shown(&self) -> impl fmt::Display + '_ {
        display::line(self.name.as_bytes())
    }
}
