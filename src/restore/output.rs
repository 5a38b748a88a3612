//! What is printed.

use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::Path;

/// A closed output must not make what was restored look like a failure.
pub fn say(sentence: impl Display) {
    let _ = writeln!(io::stdout(), "{sentence}");
}

/// The refusal of what cannot be read.
pub fn unreadable(path: &Path, error: &io::Error) -> Refusal {
    Refusal(
        ExitCode::DESTINATION,
        format!("{} cannot be read: {}.", display::path(path), display::reason(error)),
    )
}
