//! The options of a clone, and how they become a [`Plan`].

use std::ffi::OsString;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::{OsStringValueParser, TypedValueParser as _};

use crate::cli::job::JobClones;
use crate::cli::paths;
use crate::cli::paths::{Destination, absolute, destination};
use crate::logging::shown::{Colour, Verbosity};
use crate::marker::{DEFAULT_PREFIX, Prefix};
use crate::plan::frozen::{Frozen, Room};
use crate::plan::hashes;
use crate::plan::ping_url::Address;
use crate::plan::proof::Frequency;
use crate::plan::schedule::Name;
use crate::plan::share::Share;
use crate::plan::{BackupPassword, Filesystems, MaxDelete, Ping, Plan, Tags, Tuning};
use crate::secret::{Once, Secret};

// The groups of the help.
const BACKUP: &str = "Server backup";
const REPORTS: &str = "Scripts and reports";
const SAFETY: &str = "Safety";
const TRANSFER: &str = "Transfer";
const BOOTING: &str = "Disks and booting";

/// The ends of a clone.
#[derive(Debug, clap::Args)]
pub(super) struct CloneArgs {
    /// Clone the contents of this directory, with or without a trailing slash
    #[arg(short, long, value_name = "DIR")]
    source: PathBuf,
    /// Make this directory the clone; must exist
    ///
    /// Or name a filesystem by UUID=, LABEL=, PARTUUID=, PARTLABEL= or a link in /dev/disk: it is mounted for the run alone.
    #[arg(short, long, value_name = "DIR|TAG")]
    destination: PathBuf,
}

/// `counterpart doctor`: what a clone takes, with ends that need not be named.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// Check this source
    #[arg(short, long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// Check this destination
    #[arg(short, long, value_name = "DIR|TAG")]
    destination: Option<PathBuf>,
    /// Check the clones of this job, by what its file says
    #[arg(long, value_name = "NAME", conflicts_with_all = ["source", "destination", "CloneOptions"])]
    job: Option<Name>,
    /// Check the clone to this destination of the job alone
    #[arg(long, value_name = "DESTINATION", requires = "job")]
    only: Option<Name>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: CloneOptions,
}

/// Everything else that may be said of a clone.
#[derive(Debug, clap::Args)]
pub(super) struct CloneOptions {
    /// Exclude what matches the patterns in this file, in rsync's syntax, besides the built-in ones
    #[arg(short, long, value_name = "FILE")]
    exclude_from: Option<PathBuf>,
    /// Exclude the contents of directories with a valid CACHEDIR.TAG, which stays
    #[arg(long, hide_short_help = true)]
    exclude_caches: bool,
    /// Exclude the contents of directories that hold an entry NAME, which stays; may be repeated
    #[arg(long, value_name = "NAME", value_parser = OsStringValueParser::new().try_map(tag_name), hide_short_help = true)]
    exclude_if_present: Vec<OsString>,
    /// Back up directory and database servers first, with this password; it shows in the process list: prefer -B
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "backup_keychain", value_parser = parse_secret, help_heading = BACKUP)]
    backup_password: Option<Secret>,
    /// Back up servers first, with the password stored by `counterpart setpass`
    #[arg(short = 'B', long, help_heading = BACKUP)]
    backup_keychain: bool,
    /// Write the server backup here instead of /var/backups/counterpart
    #[arg(long, value_name = "DIR", help_heading = BACKUP, hide_short_help = true)]
    backup_dir: Option<PathBuf>,
    /// Run this executable before the clone and log its output
    #[arg(short, long, value_name = "FILE", help_heading = REPORTS)]
    pre_script: Option<PathBuf>,
    /// Run this executable after a successful clone and log its output
    #[arg(short = 'o', long, value_name = "FILE", help_heading = REPORTS)]
    post_script: Option<PathBuf>,
    /// Reverse-domain prefix of Counterpart's files at the destination
    ///
    /// Letters, digits, '-', '.' and '_', at most 100 of them, not beginning with a dot.
    #[arg(short = 'g', long, value_name = "PREFIX", default_value = DEFAULT_PREFIX, help_heading = TRANSFER, hide_short_help = true)]
    organisation_prefix: Prefix,
    /// Log what a clone would change, change nothing, and exit 70
    #[arg(short, long, visible_alias = "dry-run")]
    test_run: bool,
    /// Print only warnings and errors, on standard error
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Print every line of the log and each changed path, on a terminal too
    #[arg(short, long)]
    verbose: bool,
    /// Use colours: auto, always or never
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_short_help = true)]
    color: ColourName,
    /// Open an encrypted destination (LUKS) with the key in this file, which only root may read
    ///
    /// Without it, the password stored by `counterpart setpass` is its passphrase.
    #[arg(long, value_name = "FILE", help_heading = BOOTING, hide_short_help = true)]
    key_file: Option<PathBuf>,
    /// Use this rsync instead of searching for one
    #[arg(long, value_name = "FILE", help_heading = TRANSFER, hide_short_help = true)]
    rsync: Option<PathBuf>,
    /// Write the log to this directory
    #[arg(long, value_name = "DIR", help_heading = REPORTS)]
    log_dir: Option<PathBuf>,
    /// Keep the newest N logs, this run's included; 0 keeps all
    #[arg(long, value_name = "N", default_value = "60", help_heading = REPORTS, hide_short_help = true)]
    keep_logs: usize,
    /// List each path that is created, changed or deleted in a file beside the log: yes or no
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true, default_value = "yes",
        default_missing_value = "yes", help_heading = REPORTS, hide_short_help = true)]
    log_changes: YesNo,
    /// Accept a destination that holds other files, or another disk than before; use it once, by hand
    #[arg(long, help_heading = SAFETY)]
    adopt: bool,
    /// Allow a source that has shrunk by more than half, and deletions beyond --max-delete
    #[arg(long, help_heading = SAFETY)]
    allow_shrink: bool,
    /// Let rsync look at every file, instead of only at what has changed since the last clone
    #[arg(long, help_heading = TRANSFER)]
    full: bool,
    /// Make such a full pass at least every DAYS days
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=36_500), help_heading = TRANSFER, hide_short_help = true)]
    full_every: u32,
    /// Write no more than so much a second: 500K, 20M or 1G
    #[arg(long, value_name = "RATE", value_parser = parse_rate, help_heading = TRANSFER, hide_short_help = true)]
    bwlimit: Option<NonZeroU64>,
    /// Compare all files by their contents, in a full pass; reads both ends
    #[arg(long, help_heading = TRANSFER, hide_short_help = true)]
    checksum: bool,
    /// Write what has changed of a large file into its copy, instead of replacing the copy (Linux)
    ///
    /// For destinations that keep snapshots or have no room for a second copy of a disk image. Files of at least 1 MiB with
    /// unchanged owner, permissions and attributes and a single name; others are replaced.
    #[arg(long, conflicts_with_all = ["safety_net", "allow_non_root"], help_heading = TRANSFER, hide_short_help = true)]
    inplace: bool,
    /// Write a changed file whole, with --inplace too; without it that is so in any case
    #[arg(long, help_heading = TRANSFER, hide_short_help = true)]
    whole_file: bool,
    /// Refuse, with 76, to delete more than N entries, or P percent of the entries or bytes, of the clone
    ///
    /// By default more than half, if that is at least 100 entries or 100 MB. --allow-shrink lifts it for one run.
    #[arg(long, value_name = "N|P%", value_parser = parse_max_delete, help_heading = SAFETY)]
    max_delete: Option<MaxDelete>,
    /// Do not check beforehand whether the clone fits
    ///
    /// For sources and destinations with shared, compressed or preallocated blocks.
    #[arg(long, help_heading = SAFETY, hide_short_help = true)]
    no_space_check: bool,
    /// Clone into a directory below /mnt, /media or /Volumes even if no disk is mounted there
    #[arg(long, help_heading = SAFETY, hide_short_help = true)]
    allow_folder: bool,
    /// Fail the run if a script fails: 81 before the clone, 82 after it
    #[arg(long, help_heading = REPORTS, hide_short_help = true)]
    strict_scripts: bool,
    /// Clone without root, keeping neither ownership nor special files
    #[arg(long, help_heading = TRANSFER, hide_short_help = true)]
    allow_non_root: bool,
    /// Retry the transfer up to N times after a transient failure
    ///
    /// Those are rsync's 10, 12, 30 and 35 while both ends are still there, and vanished files.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100), help_heading = TRANSFER, hide_short_help = true)]
    retries: u32,
    /// Wait this long before each retry: 90s, 5min, 1h
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_wait, help_heading = TRANSFER, hide_short_help = true)]
    retry_wait: Duration,
    /// Give up, with 30, after rsync has done nothing at all for this long; 0 or off waits forever
    #[arg(long, value_name = "TIME", default_value = "30min", value_parser = parse_stall_timeout, help_heading = TRANSFER, hide_short_help = true)]
    stall_timeout: StallTimeout,
    /// Exit 0 instead of 24 when files vanish from the source during the clone
    #[arg(long, help_heading = TRANSFER, hide_short_help = true)]
    vanished_ok: bool,
    /// Write metrics for Prometheus's textfile collector; the name must end in .prom
    #[arg(long, value_name = "FILE", help_heading = REPORTS, hide_short_help = true)]
    metrics_file: Option<PathBuf>,
    /// Ping this URL (healthchecks.io convention); it shows in the process list
    ///
    /// Prefer --ping-file. URL/start at the start, then URL after a success or URL/fail after a failure.
    #[arg(long, value_name = "URL", conflicts_with = "ping_file", help_heading = REPORTS)]
    ping: Option<Address>,
    /// Ping the URL in this file, which only root may read
    ///
    /// It is the only line. The file is read at the start of each run: 2 if it cannot be used.
    #[arg(long, value_name = "FILE", help_heading = REPORTS, hide_short_help = true)]
    ping_file: Option<PathBuf>,
    /// Run this executable after any failure and log its output
    #[arg(long, value_name = "FILE", help_heading = REPORTS)]
    on_error: Option<PathBuf>,
    /// Exit 0 without cloning if the destination is missing
    ///
    /// It is missing if it does not exist or its disk is not mounted.
    #[arg(long, help_heading = SAFETY)]
    skip_if_missing: bool,
    /// Clone from a snapshot of the source, so that all files are of one moment (Linux, btrfs and LVM)
    ///
    /// auto: if one can be taken, where the source is /. require: always, otherwise the run ends with 77. never: not at
    /// all. Snapshots are deleted when the run ends.
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_default_value = true, hide_possible_values = true,
        hide_short_help = true, help_heading = BOOTING)]
    snapshot: FrozenName,
    /// Give a snapshot of a logical volume room for this much change: 10% of it, or 5G; 20% or what is free by default
    ///
    /// If more is written there during the run, the run ends with 71. Volumes in a thin pool need none.
    #[arg(long, value_name = "SIZE", value_parser = Room::parse, hide_short_help = true, help_heading = BOOTING)]
    snapshot_size: Option<Room>,
    /// Make the clone start a machine: its own fstab, boot loader and what they need (Linux)
    ///
    /// The destination must be a whole filesystem on a disk of its own, with what the boot loader needs.
    #[arg(long, help_heading = BOOTING)]
    bootable: bool,
    /// Clone these filesystems below the source too, into directories of the same clone (Linux)
    ///
    /// All of those on local disks, none, or those mounted at these paths. All with --bootable, otherwise none.
    #[arg(long, value_name = "all|none|PATHS", value_parser = parse_filesystems, help_heading = BOOTING)]
    filesystems: Option<Filesystems>,
    /// Boot the clone in a virtual machine afterwards, as `counterpart prove` does (Linux)
    ///
    /// After every run, or daily, weekly or monthly: if the clone on this disk has not booted within that time.
    #[arg(long, value_name = "WHEN", num_args = 0..=1, default_missing_value = "always", hide_possible_values = true,
        help_heading = BOOTING)]
    prove: Option<FrequencyName>,
    /// Read this share of the clone again after a run and compare it with the source, every day another: 3%
    ///
    /// After a month of nights at 3% every file has been read. Damage ends the run with 75.
    #[arg(long, value_name = "P%", value_parser = Share::parse_turn, help_heading = SAFETY, hide_short_help = true)]
    verify_daily: Option<Share>,
    /// Keep the hashes of the clone's files, by which it can be verified without its source (verify --alone)
    ///
    /// here: on this machine. both: on the clone as well, for the day when this machine has died.
    #[arg(long, value_name = "here|both", hide_possible_values = true, help_heading = SAFETY, hide_short_help = true)]
    hashes: Option<HashesName>,
    /// Keep what the clone deletes or overwrites for DAYS days, 30 without a number
    #[arg(long, value_name = "DAYS", num_args = 0..=1, require_equals = true, default_missing_value = "30",
        value_parser = clap::value_parser!(u32).range(1..=36_500), help_heading = SAFETY)]
    safety_net: Option<u32>,
}

/// Whether colours are used, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ColourName {
    Auto,
    Always,
    Never,
}

/// Whether the source stands still, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FrozenName {
    Auto,
    Require,
    Never,
}

/// Where hashes are kept, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HashesName {
    Here,
    Both,
}

/// How often the clone is booted, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FrequencyName {
    Always,
    Daily,
    Weekly,
    Monthly,
}

/// Whether something is done, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum YesNo {
    Yes,
    No,
}

/// What the doctor is asked.
#[derive(Debug)]
pub struct Inquiry {
    /// The clone that is meant; an end that was not named is an empty path.
    pub plan: Plan,
    /// A source was named.
    pub has_source: bool,
    /// A destination was named.
    pub has_destination: bool,
    /// JSON is wanted.
    pub json: bool,
}

impl Inquiry {
    /// About a clone of which everything is known.
    #[must_use]
    pub fn of_both_ends(plan: Plan, json: bool) -> Self {
        Self { plan, has_source: true, has_destination: true, json }
    }
}

/// What the doctor examines.
#[derive(Debug)]
pub enum Examined {
    /// A clone by its options.
    Clone(Box<Inquiry>),
    /// The clones of a job.
    Job(JobClones),
}

/// A password is bytes to us; clap hands over text.
#[allow(clippy::unnecessary_wraps, reason = "the form of clap's value parsers")]
fn parse_secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.as_bytes().to_vec()))
}

/// Rules for rsync are lines.
fn tag_name(name: OsString) -> Result<OsString, &'static str> {
    let bytes = name.as_encoded_bytes();
    if bytes.is_empty() || [&b"."[..], b".."].contains(&bytes) || bytes.len() > 255 {
        Err("it is no name of an entry")
    } else if bytes.iter().any(|byte| b"/\n\r".contains(byte)) {
        Err("write a name without slashes and line ends")
    } else {
        Ok(name)
    }
}

fn parse_filesystems(text: &str) -> Result<Filesystems, String> {
    match text {
        "all" => return Ok(Filesystems::All),
        "none" => return Ok(Filesystems::None),
        _ => {}
    }
    let paths: Vec<PathBuf> = text.split(',').map(PathBuf::from).collect();
    if paths.iter().all(|path| path.is_absolute()) {
        Ok(Filesystems::Listed(paths))
    } else {
        Err("write all, none, or absolute paths separated by commas, such as /boot,/home".to_owned())
    }
}

/// In KiB a second, as every rsync understands it.
fn parse_rate(text: &str) -> Result<NonZeroU64, String> {
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let factor = match unit {
        "K" | "k" => 1,
        "M" | "m" => 1 << 10,
        "G" | "g" => 1 << 20,
        _ => 0,
    };
    let rate = number.parse::<u64>().ok().and_then(|number| NonZeroU64::new(number.checked_mul(factor)?));
    rate.ok_or_else(|| "write a number and its unit, such as 500K, 20M or 1G".to_owned())
}

fn parse_max_delete(text: &str) -> Result<MaxDelete, String> {
    let wrong = || "write a number of entries, such as 500, or a share, such as 20%".to_owned();
    match text.strip_suffix('%') {
        Some(percent) => match percent.parse() {
            Ok(percent @ 0..=100) => Ok(MaxDelete::Percent(percent)),
            Ok(_) | Err(_) => Err(wrong()),
        },
        None => text.parse().map(MaxDelete::Entries).map_err(|_| wrong()),
    }
}

/// The longest pause between two attempts: by then the next night's run is due.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

fn parse_wait(text: &str) -> Result<Duration, String> {
    let wait = humantime::parse_duration(text).map_err(|error| format!("{error}; write 90s, 5min or 1h"))?;
    if wait <= LONGEST_WAIT { Ok(wait) } else { Err("it is longer than a day".to_owned()) }
}

/// How long rsync may do nothing; forever without a time.
#[derive(Debug, Clone, Copy)]
struct StallTimeout(Option<Duration>);

fn parse_stall_timeout(text: &str) -> Result<StallTimeout, String> {
    if matches!(text, "0" | "off") {
        return Ok(StallTimeout(None));
    }
    let limit =
        humantime::parse_duration(text).map_err(|error| format!("{error}; write 90s, 30min, 2h, or off"))?;
    Ok(StallTimeout(Some(limit).filter(|limit| !limit.is_zero())))
}

/// What a clone is to do.
pub(super) fn clone_plan(ends: &CloneArgs, options: CloneOptions) -> Result<Plan, String> {
    let source = paths::source(&ends.source)?;
    plan(source, destination(&ends.destination)?, options)
}

/// What the doctor is to look at.
pub(super) fn inquiry(args: DoctorArgs) -> Result<Examined, String> {
    if let Some(name) = args.job {
        return Ok(Examined::Job(JobClones { name, only: args.only, json: args.json }));
    }
    let source = args.source.as_deref().map(paths::source).transpose()?.unwrap_or_default();
    let destination = args.destination.as_deref().map(destination).transpose()?.unwrap_or_default();
    let plan = plan(source, destination, args.options)?;
    Ok(Examined::Clone(Box::new(Inquiry {
        plan,
        has_source: args.source.is_some(),
        has_destination: args.destination.is_some(),
        json: args.json,
    })))
}

fn plan(source: PathBuf, destination: Destination, args: CloneOptions) -> Result<Plan, String> {
    let optional = |path: Option<PathBuf>, option| path.map(|path| absolute(&path, option)).transpose();
    Ok(Plan {
        source,
        destination: destination.path,
        named: destination.named,
        key_file: optional(args.key_file, "--key-file")?,
        exclude_from: optional(args.exclude_from, "--exclude-from")?,
        tags: Tags { caches: args.exclude_caches, names: args.exclude_if_present },
        backup: match (args.backup_password, args.backup_keychain) {
            (Some(secret), _) => {
                if let Some(why) = secret.objection() {
                    return Err(format!("--backup-password {why}"));
                }
                Some(BackupPassword::Given(Once::new(secret)))
            }
            (None, true) => Some(BackupPassword::Stored),
            (None, false) => None,
        },
        backup_dir: optional(args.backup_dir, "--backup-dir")?,
        pre_script: optional(args.pre_script, "--pre-script")?,
        post_script: optional(args.post_script, "--post-script")?,
        prefix: args.organisation_prefix,
        test_run: args.test_run,
        json: false,
        verbosity: match (args.quiet, args.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        },
        colour: match args.color {
            ColourName::Auto => Colour::Auto,
            ColourName::Always => Colour::Always,
            ColourName::Never => Colour::Never,
        },
        rsync: optional(args.rsync, "--rsync")?,
        log_dir: optional(args.log_dir, "--log-dir")?,
        keep_logs: NonZeroUsize::new(args.keep_logs),
        log_changes: args.log_changes == YesNo::Yes,
        adopt: args.adopt,
        allow_shrink: args.allow_shrink,
        full: args.full,
        full_every: args.full_every,
        tuning: Tuning {
            bandwidth: args.bwlimit,
            checksum: args.checksum,
            in_place: args.inplace,
            whole_file: args.whole_file,
        },
        max_delete: args.max_delete.unwrap_or(MaxDelete::Half),
        no_space_check: args.no_space_check,
        allow_folder: args.allow_folder,
        strict_scripts: args.strict_scripts,
        allow_non_root: args.allow_non_root,
        retries: args.retries,
        retry_wait: args.retry_wait,
        stall_timeout: args.stall_timeout.0,
        vanished_ok: args.vanished_ok,
        metrics_file: metrics_file(args.metrics_file)?,
        ping: match args.ping {
            Some(address) => Some(Ping::Address(address)),
            None => optional(args.ping_file, "--ping-file")?.map(Ping::File),
        },
        on_error: optional(args.on_error, "--on-error")?,
        skip_if_missing: args.skip_if_missing,
        snapshot: match args.snapshot {
            FrozenName::Auto => Frozen::Auto,
            FrozenName::Require => Frozen::Require,
            FrozenName::Never => Frozen::Never,
        },
        snapshot_size: args.snapshot_size,
        bootable: args.bootable,
        filesystems: args.filesystems.unwrap_or(if args.bootable {
            Filesystems::All
        } else {
            Filesystems::None
        }),
        prove: args.prove.map(|when| match when {
            FrequencyName::Always => Frequency::Always,
            FrequencyName::Daily => Frequency::Daily,
            FrequencyName::Weekly => Frequency::Weekly,
            FrequencyName::Monthly => Frequency::Monthly,
        }),
        verify_daily: args.verify_daily,
        hashes: args.hashes.map(|place| match place {
            HashesName::Here => hashes::Kept::Here,
            HashesName::Both => hashes::Kept::Both,
        }),
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
