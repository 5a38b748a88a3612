//! The command line of jobs: `counterpart run` and `counterpart job`.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Command, Subcommand};

use crate::cli::job_text;
use crate::cli::words::read;
use crate::plan::schedule::Name;

/// `counterpart run`: which clones, and what holds for this run.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// Make the clones of this job
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub name: Option<Name>,
    /// Make the clones of every job, one job after another
    #[arg(long, conflicts_with_all = ["name", "only", "adopt"])]
    pub all: bool,
    /// Clone to this destination of the job alone
    #[arg(long, value_name = "DESTINATION")]
    pub only: Option<Name>,
    /// What holds for this run.
    #[command(flatten)]
    pub once: Once,
    /// One of several clones, started by this program
    #[arg(long, hide = true)]
    pub member: bool,
}

/// The options of a clone that make sense for a single run.
#[derive(Debug, Clone, clap::Args)]
pub struct Once {
    /// Log what the clones would change, change nothing, and exit 70
    #[arg(short, long, visible_alias = "dry-run")]
    test_run: bool,
    /// Let rsync look at every file, instead of only at what has changed since the last clone
    #[arg(long)]
    full: bool,
    /// Accept a destination that holds other files, or another disk than before; needs --only if there are several
    #[arg(long)]
    pub adopt: bool,
    /// Allow a source that has shrunk by more than half, and deletions beyond --max-delete
    #[arg(long)]
    allow_shrink: bool,
    /// Do not check beforehand whether the clones fit
    #[arg(long)]
    no_space_check: bool,
    /// Skip a destination that is missing
    #[arg(long)]
    skip_if_missing: bool,
    /// Print only warnings and errors, on standard error
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Print every line of the logs, on a terminal too
    #[arg(short, long)]
    verbose: bool,
}

impl Once {
    /// The options that were given, by their long names.
    #[must_use]
    pub fn given(&self) -> Vec<&'static str> {
        let all = [
            ("test-run", self.test_run),
            ("full", self.full),
            ("adopt", self.adopt),
            ("allow-shrink", self.allow_shrink),
            ("no-space-check", self.no_space_check),
            ("skip-if-missing", self.skip_if_missing),
            ("quiet", self.quiet),
            ("verbose", self.verbose),
        ];
        all.into_iter().filter_map(|(name, is_given)| is_given.then_some(name)).collect()
    }
}

/// `--job` of a command that looks at clones: those of a job.
#[derive(Debug, Clone)]
pub struct JobClones {
    /// The job.
    pub name: Name,
    /// One of its destinations.
    pub only: Option<Name>,
    /// JSON is wanted.
    pub json: bool,
}

/// What is typed behind `job`.
#[derive(Debug, Clone, clap::Args)]
#[command(disable_help_subcommand = true)]
pub struct JobArgs {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Debug, Clone, Subcommand)]
enum Commands {
    /// Write a job's file, with a comment for each option, from the arguments of a clone
    Init(InitArgs),
}

#[derive(Debug, Clone, clap::Args)]
struct InitArgs {
    /// Name of the job: letters, digits, '-' and '_'
    #[arg(value_name = "NAME")]
    name: Name,
    /// Replace an existing file
    #[arg(long)]
    replace: bool,
    /// Print the file instead of writing it; needs no root
    #[arg(long)]
    print: bool,
    /// Arguments of the clone, after two hyphens: -- -s / -d /mnt/clone
    #[arg(last = true, required = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// A job's file that is to be written.
#[derive(Debug)]
pub struct Init {
    /// The job.
    pub name: Name,
    /// A file of that name gives way.
    pub replace: bool,
    /// Only show it.
    pub print: bool,
    /// The file.
    pub text: String,
}

impl JobArgs {
    /// Reads the clone's arguments; the error is clap's.
    pub(super) fn resolve(
        self,
        definition: &mut Command,
        read_clone: ReadClone,
    ) -> Result<Init, clap::Error> {
        let Commands::Init(args) = self.command;
        let words = std::iter::once(OsString::from("counterpart")).chain(args.arguments);
        let matches = read(definition, words)?;
        if !read_clone(&matches)? {
            return Err(definition.error(ErrorKind::ValueValidation, NOT_A_CLONE));
        }
        let text = job_text::of(&args.name, definition, &matches);
        let text = text.map_err(|why| definition.error(ErrorKind::ValueValidation, why))?;
        Ok(Init { name: args.name, replace: args.replace, print: args.print, text })
    }
}

/// Whether the arguments are those of a clone; errors if they do not go together.
pub(super) type ReadClone = fn(&clap::ArgMatches) -> Result<bool, clap::Error>;

const NOT_A_CLONE: &str = "behind the two hyphens stand the arguments of a clone: -- -s / -d /mnt/clone";
