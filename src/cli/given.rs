//! The arguments of a clone as they were given: by their long names, with absolute paths.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use crate::cli::paths::{absolute, destination};
use crate::display;
use crate::plan::schedule;

/// An option that was given.
#[derive(Debug)]
pub struct Given<'a> {
    /// Its definition.
    pub argument: &'a Arg,
    /// Its long name, without hyphens.
    pub long: &'a str,
    /// Its values; none for an option that is on or off.
    pub values: Vec<String>,
}

/// Whether an option may be given with a value or without.
#[must_use]
pub fn may_lack_value(argument: &Arg) -> bool {
    argument.get_num_args().is_some_and(|number| number.min_values() == 0)
}

/// The arguments that were given, in the order of their definition.
///
/// Every option that takes a path gets it as an absolute one: a job starts in another directory.
pub fn given<'a>(definition: &'a Command, matches: &ArgMatches) -> Result<Vec<Given<'a>>, String> {
    let mut all = Vec::new();
    for argument in definition.get_arguments() {
        let id = argument.get_id().as_str();
        let is_given = matches!(matches.try_contains_id(id), Ok(true))
            && matches.value_source(id) == Some(ValueSource::CommandLine);
        let Some(long) = argument.get_long().filter(|_| is_given) else { continue };
        let mut values = Vec::new();
        if argument.get_action().takes_values() {
            let option = format!("--{long}");
            let is_path = matches.try_get_one::<PathBuf>(id).is_ok();
            for value in matches.get_raw(id).into_iter().flatten() {
                let value = match (is_path, id) {
                    (true, "destination") => destination(Path::new(value))?.path.into(),
                    (true, _) => absolute(Path::new(value), &option)?.into(),
                    (false, _) => value.to_owned(),
                };
                values.push(writable(&value, &option)?);
            }
        }
        all.push(Given { argument, long, values });
    }
    Ok(all)
}

fn writable(value: &OsStr, option: &str) -> Result<String, String> {
    schedule::text(value).map_err(|why| format!("{option} {}: {why}", display::name(value)))
}
