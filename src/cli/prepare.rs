//! The command line of `counterpart prepare`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::paths::absolute;

/// `counterpart prepare`: a disk, and the system that it is laid out like.
#[derive(Debug, Clone, clap::Args)]
pub struct PrepareArgs {
    /// Prepare this whole disk
    #[arg(value_name = "DISK")]
    pub disk: PathBuf,
    /// Lay it out like the system in this directory
    #[arg(long, value_name = "DIR")]
    pub like: PathBuf,
    /// Erase the disk that has this serial number or WWN, typed in full as the plan shows it
    #[arg(long, value_name = "SERIAL-OR-WWN")]
    pub erase: Option<OsString>,
    /// Encrypt the root filesystem with LUKS; the passphrase is typed, or is the one line of standard input
    #[arg(long)]
    pub encrypt: bool,
    /// Read the passphrase from this file, which only root may read: all its bytes
    #[arg(long, value_name = "FILE", requires = "encrypt")]
    pub key_file: Option<PathBuf>,
    /// Write this partition table: gpt, or mbr for a BIOS that cannot start from GPT
    #[arg(long, value_name = "TABLE", default_value = "gpt", hide_possible_values = true)]
    pub table: Table,
}

/// A type of partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Table {
    /// GUID partition table.
    Gpt,
    /// The table of the PC's BIOS.
    Mbr,
}

/// With absolute paths.
pub(super) fn resolve(mut args: PrepareArgs) -> Result<PrepareArgs, String> {
    args.disk = absolute(&args.disk, "DISK")?;
    args.like = absolute(&args.like, "--like")?;
    args.key_file = args.key_file.map(|path| absolute(&path, "--key-file")).transpose()?;
    Ok(args)
}
