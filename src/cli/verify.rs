//! The command line of `counterpart verify`.

use std::ffi::{OsStr, OsString};

use crate::marker::{DEFAULT_PREFIX, Prefix};
use crate::plan::schedule::Name;
use crate::plan::share::Share;

/// `counterpart verify`: which clone, and how much of it.
#[derive(Debug, Clone, clap::Args)]
pub struct VerifyArgs {
    /// Compare with this directory instead of the one that the clone was made of, as this machine remembers it
    #[arg(short, long, value_name = "DIR")]
    source: Option<OsString>,
    /// Verify this clone
    #[arg(short, long, value_name = "DIR|TAG", required_unless_present = "job")]
    destination: Option<OsString>,
    /// Verify the clones of this job, by what its file says
    #[arg(long, value_name = "NAME", conflicts_with_all = ["source", "destination", "CloneWords"])]
    pub job: Option<Name>,
    /// Verify the clone to this destination of the job alone
    #[arg(long, value_name = "DESTINATION", requires = "job")]
    pub only: Option<Name>,
    /// Read the contents of this share of the files, every day of another: 5%, 0.5%
    ///
    /// Properties of all entries are compared all the same.
    #[arg(long, value_name = "P%", value_parser = Share::parse, conflicts_with = "full")]
    pub sample: Option<Share>,
    /// Read the contents of all files, as without an option
    #[arg(long)]
    pub full: bool,
    /// Compare the clone with the hashes that were kept of it (--hashes), without its source
    ///
    /// They tell that contents have changed, not where.
    #[arg(long, conflicts_with_all = ["source", "repair", "exclude_from", "filesystems", "bootable", "rsync"])]
    pub alone: bool,
    /// Copy what is damaged anew, and compare it again
    #[arg(long)]
    pub repair: bool,
    /// Keep what a repair replaces for DAYS days, 30 without a number
    #[arg(long, value_name = "DAYS", num_args = 0..=1, require_equals = true, default_missing_value = "30",
        value_parser = clap::value_parser!(u32).range(1..=36_500), requires = "repair", conflicts_with = "job")]
    safety_net: Option<u32>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// What else the clone is made with.
    #[command(flatten)]
    words: CloneWords,
}

/// What decides which entries belong to a clone: to be given as to the clone itself.
#[derive(Debug, Clone, clap::Args)]
struct CloneWords {
    /// Leave out what the clone excludes by this file
    #[arg(short, long, value_name = "FILE")]
    exclude_from: Option<OsString>,
    /// Prefix of the clone's files
    #[arg(short = 'g', long, value_name = "PREFIX", default_value = DEFAULT_PREFIX)]
    organisation_prefix: Prefix,
    /// The clone is made with these filesystems below the source
    #[arg(long, value_name = "all|none|PATHS")]
    filesystems: Option<OsString>,
    /// The clone is made with --bootable: what it has of its own is left out
    #[arg(long)]
    bootable: bool,
    /// Open an encrypted clone (LUKS) with the key in this file, which only root may read
    #[arg(long, value_name = "FILE")]
    key_file: Option<OsString>,
    /// Use this rsync, for what a clone keeps and for a repair, instead of searching for one
    #[arg(long, value_name = "FILE")]
    rsync: Option<OsString>,
    /// The clone is a directory below /mnt, /media or /Volumes on which no disk is mounted
    #[arg(long)]
    allow_folder: bool,
}

impl VerifyArgs {
    /// The arguments of the clone that is meant, if it is made of this source; one that was given comes first.
    #[must_use]
    pub fn clone_words(&self, source: &OsStr) -> Vec<OsString> {
        let words = &self.words;
        let mut arguments: Vec<OsString> = vec!["-g".into(), words.organisation_prefix.to_string().into()];
        let ends = [
            ("--source=", Some(self.source.as_deref().unwrap_or(source))),
            ("--destination=", self.destination.as_deref()),
            ("--exclude-from=", words.exclude_from.as_deref()),
            ("--filesystems=", words.filesystems.as_deref()),
            ("--key-file=", words.key_file.as_deref()),
            ("--rsync=", words.rsync.as_deref()),
        ];
        for (option, value) in ends.into_iter().filter_map(|(option, value)| Some((option, value?))) {
            // In one word with its option, a value may begin with a hyphen.
            let mut argument = OsString::from(option);
            argument.push(value);
            arguments.push(argument);
        }
        arguments.extend(self.safety_net.map(|days| OsString::from(format!("--safety-net={days}"))));
        for (option, is_given) in [("--bootable", words.bootable), ("--allow-folder", words.allow_folder)] {
            if is_given {
                arguments.push(option.into());
            }
        }
        arguments
    }

    /// Whether the source was given.
    #[must_use]
    pub fn has_source(&self) -> bool {
        self.source.is_some()
    }
}
