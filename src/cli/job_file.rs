//! Jobs: the options of a clone in a TOML file, by their long names.
//!
//! Which keys there are is read from the definition of the command line, and a value becomes the word that could have been
//! typed: so a file accepts what the command line accepts, for the same reasons and with the same messages.

pub mod keys;
pub mod parsed;
pub mod place;
mod values;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::Path;

use clap::Command;
use clap::error::{ContextKind, ContextValue};
use toml::Spanned;
use toml::de::DeValue;

use crate::cli;
use crate::cli::clone::clone_plan;
use crate::cli::job_file::keys::{DESTINATIONS, Keys, ROTATION};
use crate::cli::job_file::place::{Place, Wrong};
use crate::cli::words::read;
use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::fs::trusted;
use crate::plan::Plan;
use crate::plan::schedule::Name;

/// How job files end.
const ENDING: &str = ".toml";

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// A job, as its file describes it.
#[derive(Debug)]
pub struct Job {
    /// Its name.
    pub name: Name,
    /// Its clones, in the order of the file.
    pub clones: Vec<JobClone>,
}

/// One clone of a job.
#[derive(Debug)]
pub struct JobClone {
    /// The section of its destination; none where the file names a single destination without one.
    pub section: Option<Name>,
    /// The group of disks of which one is there at a time.
    pub rotation: Option<Name>,
    /// What it will do.
    pub plan: Plan,
}

impl JobClone {
    /// Its plan, looked at by itself: that another disk of its group is there now is no failure.
    #[must_use]
    pub fn alone(&self) -> Plan {
        let mut plan = self.plan.clone();
        plan.skip_if_missing |= self.rotation.is_some();
        plan
    }
}

impl Job {
    /// The clone to this destination alone; errors with a sentence if there is none.
    pub fn only(mut self, section: &Name) -> Result<Self, Refusal> {
        let known: Vec<String> =
            self.clones.iter().filter_map(|clone| clone.section.as_ref()).map(Name::to_string).collect();
        self.clones.retain(|clone| clone.section.as_ref() == Some(section));
        if !self.clones.is_empty() {
            return Ok(self);
        }
        let name = &self.name;
        Err(Refusal(
            ExitCode::USAGE,
            if known.is_empty() {
                format!("The job {name} has a single destination without a section: leave out --only.")
            } else {
                format!("The job {name} has no destination {section}, but {}.", known.join(", "))
            },
        ))
    }
}

/// Reads a job from the directory of job files, with options of this run that are on or off.
///
/// Errors with 84 unless the file is right, and root alone can have written it and arranged the way to it.
pub fn load(name: &Name, directory: &Path, once: &[&str]) -> Result<Job, Refusal> {
    let path = directory.join(format!("{name}{ENDING}"));
    let shown = display::path(&path).to_string();
    let text = text(&path).map_err(|error| {
        let why = if error.kind() == io::ErrorKind::NotFound {
            format!("There is no job {name}: {shown} does not exist. counterpart job init writes one.")
        } else {
            format!("{shown} is not used: {}. {ADVICE}", display::reason(&error))
        };
        Refusal(ExitCode::JOB_FILE, why)
    })?;
    let clones = clones(&text, once).map_err(|wrong| Refusal(ExitCode::JOB_FILE, wrong.of(&shown)))?;
    Ok(Job { name: name.clone(), clones })
}

/// The jobs in the directory, sorted by name; a file that looks like one and cannot be one is a refusal.
pub fn names(directory: &Path) -> Result<Vec<Result<Name, Refusal>>, Refusal> {
    let shown = display::path(directory).to_string();
    let unreadable = |error: &io::Error| {
        Refusal(ExitCode::JOB_FILE, format!("{shown} cannot be read: {}.", display::reason(error)))
    };
    let mut names = Vec::new();
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(|error| unreadable(&error))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(unreadable(&error)),
    };
    let mut files: Vec<OsString> = entries.into_iter().map(|entry| entry.file_name()).collect();
    files.sort();
    for file in files {
        let Some(stem) = file.as_encoded_bytes().strip_suffix(ENDING.as_bytes()) else { continue };
        // An editor's.
        if stem.starts_with(b".") {
            continue;
        }
        let name = std::str::from_utf8(stem).ok().and_then(|stem| stem.parse().ok());
        names.push(name.ok_or_else(|| {
            let path = display::path(&directory.join(&file)).to_string();
            Refusal(
                ExitCode::JOB_FILE,
                format!("{path} has no name of a job: {}.", crate::plan::schedule::NotAName),
            )
        }));
    }
    if names.is_empty() {
        return Err(Refusal(
            ExitCode::JOB_FILE,
            format!("There is no job in {shown}. counterpart job init writes one."),
        ));
    }
    Ok(names)
}

fn text(path: &Path) -> io::Result<String> {
    let entry = trusted::find(path, 0)?;
    if !entry.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut content = Vec::new();
    entry.open()?.take(LARGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than any job"));
    }
    String::from_utf8(content).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// What a file must be that is used.
const ADVICE: &str = "A job file must belong to root, in a directory where nobody else can write.";

/// What a section says; one of the file's top is valid in all.
type Entries<'a> = BTreeMap<String, &'a Spanned<DeValue<'a>>>;

/// The clones that the text of a job file describes.
pub fn clones(text: &str, once: &[&str]) -> Result<Vec<JobClone>, Wrong> {
    let mut definition = cli::definition();
    let keys = Keys::of(&definition);
    let table = parsed::parse(text)?;
    let mut top = Entries::new();
    let mut sections = None;
    for (key, value) in &table {
        match &**key.get_ref() {
            DESTINATIONS => sections = Some(value),
            ROTATION => {
                return Err(Wrong::at(
                    text,
                    key.span(),
                    "rotation belongs into a section [destinations.NAME]",
                ));
            }
            name => {
                keys.check(name).map_err(|why| Wrong::at(text, key.span(), why))?;
                top.insert(name.to_owned(), value);
            }
        }
    }
    let Some(sections) = sections else {
        if !says(&top, "destination") {
            return Err(Wrong::whole("it has no destination: write destination = \"DIR or TAG\""));
        }
        let plan = plan(text, &mut definition, &keys, &top, once)?;
        return Ok(vec![JobClone { section: None, rotation: None, plan }]);
    };
    if let Some(value) = top.get("destination") {
        let why = "each section [destinations.NAME] has a destination of its own: there is none for all";
        return Err(Wrong::at(text, value.span(), why));
    }
    let DeValue::Table(table) = sections.get_ref() else {
        return Err(Wrong::at(text, sections.span(), "destinations are sections: [destinations.NAME]"));
    };
    let mut all: Vec<_> = table.iter().collect();
    all.sort_by_key(|(key, _)| key.span().start);
    let mut clones: Vec<JobClone> = Vec::new();
    for (key, value) in all {
        let clone = section(text, &mut definition, &keys, &top, (key.get_ref(), key.span(), value), once)?;
        let is_same = |other: &&JobClone| {
            (&other.plan.destination, &other.plan.prefix) == (&clone.plan.destination, &clone.plan.prefix)
        };
        if let Some(other) = clones.iter().find(is_same).and_then(|other| other.section.as_ref()) {
            return Err(Wrong::at(text, key.span(), format!("it has the same destination as {other}")));
        }
        clones.push(clone);
    }
    if clones.is_empty() {
        return Err(Wrong::at(text, sections.span(), "there is no section [destinations.NAME]"));
    }
    Ok(clones)
}

fn section<'a>(
    text: &str,
    definition: &mut Command,
    keys: &Keys,
    top: &Entries<'a>,
    (name, place, value): (&str, Place, &'a Spanned<DeValue<'a>>),
    once: &[&str],
) -> Result<JobClone, Wrong> {
    let section: Name = name.parse().map_err(|why| Wrong::at(text, place.clone(), why))?;
    let DeValue::Table(table) = value.get_ref() else {
        let why = format!("it is a section of its own: [destinations.{section}]");
        return Err(Wrong::at(text, value.span(), why));
    };
    let mut entries = top.clone();
    let mut rotation = None;
    for (key, value) in table {
        match &**key.get_ref() {
            ROTATION => rotation = Some(group(text, value)?),
            name => {
                keys.check_in_section(name).map_err(|why| Wrong::at(text, key.span(), why))?;
                entries.insert(name.to_owned(), value);
            }
        }
    }
    if !says(&entries, "destination") {
        return Err(Wrong::at(text, place, "it has no destination: write destination = \"DIR or TAG\""));
    }
    let plan = plan(text, definition, keys, &entries, once)?;
    Ok(JobClone { section: Some(section), rotation, plan })
}

fn group(text: &str, value: &Spanned<DeValue<'_>>) -> Result<Name, Wrong> {
    let DeValue::String(name) = value.get_ref() else {
        return Err(Wrong::at(text, value.span(), "rotation takes the name of a group, in quotes"));
    };
    name.parse().map_err(|why| Wrong::at(text, value.span(), why))
}

/// Whether an option is there and not taken back.
fn says(entries: &Entries<'_>, name: &str) -> bool {
    entries.get(name).is_some_and(|value| !matches!(value.get_ref(), DeValue::Boolean(false)))
}

/// What the command line makes of these entries.
fn plan(
    text: &str,
    definition: &mut Command,
    keys: &Keys,
    entries: &Entries<'_>,
    once: &[&str],
) -> Result<Plan, Wrong> {
    if !says(entries, "source") {
        return Err(Wrong::whole("it has no source: write source = \"DIR\""));
    }
    let mut words = vec![OsString::from("counterpart")];
    for (name, value) in entries {
        if !once.contains(&name.as_str()) {
            let word = values::word(keys.get(name), name, value.get_ref());
            words.extend(word.map_err(|why| Wrong::at(text, value.span(), why))?);
        }
    }
    words.extend(once.iter().map(|name| OsString::from(format!("--{name}"))));
    // What is wrong with the words is wrong with an entry, if it says with which.
    let blame = |option: Option<&str>, why: String| {
        let entry = option.and_then(|option| entries.get(option));
        entry.map_or_else(|| Wrong::whole(why.clone()), |entry| Wrong::at(text, entry.span(), why.clone()))
    };
    let by_clap = |error: &clap::Error| {
        let rendered = error.render().to_string();
        let first = rendered.split("\n\n").next().unwrap_or_default();
        let sentence = first.split_whitespace().collect::<Vec<_>>().join(" ");
        let sentence = sentence.strip_prefix("error: ").unwrap_or(&sentence);
        let argument = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(argument)) => place::option_in(argument),
            _ => None,
        };
        blame(argument, display::line(sentence.as_bytes()).to_string())
    };
    let matches = read(definition, words).map_err(|error| by_clap(&error))?;
    let (ends, options) = cli::clone_of(&matches)
        .map_err(|error| by_clap(&error))?
        .ok_or_else(|| Wrong::whole("source and destination are required"))?;
    clone_plan(&ends, options).map_err(|why| blame(place::option_in(&why), why.clone()))
}
