//! The command line: what may be typed, and how it becomes a [`Plan`].

pub mod check;
pub mod schedule;

use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::address::Address;
use crate::exit_code;
use crate::plan::{BackupPassword, DEFAULT_PREFIX, Plan, Prefix};
use crate::process::hide_argument;
use crate::secret::Secret;
use crate::shown;
use check::{CheckArgs, LookArgs};

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

/// `counterpart restore`: what is brought back from the safety nets.
#[derive(Debug, Clone, clap::Args)]
pub struct RestoreArgs {
    /// The destination of the clone whose safety nets are meant
    #[arg(short, long, value_name = "DIR")]
    pub destination: PathBuf,
    /// The prefix that the clone is run with
    #[arg(short = 'g', long, value_name = "PREFIX", default_value = DEFAULT_PREFIX)]
    pub organisation_prefix: Prefix,
    /// Only list the safety nets, or those that hold the given paths
    #[arg(long, conflicts_with_all = ["at", "to"])]
    pub list: bool,
    /// Take it from this net: YYYY-MM-DD, YYYY-MM-DD_HH-MM-SS or latest, instead of the newest that holds it
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Where to, instead of the current folder; must exist
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// The rsync to use, instead of searching
    #[arg(long, value_name = "FILE")]
    pub rsync: Option<PathBuf>,
    /// What to bring back, counted from the top of the clone, with or without a leading slash
    #[arg(value_name = "PATH", required_unless_present = "list")]
    pub paths: Vec<PathBuf>,
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

#[derive(Debug, clap::Args)]
struct CloneArgs {
    /// What to clone: its contents become the destination's contents, with or without a trailing slash
    #[arg(short, long, value_name = "DIR")]
    source: PathBuf,
    /// Where to; must exist
    #[arg(short, long, value_name = "DIR")]
    destination: PathBuf,
}

/// `counterpart doctor`: what a clone takes, with ends that need not be named.
#[derive(Debug, clap::Args)]
struct DoctorArgs {
    /// What would be cloned; without it, nothing is told of a source
    #[arg(short, long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// Where to; without it, nothing is told of a destination
    #[arg(short, long, value_name = "DIR")]
    destination: Option<PathBuf>,
    /// Print JSON instead of lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: CloneOptions,
}

#[derive(Debug, clap::Args)]
struct CloneOptions {
    /// Exclusion patterns, in rsync's syntax, added to the built-in ones
    #[arg(short, long, value_name = "FILE")]
    exclude_from: Option<PathBuf>,
    /// Back up directory and database servers before the clone, with this password. Every user can see it in the list
    /// of processes: -B is better
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "backup_keychain", value_parser = parse_secret)]
    backup_password: Option<Secret>,
    /// The same, with the password that `counterpart setpass` has stored
    #[arg(short = 'B', long)]
    backup_keychain: bool,
    /// Where the server backup goes, instead of /var/backups/counterpart
    #[arg(long, value_name = "DIR")]
    backup_dir: Option<PathBuf>,
    /// Executable run before the clone, its output logged
    #[arg(short, long, value_name = "FILE")]
    pre_script: Option<PathBuf>,
    /// Executable run after a successful clone, its output logged
    #[arg(short = 'o', long, value_name = "FILE")]
    post_script: Option<PathBuf>,
    /// Reverse-domain prefix of the files left at the destination: letters, digits, '-', '.', '_', no leading dot
    #[arg(short = 'g', long, value_name = "PREFIX", default_value = DEFAULT_PREFIX)]
    organisation_prefix: Prefix,
    /// Verbose dry run: logs what would change, changes nothing at all, exits with 70
    #[arg(short, long)]
    test_run: bool,
    /// The rsync to use, instead of searching
    #[arg(long, value_name = "FILE")]
    rsync: Option<PathBuf>,
    /// The log folder, instead of the default one
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// How many logs stay in the log folder, this run's included; 0 keeps them all
    #[arg(long, value_name = "N", default_value = "60")]
    keep_logs: usize,
    /// Let the first clone delete what the destination already holds, and accept another disk than before
    #[arg(long)]
    adopt: bool,
    /// Let the source have lost more than half of its entries since the last complete clone
    #[arg(long)]
    allow_shrink: bool,
    /// Do not check beforehand whether the clone fits: for sources and destinations with shared, compressed or
    /// preallocated blocks
    #[arg(long)]
    no_space_check: bool,
    /// Clone into a folder of /mnt, /media or /Volumes though no disk is mounted there
    #[arg(long)]
    allow_folder: bool,
    /// A failing pre-clone script stops the run (81), a failing post-clone script fails it (82)
    #[arg(long)]
    strict_scripts: bool,
    /// Clone without root; ownership and special files are then not kept, and the log says so
    #[arg(long)]
    allow_non_root: bool,
    /// Try the transfer again, so often, after a failure that may pass: rsync's 10, 12, 30 and 35, and vanished files
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100))]
    retries: u32,
    /// The pause before another attempt: 90s, 5min, 1h
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_wait)]
    retry_wait: Duration,
    /// Exit with 0, not 24, when files vanished from the source while they were copied
    #[arg(long)]
    vanished_ok: bool,
    /// Write how the run went for Prometheus' textfile collector; the name must end in .prom
    #[arg(long, value_name = "FILE")]
    metrics_file: Option<PathBuf>,
    /// Tell this address, as healthchecks.io has it: URL/start at the beginning, then URL, or URL/fail
    #[arg(long, value_name = "URL")]
    ping: Option<Address>,
    /// Executable run after any failure, its output logged
    #[arg(long, value_name = "FILE")]
    on_error: Option<PathBuf>,
    /// End with 0, having done nothing, when the destination does not exist or its disk is not mounted
    #[arg(long)]
    skip_if_missing: bool,
    /// Keep what the clone deletes or overwrites at the destination for DAYS days, 30 if no number is given
    #[arg(long, value_name = "DAYS", num_args = 0..=1, require_equals = true, default_missing_value = "30",
        value_parser = clap::value_parser!(u32).range(1..=36_500))]
    safety_net: Option<u32>,
}

/// What the doctor is asked.
#[derive(Debug)]
pub struct Inquiry {
    /// The clone that is meant; an end that was not named is an empty path. Always a test run, so that no phase writes.
    pub plan: Plan,
    /// A source was named.
    pub has_source: bool,
    /// A destination was named.
    pub has_destination: bool,
    /// JSON is wanted.
    pub json: bool,
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
        (Some(Commands::Restore(args)), _) => resolve(args)
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

/// A password is bytes to us; clap hands over text.
#[allow(clippy::unnecessary_wraps, reason = "the form of clap's value parsers")]
fn parse_secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.as_bytes().to_vec()))
}

/// The longest pause between two attempts: by then the next night's run is due.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

fn parse_wait(text: &str) -> Result<Duration, String> {
    let wait = humantime::parse_duration(text).map_err(|error| format!("{error}; write 90s, 5min or 1h"))?;
    if wait <= LONGEST_WAIT { Ok(wait) } else { Err("it is longer than a day".to_owned()) }
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

fn clone_plan(ends: &CloneArgs, options: CloneOptions) -> Result<Plan, String> {
    let source = absolute(&ends.source, "--source")?;
    plan(source, absolute(&ends.destination, "--destination")?, options)
}

fn inquiry(args: DoctorArgs) -> Result<Inquiry, String> {
    let end = |path: Option<&Path>, option| path.map_or(Ok(PathBuf::new()), |path| absolute(path, option));
    let source = end(args.source.as_deref(), "--source")?;
    let destination = end(args.destination.as_deref(), "--destination")?;
    let plan = Plan { test_run: true, ..plan(source, destination, args.options)? };
    Ok(Inquiry {
        plan,
        has_source: args.source.is_some(),
        has_destination: args.destination.is_some(),
        json: args.json,
    })
}

fn plan(source: PathBuf, destination: PathBuf, args: CloneOptions) -> Result<Plan, String> {
    let optional = |path: Option<PathBuf>, option| path.map(|path| absolute(&path, option)).transpose();
    Ok(Plan {
        source,
        destination,
        exclude_from: optional(args.exclude_from, "--exclude-from")?,
        backup: match (args.backup_password, args.backup_keychain) {
            (Some(secret), _) => {
                hide_argument(&secret);
                if let Some(why) = secret.objection() {
                    return Err(format!("--backup-password {why}"));
                }
                Some(BackupPassword::Given(secret))
            }
            (None, true) => Some(BackupPassword::Stored),
            (None, false) => None,
        },
        backup_dir: optional(args.backup_dir, "--backup-dir")?,
        pre_script: optional(args.pre_script, "--pre-script")?,
        post_script: optional(args.post_script, "--post-script")?,
        prefix: args.organisation_prefix,
        test_run: args.test_run,
        rsync: optional(args.rsync, "--rsync")?,
        log_dir: optional(args.log_dir, "--log-dir")?,
        keep_logs: NonZeroUsize::new(args.keep_logs),
        adopt: args.adopt,
        allow_shrink: args.allow_shrink,
        no_space_check: args.no_space_check,
        allow_folder: args.allow_folder,
        strict_scripts: args.strict_scripts,
        allow_non_root: args.allow_non_root,
        retries: args.retries,
        retry_wait: args.retry_wait,
        vanished_ok: args.vanished_ok,
        metrics_file: metrics_file(args.metrics_file)?,
        ping: args.ping,
        on_error: optional(args.on_error, "--on-error")?,
        skip_if_missing: args.skip_if_missing,
        safety_net: args.safety_net,
    })
}

/// The collector reads no other files: with another name nobody would ever notice that nothing arrives.
fn metrics_file(path: Option<PathBuf>) -> Result<Option<PathBuf>, String> {
    let Some(path) = path else { return Ok(None) };
    let path = absolute(&path, "--metrics-file")?;
    match (path.extension(), path.file_stem()) {
        (Some(extension), Some(_)) if extension == "prom" => Ok(Some(path)),
        _ => Err("--metrics-file must end in .prom: the textfile collector reads no other file".to_owned()),
    }
}

fn resolve(mut args: RestoreArgs) -> Result<RestoreArgs, String> {
    args.destination = absolute(&args.destination, "--destination")?;
    if !args.list {
        args.to = Some(absolute(args.to.as_deref().unwrap_or(Path::new(".")), "--to")?);
    }
    args.rsync = args.rsync.map(|path| absolute(&path, "--rsync")).transpose()?;
    Ok(args)
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
