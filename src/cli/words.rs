//! Parses the command line and explains surplus words.

use std::ffi::{OsStr, OsString};

use clap::ArgMatches;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::display;

/// A word that differs from a command by more letters than this is not taken for a slip.
const MOST_SLIPS: usize = 2;

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
    let shown = display::name(OsStr::new(&word));
    let hint = match nearest(&word, definition) {
        Some(command) => format!("did you mean {command}?"),
        None => "a path that holds blanks needs quotes".to_owned(),
    };
    definition.error(ErrorKind::UnknownArgument, format!("unexpected argument '{shown}'; {hint}"))
}

/// The command that a word was most likely meant to be.
fn nearest(word: &str, definition: &clap::Command) -> Option<String> {
    let commands = definition.get_subcommands().filter(|command| !command.is_hide_set());
    let alike =
        commands.map(|command| (strsim::damerau_levenshtein(word, command.get_name()), command.get_name()));
    let (slips, name) = alike.min()?;
    (slips <= MOST_SLIPS).then(|| name.to_owned())
}
