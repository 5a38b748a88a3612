//! The command line of `counterpart schedule`. The clone's own arguments are parsed as a clone parses them.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command, Subcommand};

use crate::cli::clone::{CloneArgs, CloneOptions, clone_plan};
use crate::cli::given::{Given, given, may_lack_value};
use crate::cli::words::read;
use crate::plan::schedule;
use crate::plan::schedule::when::When;
use crate::plan::schedule::{DEFAULT_NAME, Name};
use crate::plan::{BackupPassword, Plan};

/// What is typed behind `schedule`.
#[derive(Debug, clap::Args)]
#[command(disable_help_subcommand = true)]
pub struct ScheduleArgs {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Check a clone's arguments and schedule it
    Install(InstallArgs),
    /// Show a schedule: its next run, last result and files
    Show {
        /// Name of the schedule
        #[arg(default_value = DEFAULT_NAME)]
        name: Name,
    },
    /// List the schedules with their next run and last result
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Start a scheduled clone now, without waiting for it to finish
    Run {
        /// Name of the schedule
        name: Name,
    },
    /// Remove a schedule; clones and logs stay
    Remove {
        /// Name of the schedule
        name: Name,
    },
}

#[derive(Debug, clap::Args)]
struct InstallArgs {
    /// Run every day at this time; the default is 03:30
    #[arg(long, value_name = "HH:MM", group = "when")]
    daily: Option<String>,
    /// Run every week on this day at this time: Sun 04:00
    #[arg(long, num_args = 2, value_names = ["DAY", "HH:MM"], group = "when")]
    weekly: Option<Vec<String>>,
    /// Run at this interval, which must divide a day or an hour evenly: 2h, 15m
    #[arg(long, value_name = "INTERVAL", group = "when")]
    every: Option<String>,
    /// Start it too when the destination's disk appears
    ///
    /// The destination has to be named by a tag, such as UUID=.
    #[arg(long)]
    when_plugged_in: bool,
    /// Skip a run while the machine is on battery (Linux)
    ///
    /// A skipped run is no failure and is not made up for: the next one is at its usual time.
    #[arg(long)]
    on_ac: bool,
    /// Name of the schedule: letters, digits, '-' and '_' [default: clone, or the job's]
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,
    /// Schedule this job: NAME.toml in the directory of job files
    #[arg(long, value_name = "NAME", conflicts_with = "arguments")]
    job: Option<Name>,
    /// Replace an existing schedule of that name
    #[arg(long)]
    replace: bool,
    /// Print the files instead of installing them; needs no root
    #[arg(long)]
    print: bool,
    /// Arguments of the clone, after two hyphens: -- -s / -d /mnt/clone
    #[arg(last = true, required_unless_present = "job", value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// What is to be done with which schedule.
#[derive(Debug)]
pub enum Action {
    /// Install one.
    Install(Box<Install>),
    /// Show one.
    Show(Name),
    /// List all, as JSON if that is true.
    List(bool),
    /// Start one now.
    Run(Name),
    /// Remove one.
    Remove(Name),
}

/// A schedule to be installed.
#[derive(Debug)]
pub struct Install {
    /// Its name.
    pub name: Name,
    /// Its times.
    pub when: When,
    /// One of that name gives way.
    pub replace: bool,
    /// Only show the files.
    pub print: bool,
    /// Start it too when the destination's disk appears.
    pub when_plugged_in: bool,
    /// Not while the machine is on battery.
    pub on_ac: bool,
    /// What it starts.
    pub what: What,
}

/// What a schedule starts.
#[derive(Debug)]
pub enum What {
    /// A clone.
    Clone {
        /// What it will do.
        plan: Box<Plan>,
        /// Its arguments as they are written into the job: long options, absolute paths.
        arguments: Vec<String>,
    },
    /// The clones of a job's file.
    Job(Name),
}

/// Reads the arguments of a clone; `None` where they are those of something else.
pub(super) type ReadClone = fn(&ArgMatches) -> Result<Option<(CloneArgs, CloneOptions)>, clap::Error>;

impl ScheduleArgs {
    /// Reads the times and the clone's arguments; the error is clap's.
    pub(super) fn resolve(self, definition: &mut Command, read: ReadClone) -> Result<Action, clap::Error> {
        Ok(match self.command {
            Commands::Install(args) => Action::Install(Box::new(args.resolve(definition, read)?)),
            Commands::Show { name } => Action::Show(name),
            Commands::List { json } => Action::List(json),
            Commands::Run { name } => Action::Run(name),
            Commands::Remove { name } => Action::Remove(name),
        })
    }
}

impl InstallArgs {
    fn resolve(self, definition: &mut Command, read_clone: ReadClone) -> Result<Install, clap::Error> {
        let when = self.when().map_err(|why| definition.error(ErrorKind::ValueValidation, why))?;
        let what = match &self.job {
            Some(job) => What::Job(job.clone()),
            None => self.clone_of(definition, read_clone)?,
        };
        let default = || self.job.clone().map_or_else(|| DEFAULT_NAME.parse(), Ok);
        let name = self.name.clone().map_or_else(default, Ok);
        Ok(Install {
            name: name.map_err(|why| definition.error(ErrorKind::ValueValidation, why))?,
            when,
            replace: self.replace,
            print: self.print,
            when_plugged_in: self.when_plugged_in,
            on_ac: self.on_ac,
            what,
        })
    }

    fn clone_of(&self, definition: &mut Command, read_clone: ReadClone) -> Result<What, clap::Error> {
        let words = std::iter::once(OsString::from("counterpart")).chain(self.arguments.iter().cloned());
        let matches = read(definition, words)?;
        let wrong = |definition: &mut Command, why: String| definition.error(ErrorKind::ValueValidation, why);
        let (clone, options) =
            read_clone(&matches)?.ok_or_else(|| wrong(definition, NOT_A_CLONE.to_owned()))?;
        let plan = clone_plan(&clone, options).map_err(|why| wrong(definition, why))?;
        if let Some(why) = objection(&plan) {
            return Err(definition.error(ErrorKind::ArgumentConflict, why));
        }
        if self.when_plugged_in && plan.named.is_none() {
            return Err(definition.error(ErrorKind::ArgumentConflict, NO_TAG));
        }
        let arguments = long_arguments(definition, &matches).map_err(|why| wrong(definition, why))?;
        Ok(What::Clone { plan: Box::new(plan), arguments })
    }

    fn when(&self) -> Result<When, String> {
        let read = |option, read: Result<When, schedule::when::NotATime>| {
            read.map_err(|why| format!("{option}: {why}"))
        };
        match (&self.daily, self.weekly.as_deref(), &self.every) {
            (Some(time), _, _) => read("--daily", time.parse().map(When::Daily)),
            (_, Some([day, time]), _) => read("--weekly", When::weekly(day, time)),
            (_, _, Some(interval)) => read("--every", When::every(interval)),
            _ => Ok(When::default()),
        }
    }
}

/// Why a start by a disk needs a tag.
pub const NO_TAG: &str =
    "--when-plugged-in needs a destination that is named by what it is: -d UUID=\u{2026}";

const NOT_A_CLONE: &str = "behind the two hyphens stand the arguments of a clone: -- -s / -d /mnt/clone";

/// What a clone by hand may have and a job may not.
#[must_use]
pub fn objection(plan: &Plan) -> Option<&'static str> {
    if matches!(plan.backup, Some(BackupPassword::Given(_))) {
        return Some(
            "-b cannot be scheduled: the password would stand in a file. Store it with counterpart setpass and use -B",
        );
    }
    plan.test_run.then_some("-t cannot be scheduled: a job that only tests never makes a clone")
}

/// The arguments that were given, as words.
fn long_arguments(definition: &Command, matches: &ArgMatches) -> Result<Vec<String>, String> {
    let mut written = Vec::new();
    for Given { argument, long, values } in given(definition, matches)? {
        let option = format!("--{long}");
        if !argument.get_action().takes_values() {
            written.push(option);
            continue;
        }
        for text in values {
            if may_lack_value(argument) || text.starts_with('-') {
                written.push(format!("{option}={text}"));
            } else {
                written.extend([option.clone(), text]);
            }
        }
    }
    Ok(written)
}
