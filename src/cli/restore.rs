//! The command line of `counterpart restore`.

use std::path::{Path, PathBuf};

use crate::cli::paths::{Destination, absolute, destination};
use crate::marker::{DEFAULT_PREFIX, Prefix};
use crate::plan::tag::Tag;

/// `counterpart restore`: what is brought back from the safety nets.
#[derive(Debug, Clone, clap::Args)]
pub struct RestoreArgs {
    /// Restore from the safety nets of this clone
    #[arg(short, long, value_name = "DIR|TAG")]
    pub destination: PathBuf,
    /// What its filesystem is named by, if not by a path.
    #[arg(skip)]
    pub named: Option<Tag>,
    /// Open an encrypted clone (LUKS) with the key in this file, which only root may read
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Prefix of the clone's files
    #[arg(short = 'g', long, value_name = "PREFIX", default_value = DEFAULT_PREFIX)]
    pub organisation_prefix: Prefix,
    /// List the safety nets, or those that hold the given paths
    #[arg(long, conflicts_with_all = ["at", "to"])]
    pub list: bool,
    /// Print the list as JSON
    #[arg(long, requires = "list")]
    pub json: bool,
    /// Restore from this net instead of the newest that holds the path: its number, its local time (YYYY-MM-DD,
    /// YYYY-MM-DD_HH-MM-SS) or latest
    #[arg(long, value_name = "NET")]
    pub at: Option<String>,
    /// Restore to this existing directory instead of the current one
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// Use this rsync instead of searching for one
    #[arg(long, value_name = "FILE")]
    pub rsync: Option<PathBuf>,
    /// Restore this path, relative to the top of the clone, with or without a leading slash
    #[arg(value_name = "PATH", required_unless_present = "list")]
    pub paths: Vec<PathBuf>,
}

/// With absolute paths.
pub(super) fn resolve(mut args: RestoreArgs) -> Result<RestoreArgs, String> {
    Destination { path: args.destination, named: args.named } = destination(&args.destination)?;
    args.key_file = args.key_file.map(|path| absolute(&path, "--key-file")).transpose()?;
    if !args.list {
        args.to = Some(absolute(args.to.as_deref().unwrap_or(Path::new(".")), "--to")?);
    }
    args.rsync = args.rsync.map(|path| absolute(&path, "--rsync")).transpose()?;
    Ok(args)
}
