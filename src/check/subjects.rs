//! Which clones are judged, and what this machine remembers of them.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use crate::cli::check::CheckArgs;
use crate::host::Host;
use crate::host::state::{State, Store};
use crate::plan::Prefix;
use crate::shown;

/// Where a clone is.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its folder, absolute.
    pub destination: PathBuf,
    /// The prefix of its marks.
    pub prefix: Prefix,
}

/// A clone that is judged.
#[derive(Debug, Clone)]
pub struct Subject {
    /// What it is called in the answer.
    pub name: String,
    /// Where it is; nothing where a damaged file hides it.
    pub target: Option<Target>,
    /// What is remembered of it, or why that cannot be read.
    pub state: Result<Option<State>, String>,
}

/// The clone that was named, or else all that this machine remembers.
#[must_use]
pub fn gather(args: &CheckArgs, host: &Host) -> Vec<Subject> {
    let mut stores = vec![&host.system_state_dir];
    if host.state_dir != host.system_state_dir {
        stores.push(&host.state_dir);
    }
    match &args.destination {
        Some(destination) => vec![named(destination, args.organisation_prefix.as_ref(), &stores)],
        None => known(args.organisation_prefix.as_ref(), &stores),
    }
}

fn named(destination: &Path, prefix: Option<&Prefix>, stores: &[&PathBuf]) -> Subject {
    let prefix = prefix.cloned().unwrap_or_default();
    let states: Result<Vec<State>, String> = stores
        .iter()
        .filter_map(|dir| {
            let loaded = Store::new(dir).load(destination, &prefix);
            loaded.map_err(|error| unreadable(dir, &error)).transpose()
        })
        .collect();
    Subject {
        name: shown::path(destination).to_string(),
        state: states.map(|states| states.into_iter().reduce(later)),
        target: Some(Target { destination: destination.to_owned(), prefix }),
    }
}

fn known(prefix: Option<&Prefix>, stores: &[&PathBuf]) -> Vec<Subject> {
    let mut subjects: Vec<Subject> = Vec::new();
    for dir in stores {
        match Store::new(dir).all() {
            Err(error) => subjects.push(damaged(dir, &error)),
            Ok(files) => {
                for (path, state) in files {
                    match state.and_then(of_state) {
                        Ok(subject) => insert(&mut subjects, subject),
                        Err(error) => subjects.push(damaged(&path, &error)),
                    }
                }
            }
        }
    }
    let wanted = |subject: &Subject| {
        let own = subject.target.as_ref().map(|target| &target.prefix);
        prefix.is_none() || own.is_none() || own == prefix
    };
    subjects.retain(wanted);
    subjects
}

fn of_state(state: State) -> io::Result<Subject> {
    let prefix: Prefix = state.prefix.parse().map_err(io::Error::other)?;
    let destination = PathBuf::from(OsString::from_vec(shown::unescape(state.destination.as_bytes())));
    if !destination.is_absolute() {
        return Err(io::Error::other("it names no destination"));
    }
    let is_default = prefix == Prefix::default();
    let name =
        if is_default { state.destination.clone() } else { format!("{} ({prefix})", state.destination) };
    Ok(Subject { name, target: Some(Target { destination, prefix }), state: Ok(Some(state)) })
}

/// Two memories of one clone become one.
fn insert(subjects: &mut Vec<Subject>, new: Subject) {
    let same = subjects.iter_mut().find(|subject| subject.target.is_some() && subject.name == new.name);
    match same {
        None => subjects.push(new),
        Some(subject) => {
            let states = [subject.state.clone(), new.state].into_iter().flatten().flatten();
            subject.state = Ok(states.reduce(later));
        }
    }
}

fn damaged(path: &Path, error: &io::Error) -> Subject {
    let name = shown::path(path).to_string();
    let why = format!("what this machine remembers cannot be read: {}", shown::reason(error));
    Subject { name, target: None, state: Err(why) }
}

fn unreadable(dir: &Path, error: &io::Error) -> String {
    format!("{} (in {})", shown::reason(error), shown::path(dir))
}

/// The one that knows of the later run.
fn later(one: State, other: State) -> State {
    let at = |state: &State| state.last.as_ref().map(|last| last.ended.epoch);
    if at(&other) > at(&one) { other } else { one }
}
