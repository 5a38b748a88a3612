//! The command line of `counterpart restore`.

use std::path::{Path, PathBuf};

use super::absolute;
use crate::plan::{DEFAULT_PREFIX, Prefix};

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
    /// Take it from this net: its number, its local time (YYYY-MM-DD, YYYY-MM-DD_HH-MM-SS) or latest, instead of the
    /// newest that holds it
    #[arg(long, value_name = "NET")]
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

/// With absolute paths.
pub(super) fn resolve(mut args: RestoreArgs) -> Result<RestoreArgs, String> {
    args.destination = absolute(&args.destination, "--destination")?;
    if !args.list {
        args.to = Some(absolute(args.to.as_deref().unwrap_or(Path::new(".")), "--to")?);
    }
    args.rsync = args.rsync.map(|path| absolute(&path, "--rsync")).transpose()?;
    Ok(args)
}
