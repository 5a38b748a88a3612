//! The keys of a job file: the long options of a clone.

use std::collections::BTreeMap;

use clap::builder::{StyledStr, ValueParser};
use clap::{Arg, ArgAction, Command};

use crate::cli::given::may_lack_value;
use crate::display;

/// The table of sections.
pub const DESTINATIONS: &str = "destinations";

/// The key of a section that makes it one of a group.
pub const ROTATION: &str = "rotation";

/// The option that no file may hold.
const PASSWORD: &str = "backup-password";

/// The options that a file has no use for.
const TYPED: [&str; 3] = ["help", "version", "json"];

/// The options of `schedule install` that say when a clone is made: a job is scheduled, but does not schedule itself.
const OF_SCHEDULES: [&str; 5] = ["daily", "weekly", "every", "when-plugged-in", "on-ac"];

/// A name that differs from a key by more letters than this is not taken for a slip.
const MOST_SLIPS: usize = 4;

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// true or false.
    Switch,
    /// A whole number.
    Number,
    /// A text.
    Text,
    /// An absolute path.
    Path,
    /// An absolute path or a tag.
    Destination,
}

/// A key.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its name, which is the option's.
    pub name: String,
    /// What the option's help says of it.
    pub help: String,
    /// The rest of that help.
    pub more: Option<String>,
    /// What it takes.
    pub kind: Kind,
    /// true stands for it too, without a value.
    pub may_lack_value: bool,
    /// A list of values stands for an option that is repeated; what separates several in one.
    pub is_list: bool,
    /// What separates several values in one word.
    pub separator: Option<char>,
    /// What it is without being given.
    pub default: Option<String>,
    /// The only values that it may have; none if there are others.
    pub choices: Vec<String>,
}

impl Key {
    /// Whether true and false are its values, as yes and no.
    #[must_use]
    pub fn is_yes_or_no(&self) -> bool {
        self.choices == ["yes", "no"]
    }
}

/// All keys.
#[derive(Debug)]
pub struct Keys(BTreeMap<String, Key>);

impl Keys {
    /// The options of a clone.
    #[must_use]
    pub fn of(definition: &Command) -> Self {
        Self(in_order(definition).map(|key| (key.name.clone(), key)).collect())
    }

    /// A key that has been checked.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Key> {
        self.0.get(name)
    }

    /// Errors if the top of a file may not hold this; with the nearest key that it may hold.
    pub fn check(&self, name: &str) -> Result<(), String> {
        self.check_among(name, &[DESTINATIONS])
    }

    /// The same for a section.
    pub fn check_in_section(&self, name: &str) -> Result<(), String> {
        self.check_among(name, &[ROTATION])
    }

    fn check_among(&self, name: &str, others: &[&str]) -> Result<(), String> {
        if self.0.contains_key(name) {
            return Ok(());
        }
        if name == PASSWORD {
            return Err("a password must not stand in a file: store it with counterpart setpass, as a credential or in \
                        the keychain, and write backup-keychain = true"
                .to_owned());
        }
        if OF_SCHEDULES.contains(&name) {
            return Err(format!(
                "{name} belongs to the schedule, which is not kept in a job file: counterpart schedule install --{name} \
                 --job JOB"
            ));
        }
        let shown = display::line(name.as_bytes()).to_string();
        let written = name.to_lowercase().replace('_', "-");
        let near = self.0.keys().map(String::as_str).chain(others.iter().copied());
        let near = near.map(|key| (strsim::damerau_levenshtein(key, &written), key)).min();
        Err(match near.filter(|(slips, key)| *slips <= MOST_SLIPS.min(key.len() / 2)) {
            Some((_, key)) => format!("there is no option {shown}; did you mean {key}?"),
            None => format!("there is no option {shown}; counterpart --help lists them by their long names"),
        })
    }
}

/// The keys in the order in which the help lists the options.
pub fn in_order(definition: &Command) -> impl Iterator<Item = Key> + '_ {
    definition.get_arguments().filter_map(key)
}

fn key(argument: &Arg) -> Option<Key> {
    let name = argument.get_long()?.to_owned();
    let is_ours = !matches!(
        argument.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
    );
    if !is_ours || name == PASSWORD || TYPED.contains(&&*name) {
        return None;
    }
    let separator = argument.get_value_delimiter();
    let repeats = matches!(argument.get_action(), ArgAction::Append);
    let text = |text: Option<&StyledStr>| text.map(ToString::to_string);
    let help = text(argument.get_help()).unwrap_or_default();
    let long = text(argument.get_long_help());
    let more = long.and_then(|long| Some(long.strip_prefix(&*help)?.trim().to_owned()));
    let default = argument.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
    Some(Key {
        help,
        more: more.filter(|more| !more.is_empty()),
        kind: kind(argument),
        may_lack_value: may_lack_value(argument),
        is_list: repeats || separator.is_some(),
        separator,
        default: default.filter(|_| argument.get_action().takes_values()),
        choices: choices(argument),
        name,
    })
}

fn choices(argument: &Arg) -> Vec<String> {
    if !argument.get_action().takes_values() {
        return Vec::new();
    }
    argument.get_possible_values().iter().map(|choice| choice.get_name().to_owned()).collect()
}

fn kind(argument: &Arg) -> Kind {
    let parser = argument.get_value_parser();
    let of = |other: std::any::TypeId| parser.type_id() == other;
    if !argument.get_action().takes_values() {
        Kind::Switch
    } else if argument.get_id() == "destination" {
        Kind::Destination
    } else if parser.type_id() == ValueParser::path_buf().type_id() {
        Kind::Path
    } else if of(std::any::TypeId::of::<u32>())
        || of(std::any::TypeId::of::<u64>())
        || of(std::any::TypeId::of::<usize>())
    {
        Kind::Number
    } else {
        Kind::Text
    }
}
