//! Parses the command line and explains surplus words.

use std::ffi::{OsStr, OsString};

use clap::ArgMatches;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::display;

/// Matches the words against the definition; a word too many is explained.
pub fn read(
    definition: &mut clap::Command,
    words: impl IntoIterator<Item = OsString>,
) -> Result<ArgMatches, clap::Error> {
    definition.try_get_matches_from_mut(words).map_err(|error| explain(error, definition))
}

/// A word too many is most often the rest of a path that lacks quotes; clap takes it for a subcommand.
pub fn explain(error: clap::Error, definition: &mut clap::Command) -> clap::Error {
    let word = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) if definition.find_subcommand(word).is_none() => word.clone(),
        _ => return error,
    };
    let word = display::name(OsStr::new(&word));
    definition.error(
        ErrorKind::UnknownArgument,
        format!("unexpected argument '{word}'; a path that holds blanks needs quotes"),
    )
}
