//! The command line: what may be typed, and how it becomes a [`Plan`].

pub mod check;
pub mod clone;
pub mod restore;
pub mod schedule;

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::exit_code;
use crate::plan::{DEFAULT_PREFIX, Plan, Prefix};
use crate::shown;
use check::{CheckArgs, LookArgs};
use clone::{CloneArgs, CloneOptions, DoctorArgs, Inquiry, clone_plan, inquiry};
use restore::RestoreArgs;

/// What is shown below the options.
const FILES: &str = "\
Files at the destination's root:
  .PREFIX.counterpart.completed  exists while the clone is complete; its time is the completion
  .PREFIX.counterpart.error      the reason of the last failure, in one line
  .PREFIX.counterpart.stats      the statistics of the last run
  .PREFIX.counterpart.stats.json all that is known of the last run, for programs
  .PREFIX.counterpart.id         names this destination, its filesystem, and what is cloned to it
  .PREFIX.counterpart.safety-net a folder with what clones with --safety-net have deleted or overwritten
The log is Counterpart_YY-MM-DD_HH-MM-SS in /Library/Logs/Counterpart (macOS) or /var/log/counterpart (Linux).";

/// Makes an exact, where possible bootable, clone of a live system with rsync.
///
/// The contents of the source become the contents of the destination: what the source does not have is deleted there.
#[derive(Debug, Parser)]
#[command(
    name = "counterpart",
    version,
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true
)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Option<Commands>,
    #[command(flatten)]
    clone: Option<CloneArgs>,
    // Beside the ends and not in them: a group of arguments within an optional one is not seen.
    #[command(flatten)]
    options: CloneOptions,
}

/// `counterpart setpass`: what is done with the stored password.
#[derive(Debug, Clone, clap::Args)]
pub struct SetpassArgs {
    /// Take the password from standard input instead of asking for it
    #[arg(long, conflicts_with_all = ["delete", "check"])]
    pub stdin: bool,
    /// Delete the stored password
    #[arg(long, conflicts_with = "check")]
    pub delete: bool,
    /// Only tell whether a password is stored and can be read
    #[arg(long)]
    pub check: bool,
    /// The prefix that the clone is run with
    #[arg(short = 'g', long, value_name = "PREFIX", default_value = DEFAULT_PREFIX)]
    pub organisation_prefix: Prefix,
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Stores the password of the server backup in the system's keychain or credential store
    Setpass(SetpassArgs),
    /// Tells, changing nothing, what a clone with these options would meet
    Doctor(Box<DoctorArgs>),
    /// Judges clones for a monitoring system: a plugin by the monitoring-plugins guidelines
    #[command(version)]
    Check(CheckArgs),
    /// Prints what the marks at a destination say, for the plugin
    #[command(hide = true)]
    Look(LookArgs),
    /// Installs, shows, starts or removes clones that the system makes by itself
    Schedule(schedule::ScheduleArgs),
    /// Brings back what a clone with --safety-net has deleted or overwritten
    Restore(RestoreArgs),
    /// Prints the man page or a shell's completions
    #[command(hide = true)]
    Generate {
        /// What to print
        what: Generated,
    },
}

/// What the hidden subcommand can print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Generated {
    /// The man page, in roff.
    Man,
    /// Completions for bash.
    Bash,
    /// Completions for zsh.
    Zsh,
    /// Completions for fish.
    Fish,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Action {
    /// Make a clone.
    Clone(Box<Plan>),
    /// Store, delete or check the password of the server backup.
    Setpass(SetpassArgs),
    /// Tell what a clone would meet.
    Doctor(Box<Inquiry>),
    /// Judge clones for a monitoring system.
    Check(CheckArgs),
    /// Answer a monitoring system that has asked for help, or in a way that makes no sense.
    ExplainCheck(clap::Error),
    /// Print what the marks at a destination say.
    Look(LookArgs),
    /// Install, show, start or remove a schedule.
    Schedule(schedule::Action),
    /// Bring files back from the safety nets.
    Restore(RestoreArgs),
    /// Print a generated document.
    Generate(Generated),
}

impl Action {
    /// Whether a password may be in memory from now on.
    #[must_use]
    pub fn may_hold_a_password(&self) -> bool {
        match self {
            Self::Clone(plan) => plan.backup.is_some(),
            Self::Doctor(inquiry) => inquiry.plan.backup.is_some(),
            Self::Setpass(_) => true,
            Self::Check(_)
            | Self::ExplainCheck(_)
            | Self::Look(_)
            | Self::Schedule(_)
            | Self::Restore(_)
            | Self::Generate(_) => false,
        }
    }
}

/// The definition of the command line, with the exit codes below its help.
#[must_use]
pub fn definition() -> clap::Command {
    Args::command().after_long_help(after_help()).after_help(after_help())
}

fn after_help() -> String {
    format!("Exit codes:\n{}\n{FILES}", exit_code::table_text())
}

/// Parses the process's arguments. The error is clap's, and prints itself: help and version are "errors" with code 0.
pub fn parse() -> Result<Action, clap::Error> {
    let mut definition = definition();
    let (arguments, is_check) = check::arguments(std::env::args_os());
    let matches = match definition.try_get_matches_from_mut(arguments) {
        Ok(matches) => matches,
        Err(error) if is_check => return Ok(Action::ExplainCheck(error)),
        Err(error) => return Err(explain(error, &mut definition)),
    };
    let args = <Args as clap::FromArgMatches>::from_arg_matches(&matches)?;
    match (args.command, args.clone) {
        (Some(Commands::Setpass(args)), _) => Ok(Action::Setpass(args)),
        (Some(Commands::Doctor(args)), _) => inquiry(*args)
            .map(|inquiry| Action::Doctor(Box::new(inquiry)))
            .map_err(|message| definition.error(ErrorKind::ValueValidation, message)),
        (Some(Commands::Check(args)), _) => Ok(args.resolve().map_or_else(
            |message| Action::ExplainCheck(definition.error(ErrorKind::ValueValidation, message)),
            Action::Check,
        )),
        (Some(Commands::Look(args)), _) => Ok(Action::Look(args)),
        (Some(Commands::Schedule(args)), _) => args.resolve(&mut definition).map(Action::Schedule),
        (Some(Commands::Restore(args)), _) => restore::resolve(args)
            .map(Action::Restore)
            .map_err(|message| definition.error(ErrorKind::ValueValidation, message)),
        (Some(Commands::Generate { what }), _) => Ok(Action::Generate(what)),
        (None, Some(clone)) => clone_plan(&clone, args.options)
            .map(|plan| Action::Clone(Box::new(plan)))
            .map_err(|message| definition.error(ErrorKind::ValueValidation, message)),
        (None, None) => Err(definition.error(
            ErrorKind::MissingRequiredArgument,
            "the source (-s) and the destination (-d) are required",
        )),
    }
}

fn read(
    definition: &mut clap::Command,
    words: impl IntoIterator<Item = OsString>,
) -> Result<ArgMatches, clap::Error> {
    definition.try_get_matches_from_mut(words).map_err(|error| explain(error, definition))
}

/// A word too many is most often the rest of a path that lacks quotes; clap takes it for a subcommand.
fn explain(error: clap::Error, definition: &mut clap::Command) -> clap::Error {
    let word = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) if definition.find_subcommand(word).is_none() => word.clone(),
        _ => return error,
    };
    let word = shown::name(OsStr::new(&word));
    definition.error(
        ErrorKind::UnknownArgument,
        format!("unexpected argument '{word}'; a path that holds blanks needs quotes"),
    )
}

/// Children run in `/`, so a relative path is resolved where it was typed. Trailing slashes and `.` go: `link/` would
/// otherwise be what the link leads to.
fn absolute(path: &Path, option: &str) -> Result<PathBuf, String> {
    if path.as_os_str().is_empty() {
        return Err(format!("{option} is empty"));
    }
    let absolute = std::path::absolute(path).map_err(|error| format!("{option}: {error}"))?;
    Ok(absolute.components().filter(|part| *part != Component::CurDir).collect())
}
