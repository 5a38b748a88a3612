//! systemd's units: how ours are written, and what `systemctl show` reports about them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use chrono::NaiveDateTime;

use crate::plan::schedule::when::When;
use crate::plan::schedule::{Job, Name, State};

/// The first line of every unit written by `schedule`; no other unit is ever changed or removed.
pub const OURS: &str = "# Written by counterpart schedule.";

/// The unit name of a schedule, without `.service` or `.timer`.
#[must_use]
pub fn unit(name: &Name) -> String {
    format!("counterpart-{name}")
}

/// The schedule that a timer's file name belongs to.
#[must_use]
pub fn name_of(file: &OsStr) -> Option<Name> {
    file.to_str()?.strip_prefix("counterpart-")?.strip_suffix(".timer")?.parse().ok()
}

/// The schedule that a service's file name belongs to.
#[must_use]
pub fn name_of_service(file: &OsStr) -> Option<Name> {
    file.to_str()?.strip_prefix("counterpart-")?.strip_suffix(".service")?.parse().ok()
}

/// The service that makes the clone.
#[must_use]
pub fn service(job: &Job) -> String {
    let words = std::iter::once(&job.program).chain(&job.arguments).map(|word| quote(word));
    let command = words.collect::<Vec<_>>().join(" ");
    format!(
        "\
{OURS} To change it, install it once more with --replace: what is changed here is lost then.

[Unit]
Description=Scheduled clone ({name})
Documentation=man:counterpart(8)
{disk}{mains}
[Service]
Type=oneshot
ExecStart={command}
Environment=PATH={path}

# Only 0 is success, as Counterpart has it. For vanished files, code 24, there is --vanished-ok.
# A stop signal goes to Counterpart alone; it stops rsync, marks the clone as unfinished and exits with 20.
KillMode=mixed
TimeoutStopSec=2min

# Give way to everything else.
Nice=10
IOSchedulingClass=idle
CPUSchedulingPolicy=batch

# The sandboxing that a clone can live with: any that hides, replaces or locks files would be cloned along.
CapabilityBoundingSet=~CAP_SYS_MODULE CAP_SYS_BOOT CAP_SYS_TIME CAP_SYS_RAWIO CAP_SYS_PTRACE CAP_NET_ADMIN
LockPersonality=yes
RestrictRealtime=yes
SystemCallArchitectures=native
UMask=0077
{install}",
        name = job.name,
        disk = disk(job),
        mains = mains(job),
        install = install(job),
        path = quote(&job.search_path),
    )
}

/// What has to be there before.
fn disk(job: &Job) -> String {
    if job.targets.iter().all(|target| target.named.is_some()) {
        return "# Counterpart mounts the disk itself, for the run alone.\n".to_owned();
    }
    let paths = job.targets.iter().filter(|target| target.named.is_none());
    let mut mounts: Vec<String> = Vec::new();
    for dir in paths.flat_map(|target| target.destination.ancestors()) {
        mounts.extend(unit_of(dir, ".mount").filter(|unit| !mounts.contains(unit)));
    }
    let mounts = mounts.join(" ");
    format!(
        "\
# The disk is mounted first if /etc/fstab knows it, even when it is marked noauto there. Where none can be mounted,
# Counterpart itself refuses to clone, and says so.
Wants={mounts}
After={mounts}
"
    )
}

/// What systemd asks before each start. It knows of a battery only where the kernel shows one.
pub const ON_AC: &str = "ConditionACPower=true";

fn mains(job: &Job) -> String {
    if job.on_ac {
        format!("\n# On battery the run is skipped, which is no failure.\n{ON_AC}\n")
    } else {
        String::new()
    }
}

/// The units of the disks that start the service when they appear, at the machine's start too.
fn devices(job: &Job) -> Vec<String> {
    let tags = job.targets.iter().filter(|_| job.when_plugged_in).filter_map(|target| target.named.as_ref());
    tags.filter_map(|tag| unit_of(&tag.link(), ".device")).collect()
}

fn install(job: &Job) -> String {
    let devices = devices(job).join(" ");
    if devices.is_empty() {
        return devices;
    }
    format!("\n[Install]\n# The disk is plugged in, or there when the machine starts.\nWantedBy={devices}\n")
}

/// The timer that starts the service.
#[must_use]
pub fn timer(job: &Job) -> String {
    format!(
        "\
{OURS} To change it, install it once more with --replace: what is changed here is lost then.

[Unit]
Description=Starts a scheduled clone ({name}), {when}

[Timer]
OnCalendar={calendar}
AccuracySec=1s
# A run missed while the machine was off is made up for soon after the next start.
Persistent=true

[Install]
WantedBy=timers.target
",
        name = job.name,
        when = job.when,
        calendar = calendar(job.when),
    )
}

fn calendar(when: When) -> String {
    match when {
        When::Daily(time) => format!("*-*-* {time}:00"),
        When::Weekly(day, time) => format!("{day} *-*-* {time}:00"),
        When::Hours(24) => "*-*-* 00:00:00".to_owned(),
        When::Hours(hours) => format!("*-*-* 00/{hours}:00:00"),
        When::Minutes(minutes) => format!("*-*-* *:00/{minutes}:00"),
    }
}

/// Quotes a word of a unit's command line. The text contains no control characters (`job::text`).
///
/// `%` starts a specifier and `$` a variable everywhere, quoted or not; systemd.unit(5), systemd.service(5).
fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,=@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('"');
    for character in word.chars() {
        match character {
            '"' | '\\' => quoted.push('\\'),
            '%' => quoted.push('%'),
            '$' => quoted.push('$'),
            _ => {}
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

/// The words of the command line that one of our services starts, the program first; `None` if it is not as we write it.
#[must_use]
pub fn command(service: &str) -> Option<Vec<String>> {
    let mut commands = service.lines().filter_map(|line| line.strip_prefix("ExecStart="));
    let (Some(line), None) = (commands.next(), commands.next()) else { return None };
    let mut words = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (word, after) = unquote(rest)?;
        words.push(word);
        rest = match after.strip_prefix(' ') {
            Some(next) if !next.is_empty() => next,
            None if after.is_empty() => after,
            Some(_) | None => return None,
        };
    }
    Some(words)
}

/// The first word of a command line as [`quote`] writes it, and what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(' ').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        // Nothing that needs quotes stands without.
        return (quote(word) == word).then(|| (word.to_owned(), rest));
    };
    let mut word = String::new();
    let mut characters = inner.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((word, &inner[at + 1..])),
            '\\' | '%' | '$' => {
                let (_, next) = characters.next()?;
                let is_pair = if character == '\\' { matches!(next, '"' | '\\') } else { next == character };
                if !is_pair {
                    return None;
                }
                word.push(next);
            }
            other => word.push(other),
        }
    }
    None
}

/// The unit that stands for a path, as systemd-escape(1) names it; none for `/`.
fn unit_of(path: &Path, ending: &str) -> Option<String> {
    let inner = path.as_os_str().as_bytes().strip_prefix(b"/").filter(|inner| !inner.is_empty())?;
    let mut name = String::new();
    for (at, byte) in inner.iter().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if at == 0 => name.push_str("\\x2e"),
            byte if byte.is_ascii_alphanumeric() || b":_.".contains(byte) => name.push(char::from(*byte)),
            byte => name.extend(["\\x", &format!("{byte:02x}")]),
        }
    }
    Some(name + ending)
}

/// The properties of a service that [`state`] needs.
pub const SERVICE_PROPERTIES: &str = "LoadState,FragmentPath,ActiveState,Result,ExecMainCode,ExecMainStatus,\
                                      ExecMainStartTimestamp,ExecMainExitTimestamp,StateChangeTimestamp,\
                                      ConditionResult,ConditionTimestamp";

/// The properties of a timer that [`state`] needs.
pub const TIMER_PROPERTIES: &str = "LoadState,ActiveState,NextElapseUSecRealtime";

/// Parses the output of `systemctl show`: one `Name=value` per line.
#[must_use]
pub fn properties(printed: &str) -> HashMap<&str, &str> {
    printed.lines().filter_map(|line| line.split_once('=')).collect()
}

/// The state of a schedule, from the properties of its service and timer.
#[must_use]
pub fn state(service: &str, timer: &str) -> State {
    let (service, timer) = (properties(service), properties(timer));
    let of = |name: &str| service.get(name).copied().unwrap_or_default();
    let running = matches!(of("ActiveState"), "activating" | "active" | "deactivating" | "reloading");
    let next = timer.get("NextElapseUSecRealtime").copied().unwrap_or_default();
    State {
        loaded: timer.get("LoadState") == Some(&"loaded") && timer.get("ActiveState") == Some(&"active"),
        running,
        next: (!matches!(next, "" | "n/a" | "infinity")).then(|| next.to_owned()),
        next_at: None,
        last: if running {
            format!("running since {}", of("ExecMainStartTimestamp"))
        } else {
            format!("{}{}", skipped(&of), last(&of))
        },
    }
}

/// A moment that systemd has printed in UTC, such as `Tue 2026-11-24 03:30:00 UTC`, in seconds since 1970.
#[must_use]
pub fn moment(printed: &str) -> Option<i64> {
    let time = printed.strip_suffix(" UTC")?.split_once(' ')?.1;
    Some(NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S").ok()?.and_utc().timestamp())
}

/// Whether systemd has refused the latest start because of a condition, of which ours is the power supply.
fn skipped<'a>(of: &impl Fn(&str) -> &'a str) -> String {
    // A service that was never to start has no for a result, and no time.
    match (of("ConditionResult"), of("ConditionTimestamp")) {
        ("no", at) if !matches!(at, "" | "n/a") => format!("skipped (condition not met), {at}; before: "),
        _ => String::new(),
    }
}

fn last<'a>(of: &impl Fn(&str) -> &'a str) -> String {
    let (ended, changed, status) =
        (of("ExecMainExitTimestamp"), of("StateChangeTimestamp"), of("ExecMainStatus"));
    match of("Result") {
        "success" if ended.is_empty() => "no run since the machine was started".to_owned(),
        "success" => format!("success, {ended}"),
        "" => "unknown".to_owned(),
        "exit-code" => format!("failed with code {status}, {ended}"),
        "signal" | "core-dump" => format!("killed by signal {status}, {ended}"),
        other => format!("failed ({other}), {changed}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{calendar, command, moment, quote, state, unit_of};
    use crate::plan::schedule::when::When;

    #[test]
    fn words_are_quoted() {
        for (word, quoted) in [
            ("/usr/local/sbin/counterpart", "/usr/local/sbin/counterpart"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("100%", "\"100%%\""),
            ("$HOME", "\"$$HOME\""),
            ("a\"b\\c", "\"a\\\"b\\\\c\""),
            ("it's", "\"it's\""),
            (";", "\";\""),
            ("\u{fc}", "\"\u{fc}\""),
        ] {
            assert_eq!(quote(word), quoted);
        }
    }

    #[test]
    fn what_was_quoted_is_read_again() {
        let words =
            ["/usr/sbin/counterpart", "", "a b", "100%", "$HOME", "a\"b\\c", "it's", ";", "\u{fc}", "--x=1"];
        let line: Vec<String> = words.iter().map(|word| quote(word)).collect();
        let unit = format!("[Service]\nExecStart={}\nNice=10\n", line.join(" "));
        assert_eq!(command(&unit).unwrap(), words);
        for other in [
            "",
            "ExecStart=/a\nExecStart=/b",
            "ExecStart=\"a",
            "ExecStart=/a  b",
            "ExecStart=/a ",
            "ExecStart=/a $B",
        ] {
            assert_eq!(command(other), None, "{other:?}");
        }
        for odd in ["\"a%b\"", "\"a$b\"", "\"a\\nb\"", "\"a\"b", "it's"] {
            assert_eq!(command(&format!("ExecStart={odd}")), None, "{odd}");
        }
    }

    #[test]
    fn a_moment_in_utc_is_read() {
        assert_eq!(moment("Tue 2026-11-24 03:30:00 UTC"), Some(1_795_491_000));
        for other in ["", "n/a", "infinity", "Tue 2026-11-24 03:30:00 CET", "UTC", " UTC"] {
            assert_eq!(moment(other), None, "{other}");
        }
    }

    #[test]
    fn mounts_are_named_as_systemd_names_them() {
        let of = |path: &str| unit_of(path.as_ref(), ".mount");
        assert_eq!(of("/"), None);
        assert_eq!(of("/mnt/clone").unwrap(), "mnt-clone.mount");
        assert_eq!(of("/mnt/my-clone").unwrap(), "mnt-my\\x2dclone.mount");
        let device = unit_of("/dev/disk/by-uuid/12ab-34".as_ref(), ".device");
        assert_eq!(device.unwrap(), "dev-disk-by\\x2duuid-12ab\\x2d34.device");
        assert_eq!(of("/.hidden/a b.c").unwrap(), "\\x2ehidden-a\\x20b.c.mount");
    }

    #[test]
    fn times_are_written_for_systemd() {
        let of = |text| calendar(When::every(text).unwrap());
        assert_eq!(calendar(When::default()), "*-*-* 03:30:00");
        assert_eq!(calendar(When::weekly("Sun", "4:05").unwrap()), "Sun *-*-* 04:05:00");
        assert_eq!(
            [of("1h"), of("24h"), of("15m")],
            ["*-*-* 00/1:00:00", "*-*-* 00:00:00", "*-*-* *:00/15:00"]
        );
    }

    #[test]
    fn each_end_of_a_run_has_its_words() {
        let of = |service: &str| state(service, "LoadState=loaded\nActiveState=active\n");
        let at = "ExecMainExitTimestamp=Mon 2026-11-23 03:30:09 UTC\nStateChangeTimestamp=Mon 2026-11-23 03:30:10 UTC";
        for (service, words) in [
            ("Result=success\nExecMainExitTimestamp=\n".to_owned(), "no run since the machine was started"),
            (format!("Result=success\n{at}"), "success, Mon 2026-11-23 03:30:09 UTC"),
            (
                format!("Result=exit-code\nExecMainStatus=74\n{at}"),
                "failed with code 74, Mon 2026-11-23 03:30:09 UTC",
            ),
            (
                format!("Result=signal\nExecMainStatus=9\n{at}"),
                "killed by signal 9, Mon 2026-11-23 03:30:09 UTC",
            ),
            (
                format!(
                    "Result=success\n{at}\nConditionResult=no\nConditionTimestamp=Tue 2026-11-24 03:30:00 UTC\n"
                ),
                "skipped (condition not met), Tue 2026-11-24 03:30:00 UTC; before: success, Mon 2026-11-23 03:30:09 UTC",
            ),
            (
                "Result=success\nExecMainExitTimestamp=\nConditionResult=no\nConditionTimestamp=\n"
                    .to_owned(),
                "no run since the machine was started",
            ),
            (
                format!(
                    "Result=exit-code\nExecMainStatus=74\n{at}\nConditionResult=yes\nConditionTimestamp=Mon\n"
                ),
                "failed with code 74, Mon 2026-11-23 03:30:09 UTC",
            ),
            (format!("Result=resources\n{at}"), "failed (resources), Mon 2026-11-23 03:30:10 UTC"),
            ("ActiveState=activating\nExecMainStartTimestamp=Tue".to_owned(), "running since Tue"),
            (String::new(), "unknown"),
        ] {
            assert_eq!(of(&service).last, words);
        }
        assert!(of("ActiveState=activating").running && !of("ActiveState=inactive").running);
        let next = |value: &str| state("", &format!("NextElapseUSecRealtime={value}\n")).next;
        assert_eq!((next(""), next("n/a")), (None, None));
        assert_eq!(next("Tue 2026-11-24 03:30:00 UTC").unwrap(), "Tue 2026-11-24 03:30:00 UTC");
        assert!(!state("", "LoadState=loaded\nActiveState=inactive").loaded);
    }
}
