//! The command line of `counterpart check`, a monitoring plugin.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::marker::Prefix;
use crate::plan::schedule::Name;

/// The name under which the program is the plugin itself.
pub const PLUGIN: &str = "check_counterpart_clone";

/// The word that makes it the plugin under its own name.
const SUBCOMMAND: &str = "check";

/// The word that makes it the process that touches the destination in the plugin's place.
pub const LOOK: &str = "look";

/// A longer age is no age at all, and would not fit what computes with it: a thousand years.
const LONGEST: Duration = Duration::from_secs(1000 * 365 * 24 * 60 * 60);

/// `counterpart check`: which clone is checked, and by which limits.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// Check this destination instead of all that this machine remembers
    #[arg(short, long, value_name = "DIR|TAG", value_parser = clap::value_parser!(PathBuf))]
    pub destination: Option<PathBuf>,
    /// Check the destinations of this job
    #[arg(long, value_name = "NAME", conflicts_with_all = ["destination", "organisation_prefix"])]
    pub job: Option<Name>,
    /// Return WARNING if the last success is older: minutes, or 26h, 2d, 90min
    #[arg(short, long, value_name = "AGE", default_value = "26h", value_parser = parse_age)]
    pub warning: Duration,
    /// Return CRITICAL if the last success is older: minutes, or 50h, 3d
    #[arg(short, long, value_name = "AGE", default_value = "50h", value_parser = parse_age)]
    pub critical: Duration,
    /// Prefix of the clone's files [default: me.jedda; without -d, any]
    #[arg(short = 'g', long, value_name = "PREFIX")]
    pub organisation_prefix: Option<Prefix>,
    /// Give up with UNKNOWN after this long: seconds, or 10s, 1min
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = parse_timeout)]
    pub timeout: Duration,
    /// Print JSON instead of the plugin's lines; the exit code is the same
    #[arg(long)]
    pub json: bool,
}

/// What the plugin hands to the process that touches the destination in its place.
#[derive(Debug, Clone, clap::Args)]
pub struct LookArgs {
    /// The destination, absolute
    #[arg(short, long, value_name = "DIR")]
    pub destination: PathBuf,
    /// The prefix of its markers
    #[arg(short = 'g', long, value_name = "PREFIX")]
    pub organisation_prefix: Prefix,
}

impl CheckArgs {
    /// The same with an absolute destination; errors with a sentence when the values do not go together.
    pub fn resolve(mut self) -> Result<Self, String> {
        if self.warning > self.critical {
            return Err("--warning is a longer age than --critical".to_owned());
        }
        self.destination = self
            .destination
            .as_deref()
            .map(|path| crate::cli::paths::destination(path).map(|destination| destination.path))
            .transpose()?;
        Ok(self)
    }
}

/// The arguments as the program's own name wants them, and whether they are those of the plugin.
pub fn arguments(given: impl IntoIterator<Item = OsString>) -> (Vec<OsString>, bool) {
    let mut arguments: Vec<OsString> = given.into_iter().collect();
    let name = arguments.first().and_then(|name| Path::new(name).file_name());
    if name == Some(OsStr::new(PLUGIN))
        && !arguments.get(1).is_some_and(|word| word == SUBCOMMAND || word == LOOK)
    {
        arguments.insert(1, SUBCOMMAND.into());
    }
    let is_plugin = arguments.get(1).is_some_and(|word| word == SUBCOMMAND);
    (arguments, is_plugin)
}

fn parse_age(text: &str) -> Result<Duration, String> {
    parse(text, 60, "write minutes, or 26h, 2d, 90min")
}

/// How long to wait for a destination.
pub(super) fn parse_timeout(text: &str) -> Result<Duration, String> {
    let limit = parse(text, 1, "write seconds, or 10s, 1min")?;
    if limit.is_zero() { Err("it is no time at all".to_owned()) } else { Ok(limit) }
}

/// A plain number counts in this unit, which is in seconds.
fn parse(text: &str, unit: u64, advice: &str) -> Result<Duration, String> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = if is_plain {
        let seconds = text.parse().ok().and_then(|number: u64| number.checked_mul(unit));
        seconds.map(Duration::from_secs).ok_or_else(|| "it is too long".to_owned())
    } else {
        humantime::parse_duration(text).map_err(|error| format!("{error}; {advice}"))
    };
    parsed.and_then(|time| if time <= LONGEST { Ok(time) } else { Err("it is too long".to_owned()) })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{arguments, parse_age, parse_timeout};

    #[test]
    fn ages_are_minutes_or_have_a_unit() {
        let seconds = |text| parse_age(text).map(|age| age.as_secs());
        for (text, expected) in [
            ("0", 0),
            ("1560", 93_600),
            ("26h", 93_600),
            ("2d", 172_800),
            ("90min", 5400),
            ("1h 30m", 5400),
            ("90s", 90),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for bad in
            ["", " ", "-1", "1.5", "26x", "h", "١", "18446744073709551615", "99999999999999999999", "2000y"]
        {
            assert!(parse_age(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_timeout_is_seconds_or_has_a_unit_and_is_never_nothing() {
        assert_eq!(parse_timeout("10").map(|limit| limit.as_secs()), Ok(10));
        assert_eq!(parse_timeout("500ms").map(|limit| limit.as_millis()), Ok(500));
        assert!(parse_timeout("0").is_err() && parse_timeout("0s").is_err());
    }

    #[test]
    fn the_plugins_name_stands_for_the_subcommand() {
        let of = |words: &[&str]| arguments(words.iter().map(OsString::from));
        assert_eq!(
            of(&["/usr/lib/nagios/plugins/check_counterpart_clone", "-d", "/mnt"]),
            (
                ["/usr/lib/nagios/plugins/check_counterpart_clone", "check", "-d", "/mnt"]
                    .map(Into::into)
                    .into(),
                true
            )
        );
        assert_eq!(of(&["check_counterpart_clone"]).0.len(), 2);
        assert_eq!(of(&["check_counterpart_clone", "check", "-V"]).0.len(), 3);
        assert!(
            !of(&["check_counterpart_clone", "look", "-d", "/"]).1,
            "the plugin's own child has its name"
        );
        assert_eq!(of(&["counterpart", "check"]), (["counterpart", "check"].map(Into::into).into(), true));
        assert!(!of(&["counterpart", "-s", "check"]).1);
        assert!(!of(&["check_counterpart_clone2"]).1);
        assert!(!of(&[]).1);
    }
}
