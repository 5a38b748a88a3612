//! The command line, and how it becomes a [`Plan`].

pub mod check;
pub mod clone;
pub mod given;
pub mod help;
pub mod job;
pub mod job_file;
pub mod job_text;
pub mod paths;
pub mod prepare;
pub mod prove;
pub mod restore;
pub mod schedule;
pub mod status;
pub mod verify;
pub mod words;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::cli::words::explain;
use crate::exit_code;
use crate::host::platform::System;
use crate::marker::{DEFAULT_PREFIX, Prefix};
use crate::plan::{BackupPassword, Plan};
use crate::secret::Once;
use check::{CheckArgs, LookArgs};
use clone::{CloneArgs, CloneOptions, DoctorArgs, Examined, Inquiry, clone_plan, inquiry};
use help::{
    CHECK_CODES, DOCTOR_CODES, FORGET_CODES, JOB_CODES, MORE, PREPARE_CODES, PROVE_CODES, RESTORE_CODES,
    RUN_CODES, SCHEDULE_CODES, SETPASS_CODES, SHORT, STATUS_CODES, VERIFY_CODES,
};
use job::{Init, JobArgs, JobClones, RunArgs};
use prepare::PrepareArgs;
use prove::ProveArgs;
use restore::RestoreArgs;
use status::{ForgetArgs, StatusArgs};
use verify::VerifyArgs;

/// What `--version` prints: the commit, where it is known, and the target, as `build.rs` has them.
const LONG_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("COUNTERPART_BUILD"), ")");

/// Make an exact clone of a running system with rsync
///
/// The contents of the source become the contents of the destination: whatever the source does not have is deleted
/// there. A destination that holds other files is refused until it is accepted with --adopt.
#[derive(Debug, Parser)]
#[command(
    name = "counterpart",
    version,
    long_version = LONG_VERSION,
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true
)]
#[command(max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Option<Commands>,
    #[command(flatten)]
    clone: Option<CloneArgs>,
    // Not nested in the ends: clap does not see an argument group inside an optional one.
    #[command(flatten)]
    options: CloneOptions,
    /// Print what a test run (-t) finds as JSON, and nothing else, on standard output
    #[arg(long, requires = "test_run", conflicts_with = "verbose", hide_short_help = true)]
    json: bool,
}

/// `counterpart setpass`: what is done with the stored password.
#[derive(Debug, Clone, clap::Args)]
pub struct SetpassArgs {
    /// Read the password, one line, from standard input instead of prompting
    #[arg(long, conflicts_with_all = ["delete", "check"])]
    pub stdin: bool,
    /// Delete the stored password
    #[arg(long, conflicts_with = "check")]
    pub delete: bool,
    /// Only check whether a password is stored and can be read
    #[arg(long)]
    pub check: bool,
    /// Prefix of the clone's files
    #[arg(short = 'g', long, value_name = "PREFIX", default_value = DEFAULT_PREFIX)]
    pub organisation_prefix: Prefix,
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Store the password for server backups
    ///
    /// It is stored in the System keychain on macOS, in systemd's encrypted credential store on Linux, and used by -B. Both
    /// need the same -g.
    #[command(after_long_help = SETPASS_CODES)]
    Setpass(SetpassArgs),
    /// Check what a clone would run into; read-only
    ///
    /// Takes every option of a clone, and -s and -d are optional. Each line of the answer is OK, WARN or FAIL, with what to
    /// do about it.
    #[command(after_long_help = DOCTOR_CODES)]
    Doctor(Box<DoctorArgs>),
    /// Show the clones that this machine remembers: how old they are, and when they are made next
    ///
    /// It writes nothing and needs no root. The markers at the destinations count too, as far as this user can read them; a
    /// disk that does not answer is left alone after --timeout. Whether a clone is too old is for `check` to say.
    #[command(after_long_help = STATUS_CODES)]
    Status(StatusArgs),
    /// Forget a clone that was given up, so that status and check no longer name it
    ///
    /// Removes what this machine remembers of it: its state and its index. Nothing at the destination is touched, and logs,
    /// schedules, jobs and passwords stay.
    #[command(after_long_help = FORGET_CODES)]
    Forget(ForgetArgs),
    /// Check the state of clones; a Nagios-compatible plugin
    ///
    /// Prints the state on one line, with performance data. It writes nothing and needs no root. A link to the program by
    /// the name of `check_counterpart_clone` does the same.
    #[command(version, after_long_help = CHECK_CODES)]
    Check(CheckArgs),
    /// Prints what the markers at a destination say, for the plugin
    #[command(hide = true)]
    Look(LookArgs),
    /// Manage scheduled clones
    ///
    /// The clones are started by systemd on Linux and by launchd on macOS.
    #[command(after_long_help = SCHEDULE_CODES)]
    Schedule(schedule::ScheduleArgs),
    /// Restore what a clone with --safety-net deleted or overwrote
    ///
    /// Copies files and directories with all their properties. Nothing that exists is overwritten, and the net keeps what it
    /// has.
    #[command(after_long_help = RESTORE_CODES)]
    Restore(RestoreArgs),
    /// Read a clone again and compare it with its source
    ///
    /// Compares the properties of all entries and the contents of all files, from the disk and not from memory. What has
    /// changed at the source since the clone is counted; what differs although the source is as it was is damage. Nothing
    /// is written without --repair. Give it the options of the clone that decide what belongs to it.
    #[command(after_long_help = VERIFY_CODES)]
    Verify(Box<VerifyArgs>),
    /// Boot a clone in a virtual machine and check it from inside
    ///
    /// The clone's disk is started by its own boot loader in QEMU, without a network. Nothing is written to it: what the
    /// guest writes goes to a temporary file. A guest with systemd (252 or later) reports whether it is up, which units
    /// have failed, and whether its root and every line of its fstab are on this disk.
    #[command(after_long_help = PROVE_CODES)]
    Prove(ProveArgs),
    /// Prepare a disk for a clone that boots: partitions and filesystems like a system's (Linux)
    ///
    /// Prints a plan and what is on the disk now. Nothing is written before the disk's serial number or WWN has been typed in
    /// full, on an empty disk at the prompt, on any other with --erase. A disk that is in use is refused in any case.
    #[command(after_long_help = PREPARE_CODES)]
    Prepare(PrepareArgs),
    /// Make the clones of a job, whose options stand in a file
    ///
    /// The clones are made one after another, each with its own log and record; one that fails does not keep the next from
    /// being made. The options given here hold for this run.
    #[command(after_long_help = RUN_CODES)]
    Run(RunArgs),
    /// Write a job's file
    #[command(after_long_help = JOB_CODES)]
    Job(JobArgs),
    /// Print the built-in exclusions, one pattern a line
    ///
    /// Without options, those of a clone of this whole system.
    Exclusions(ExclusionsArgs),
    /// Print the man page or a shell's completions
    #[command(hide = true)]
    Generate(GenerateArgs),
}

/// `counterpart exclusions`: of which clone.
#[derive(Debug, Clone, clap::Args)]
pub struct ExclusionsArgs {
    /// Print those of a clone of this directory
    #[arg(short, long, value_name = "DIR")]
    pub source: Option<PathBuf>,
    /// Print those of this system: linux or macos
    #[arg(long, value_name = "SYSTEM", hide_possible_values = true)]
    pub system: Option<SystemName>,
}

/// A system, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SystemName {
    /// Linux.
    Linux,
    /// macOS.
    Macos,
}

impl From<SystemName> for System {
    fn from(name: SystemName) -> Self {
        match name {
            SystemName::Linux => Self::Linux,
            SystemName::Macos => Self::MacOs,
        }
    }
}

/// `counterpart generate`: what, and where to.
#[derive(Debug, Clone, clap::Args)]
pub struct GenerateArgs {
    /// What to print
    pub what: Generated,
    /// Write all man pages to man8 and man5 below this directory instead of printing the main one
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
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
    /// The JSON Schema of job files.
    JobSchema,
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
    /// Show the clones that this machine remembers.
    Status(StatusArgs),
    /// Remove what this machine remembers of a clone.
    Forget(ForgetArgs),
    /// Check clones for a monitoring system.
    Check(CheckArgs),
    /// Answer a monitoring system that has asked for help, or in a way that makes no sense.
    ExplainCheck(clap::Error),
    /// Print what the markers at a destination say.
    Look(LookArgs),
    /// Install, show, start or remove a schedule.
    Schedule(schedule::Action),
    /// Bring files back from the safety nets.
    Restore(RestoreArgs),
    /// Compare a clone with its source.
    Verify(Box<VerifyArgs>),
    /// Boot a clone in a virtual machine.
    Prove(ProveArgs),
    /// Prepare a disk.
    Prepare(PrepareArgs),
    /// Make the clones of a job.
    Run(RunArgs),
    /// Tell what the clones of a job would meet.
    DoctorJob(JobClones),
    /// Write a job's file.
    InitJob(Init),
    /// Print the built-in exclusions.
    Exclusions(ExclusionsArgs),
    /// Print a generated document.
    Generate(GenerateArgs),
}

impl Action {
    /// The clone that it makes or asks about, if that is known by now.
    fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Clone(plan) => Some(plan),
            Self::Doctor(inquiry) => Some(&inquiry.plan),
            // What else takes a clone's arguments refuses a password among them.
            Self::Setpass(_)
            | Self::Status(_)
            | Self::Forget(_)
            | Self::Check(_)
            | Self::ExplainCheck(_)
            | Self::Look(_)
            | Self::Schedule(_)
            | Self::Restore(_)
            | Self::Verify(_)
            | Self::Prove(_)
            | Self::Prepare(_)
            | Self::Run(_)
            | Self::DoctorJob(_)
            | Self::InitJob(_)
            | Self::Exclusions(_)
            | Self::Generate(_) => None,
        }
    }

    /// The password that was typed as an argument.
    #[must_use]
    pub fn typed_password(&self) -> Option<&Once> {
        match &self.plan()?.backup {
            Some(BackupPassword::Given(secret)) => Some(secret),
            Some(BackupPassword::Stored) | None => None,
        }
    }

    /// Whether a password may be in memory from now on.
    #[must_use]
    pub fn may_hold_a_password(&self) -> bool {
        self.plan().is_some_and(|plan| plan.backup.is_some())
            || matches!(self, Self::Prepare(args) if args.encrypt)
            // What a job's file says is not known yet.
            || matches!(self, Self::Setpass(_) | Self::Run(_) | Self::DoctorJob(_))
    }
}

/// The definition of the command line, with the exit codes below its help.
#[must_use]
pub fn definition() -> clap::Command {
    Args::command().after_long_help(after_help()).after_help(SHORT)
}

fn after_help() -> String {
    format!("Exit codes:\n{}{MORE}", exit_code::table_text())
}

/// The arguments of a clone among those that were read; `None` where they are those of something else.
fn clone_of(matches: &clap::ArgMatches) -> Result<Option<(CloneArgs, CloneOptions)>, clap::Error> {
    let args = <Args as clap::FromArgMatches>::from_arg_matches(matches)?;
    if args.json {
        return Err(definition().error(ErrorKind::ArgumentConflict, "--json is for a test run that is typed"));
    }
    Ok(args.clone.map(|clone| (clone, args.options)))
}

/// The clone that is made with these arguments; errors with a sentence.
pub fn clone_from(arguments: impl Iterator<Item = OsString>) -> Result<Plan, String> {
    let sentence = |error: clap::Error| {
        let text = error.render().to_string();
        let first = text.lines().next().unwrap_or_default();
        first.strip_prefix("error: ").unwrap_or(first).to_owned()
    };
    let mut definition = definition();
    let words = std::iter::once(OsString::from("counterpart")).chain(arguments);
    let matches = words::read(&mut definition, words).map_err(sentence)?;
    match clone_of(&matches).map_err(sentence)? {
        Some((ends, options)) => clone_plan(&ends, options),
        None => Err("it makes no clone".to_owned()),
    }
}

/// Whether they are, and a clone could be made with them.
fn is_clone(matches: &clap::ArgMatches) -> Result<bool, clap::Error> {
    let Some((ends, options)) = clone_of(matches)? else { return Ok(false) };
    let wrong = |message| definition().error(ErrorKind::ValueValidation, message);
    clone_plan(&ends, options).map(|_| true).map_err(wrong)
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
            .map(|examined| match examined {
                Examined::Clone(inquiry) => Action::Doctor(inquiry),
                Examined::Job(job) => Action::DoctorJob(job),
            })
            .map_err(|message| definition.error(ErrorKind::ValueValidation, message)),
        (Some(Commands::Status(args)), _) => args
            .resolve()
            .map(Action::Status)
            .map_err(|message| definition.error(ErrorKind::ValueValidation, message)),
        (Some(Commands::Forget(args)), _) => args
            .resolve()
            .map(Action::Forget)
            .map_err(|message| definition.error(ErrorKind::ValueValidation, message)),
        (Some(Commands::Check(args)), _) => Ok(args.resolve().map_or_else(
            |message| Action::ExplainCheck(definition.error(ErrorKind::ValueValidation, message)),
            Action::Check,
        )),
        (Some(Commands::Look(args)), _) => Ok(Action::Look(args)),
        (Some(Commands::Schedule(args)), _) => args.resolve(&mut definition, clone_of).map(Action::Schedule),
        (Some(Commands::Run(args)), _) => Ok(Action::Run(args)),
        (Some(Commands::Job(args)), _) => args.resolve(&mut definition, is_clone).map(Action::InitJob),
        (Some(Commands::Restore(args)), _) => restore::resolve(args)
            .map(Action::Restore)
            .map_err(|message| definition.error(ErrorKind::ValueValidation, message)),
        (Some(Commands::Verify(args)), _) => {
            // What is remembered of the source is not known yet, and any other does to check the rest.
            if args.job.is_none() {
                clone_from(args.clone_words(OsStr::new("/")).into_iter())
                    .map_err(|message| definition.error(ErrorKind::ValueValidation, message))?;
            }
            Ok(Action::Verify(args))
        }
        (Some(Commands::Prove(args)), _) => prove::resolve(args)
            .map(Action::Prove)
            .map_err(|message| definition.error(ErrorKind::ValueValidation, message)),
        (Some(Commands::Prepare(args)), _) => prepare::resolve(args)
            .map(Action::Prepare)
            .map_err(|message| definition.error(ErrorKind::ValueValidation, message)),
        (Some(Commands::Exclusions(args)), _) => Ok(Action::Exclusions(args)),
        (Some(Commands::Generate(args)), _) => Ok(Action::Generate(args)),
        (None, Some(clone)) => clone_plan(&clone, args.options)
            .map(|plan| Action::Clone(Box::new(if args.json { plan.printing_json() } else { plan })))
            .map_err(|message| definition.error(ErrorKind::ValueValidation, message)),
        (None, None) => Err(definition.error(
            ErrorKind::MissingRequiredArgument,
            "the source (-s) and the destination (-d) are required",
        )),
    }
}
