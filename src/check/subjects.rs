//! Which clones are checked, and this machine's state of each.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use crate::cli::job_file;
use crate::cli::job_file::JobClone;
use crate::display;
use crate::failure::refusal::Refusal;
use crate::fs::location::Location;
use crate::host::Host;
use crate::marker::Prefix;
use crate::plan::schedule::Name;
use crate::plan::tag::Tag;
use crate::state::{State, Store};

/// Where a clone is.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its absolute path.
    pub destination: PathBuf,
    /// The prefix of its markers.
    pub prefix: Prefix,
}

/// A clone that is checked.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its name in the output.
    pub name: String,
    /// It was asked for; its state is read once its path is resolved.
    pub is_given: bool,
    /// The rotation of a job that its disk belongs to.
    pub rotation: Option<String>,
    /// Where it is; `None` if a damaged state file hides it.
    pub target: Option<Target>,
    /// Its state, or why that cannot be read.
    pub state: Result<Option<State>, String>,
    /// Further notes, such as a state file that cannot be read beside one that can.
    pub notes: Vec<String>,
}

/// The clone given on the command line, or else every clone that this machine remembers.
#[must_use]
pub fn gather(destination: Option<&Path>, prefix: Option<&Prefix>, host: &Host, now: i64) -> Vec<Subject> {
    match destination {
        Some(destination) => vec![given(destination.to_owned(), prefix.cloned().unwrap_or_default(), None)],
        None => known(prefix, &stores(host), now),
    }
}

/// The destinations of a job.
pub fn of_job(name: &Name, host: &Host) -> Result<Vec<Subject>, Refusal> {
    let job = job_file::load(name, &host.job_file_dir, &[])?;
    let subject = |clone: JobClone| {
        let rotation = clone.rotation.as_ref().map(Name::to_string);
        given(clone.plan.destination, clone.plan.prefix, rotation)
    };
    Ok(job.clones.into_iter().map(subject).collect())
}

fn given(destination: PathBuf, prefix: Prefix, rotation: Option<String>) -> Subject {
    let name = display::path(&destination).to_string();
    let target = Some(Target { destination, prefix });
    Subject { name, is_given: true, rotation, target, state: Ok(None), notes: Vec::new() }
}

/// Root's state directory, and this user's.
fn stores(host: &Host) -> Vec<&PathBuf> {
    let mut stores = vec![&host.system_state_dir];
    if host.state_dir != host.system_state_dir {
        stores.push(&host.state_dir);
    }
    stores
}

impl Subject {
    /// Reads the state of a destination given on the command line, by its resolved path.
    pub fn remember(&mut self, host: &Host, location: &Location, now: i64) {
        let Some(target) = &self.target else { return };
        let mut states = Vec::new();
        let mut problems = Vec::new();
        for dir in stores(host) {
            match Store::new(dir).load(location, &target.prefix) {
                Ok(state) => states.extend(state),
                Err(error) => problems.push(unreadable(dir, &error)),
            }
        }
        match states.into_iter().reduce(|one, other| later(one, other, now)) {
            Some(state) => {
                self.state = Ok(Some(state));
                self.notes.extend(problems.iter().map(|why| note(why)));
            }
            None if problems.is_empty() => self.state = Ok(None),
            None => self.state = Err(problems.join("; ")),
        }
    }
}

/// One state is enough for a result; a note says that the other might hold a later run.
fn note(why: &str) -> String {
    format!("Not all of this machine's records can be read: {why}")
}

fn known(prefix: Option<&Prefix>, stores: &[&PathBuf], now: i64) -> Vec<Subject> {
    let mut subjects: Vec<Subject> = Vec::new();
    let mut barred = Vec::new();
    for dir in stores {
        match Store::new(dir).all() {
            Err(error) => barred.push((dir, error)),
            Ok(files) => {
                for (path, state) in files {
                    match state.and_then(of_state) {
                        Ok(subject) => insert(&mut subjects, subject, now),
                        Err(error) => subjects.push(damaged(&path, &error)),
                    }
                }
            }
        }
    }
    for (dir, error) in barred {
        match subjects.first_mut().filter(|subject| subject.target.is_some()) {
            Some(subject) => subject.notes.push(note(&unreadable(dir, &error))),
            None => subjects.push(damaged(dir, &error)),
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
    let destination = PathBuf::from(OsString::from_vec(display::unescape(state.destination.as_bytes())));
    if !destination.is_absolute() && !matches!(Tag::read(destination.as_os_str()), Some(Ok(_))) {
        return Err(io::Error::other("it names no destination"));
    }
    let is_default = prefix == Prefix::default();
    let name =
        if is_default { state.destination.clone() } else { format!("{} ({prefix})", state.destination) };
    let target = Some(Target { destination, prefix });
    let (state, notes) = (Ok(Some(state)), Vec::new());
    Ok(Subject { name, is_given: false, rotation: None, target, state, notes })
}

/// Merges two states of the same clone.
fn insert(subjects: &mut Vec<Subject>, new: Subject, now: i64) {
    let same = subjects.iter_mut().find(|subject| subject.target.is_some() && subject.name == new.name);
    match same {
        None => subjects.push(new),
        Some(subject) => {
            let states = [subject.state.clone(), new.state].into_iter().flatten().flatten();
            subject.state = Ok(states.reduce(|one, other| later(one, other, now)));
        }
    }
}

fn damaged(path: &Path, error: &io::Error) -> Subject {
    let name = display::path(path).to_string();
    let why = format!("this machine's records cannot be read: {}", display::reason(error));
    Subject { name, is_given: false, rotation: None, target: None, state: Err(why), notes: Vec::new() }
}

fn unreadable(dir: &Path, error: &io::Error) -> String {
    format!("{} (in {})", display::reason(error), display::path(dir))
}

/// The state with the later run; a time in the future is wrong, so it does not count as later.
fn later(one: State, other: State, now: i64) -> State {
    let at = |state: &State| {
        let at = state.last.as_ref().map(|last| last.ended.epoch);
        (at.is_some_and(|at| at <= now), at)
    };
    if at(&other) > at(&one) { other } else { one }
}
