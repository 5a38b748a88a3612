//! The command lines of `counterpart status` and `counterpart forget`.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::check::parse_timeout;
use crate::cli::paths::destination;
use crate::marker::{DEFAULT_PREFIX, Prefix};

/// `counterpart status`: which clones are shown, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct StatusArgs {
    /// Show this clone instead of all that this machine remembers
    #[arg(short, long, value_name = "DIR|TAG")]
    pub destination: Option<PathBuf>,
    /// Prefix of the clone's files [default: me.jedda; without -d, any]
    #[arg(short = 'g', long, value_name = "PREFIX")]
    pub organisation_prefix: Option<Prefix>,
    /// Leave a disk that does not answer alone after this long: seconds, or 10s, 1min
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = parse_timeout)]
    pub timeout: Duration,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `counterpart forget`: which clone.
#[derive(Debug, Clone, clap::Args)]
pub struct ForgetArgs {
    /// Forget the clone at this destination, which need not be there
    #[arg(short, long, value_name = "DIR|TAG")]
    pub destination: PathBuf,
    /// Prefix of the clone's files
    #[arg(short = 'g', long, value_name = "PREFIX", default_value = DEFAULT_PREFIX)]
    pub organisation_prefix: Prefix,
}

impl StatusArgs {
    /// The same with an absolute destination.
    pub fn resolve(mut self) -> Result<Self, String> {
        self.destination =
            self.destination.map(|path| destination(&path).map(|found| found.path)).transpose()?;
        Ok(self)
    }
}

impl ForgetArgs {
    /// The same with an absolute destination.
    pub fn resolve(mut self) -> Result<Self, String> {
        self.destination = destination(&self.destination)?.path;
        Ok(self)
    }
}
