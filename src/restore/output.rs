//! Output of `restore`.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::Path;

use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;

/// A closed output must not make a restore look like a failure.
pub fn say(sentence: impl Display) {
    let _ = writeln!(io::stdout(), "{sentence}");
}

/// A refusal because something cannot be read.
pub fn unreadable(path: &Path, error: &io::Error) -> Refusal {
    Refusal(
        ExitCode::DESTINATION,
        format!("{} cannot be read: {}.", display::path(path), display::reason(error)),
    )
}
