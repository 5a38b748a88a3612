//! launchd's jobs: how ours are written, when they run next, and what `launchctl` reports about them.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use chrono::{Datelike as _, Duration, NaiveDateTime, Timelike as _};
use plist::{Dictionary, Value};

use crate::macos::property_list::dictionary;
use crate::plan::schedule::when::When;
use crate::plan::schedule::{Job, Name};
use crate::process::End;

/// A line in every job written by `schedule`; no other job is ever changed or removed.
pub const OURS: &str = "<!-- Written by counterpart schedule. To change it, install it once more with the option \
                        replace: what is changed here is lost then. -->";

/// The start of the label of all our jobs.
const PREFIX: &str = "me.jedda.counterpart.";

/// The label of a schedule's job.
#[must_use]
pub fn label(name: &Name) -> String {
    format!("{PREFIX}{name}")
}

/// The schedule that a job's file name belongs to.
#[must_use]
pub fn name_of(file: &OsStr) -> Option<Name> {
    file.to_str()?.strip_prefix(PREFIX)?.strip_suffix(".plist")?.parse().ok()
}

/// Where a job writes what it cannot log. launchd creates files but not directories.
#[must_use]
pub fn error_file(name: &Name) -> PathBuf {
    format!("/var/log/counterpart.{name}.err").into()
}

/// The job's property list. Errors if it cannot be written as XML.
pub fn job(job: &Job) -> Result<Vec<u8>, plist::Error> {
    let mut environment = Dictionary::new();
    environment.insert("PATH".to_owned(), Value::from(job.search_path.as_str()));
    let words = std::iter::once(&job.program).chain(&job.arguments);
    let words: Vec<Value> = words.map(|word| Value::from(word.as_str())).collect();
    let error_file = error_file(&job.name).display().to_string();
    let entries: [(&str, Value); 10] = [
        ("Label", label(&job.name).into()),
        ("ProgramArguments", words.into()),
        ("EnvironmentVariables", environment.into()),
        ("StartCalendarInterval", intervals(job.when).into()),
        ("ProcessType", "Background".into()),
        ("LowPriorityIO", true.into()),
        ("Nice", 10.into()),
        // Seconds between SIGTERM and SIGKILL: time for rsync to remove its temporary files.
        ("ExitTimeOut", 120.into()),
        // Each run has its own log with the same lines, and nothing would ever truncate a second one.
        ("StandardOutPath", "/dev/null".into()),
        ("StandardErrorPath", error_file.into()),
    ];
    let mut dictionary = Dictionary::new();
    for (key, value) in entries {
        dictionary.insert(key.to_owned(), value);
    }
    if job.when_plugged_in {
        // Whichever disk it is; one that is mounted while the job runs does not start it once more.
        dictionary.insert("StartOnMount".to_owned(), true.into());
    }
    let mut text = Vec::new();
    Value::from(dictionary).to_writer_xml(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.replacen("<plist ", &format!("{OURS}\n<plist "), 1).into_bytes())
}

/// The words of the command line that a job starts, the program first; `None` if they cannot be read.
#[must_use]
pub fn command(job: &[u8]) -> Option<Vec<String>> {
    let words = dictionary(job)?;
    let words = words.get("ProgramArguments")?.as_array()?;
    words.iter().map(|word| word.as_string().map(str::to_owned)).collect()
}

/// launchd runs the job at every minute that matches one of these; a missing part always matches.
fn intervals(when: When) -> Vec<Value> {
    let interval = |parts: &[(&str, u32)]| {
        let mut dictionary = Dictionary::new();
        for (key, number) in parts {
            dictionary.insert((*key).to_owned(), u64::from(*number).into());
        }
        Value::from(dictionary)
    };
    match when {
        When::Daily(time) => vec![interval(&[("Hour", time.hour()), ("Minute", time.minute())])],
        When::Weekly(day, time) => {
            let day = day.num_days_from_sunday();
            vec![interval(&[("Weekday", day), ("Hour", time.hour()), ("Minute", time.minute())])]
        }
        When::Hours(hours) => {
            (0..24).step_by(hours.into()).map(|hour| interval(&[("Hour", hour), ("Minute", 0)])).collect()
        }
        When::Minutes(minutes) => {
            (0..60).step_by(minutes.into()).map(|minute| interval(&[("Minute", minute)])).collect()
        }
    }
}

/// The job's next run after `now`, in local time; `None` if its times cannot be read or are more than a week away.
#[must_use]
pub fn next_run(job: &[u8], now: NaiveDateTime) -> Option<NaiveDateTime> {
    let job = dictionary(job)?;
    let intervals: Vec<&Dictionary> = job
        .get("StartCalendarInterval")?
        .as_array()?
        .iter()
        .map(Value::as_dictionary)
        .collect::<Option<_>>()?;
    let minute = now.with_second(0)?.with_nanosecond(0)?;
    let fits = |time: &NaiveDateTime| intervals.iter().any(|interval| fits(interval, time));
    (1..=7 * 24 * 60).map(|ahead| minute + Duration::minutes(ahead)).find(fits)
}

fn fits(interval: &Dictionary, time: &NaiveDateTime) -> bool {
    interval.iter().all(|(key, wanted)| {
        let there = match key.as_str() {
            "Minute" => time.minute(),
            "Hour" => time.hour(),
            // 7 also means Sunday.
            "Weekday" => time.weekday().num_days_from_sunday(),
            "Day" => time.day(),
            "Month" => time.month(),
            _ => return false,
        };
        let wanted = wanted.as_unsigned_integer();
        wanted == Some(there.into()) || (key == "Weekday" && wanted == Some(7) && there == 0)
    })
}

/// What `launchctl` reports about a loaded job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobState {
    /// Whether it is running now.
    pub running: bool,
    /// How the last run ended.
    pub last: String,
}

/// Parses `launchctl print system/LABEL`, macOS 10.10 and later.
///
/// The job's own lines are indented by one tab: `state = not running`, `last exit code = 78: EX_CONFIG`, `last exit
/// code = (never exited)`, `last terminating signal = Killed: 9`.
#[must_use]
pub fn read_print(printed: &str) -> JobState {
    let value = |key: &str| {
        printed.lines().find_map(|line| {
            let line = line.strip_prefix('\t').unwrap_or(line);
            line.strip_prefix(key)?.strip_prefix(" = ").map(str::trim)
        })
    };
    let last = match (value("last terminating signal"), value("last exit code")) {
        (Some(signal), _) => format!("killed by a signal ({signal})"),
        (None, Some("(never exited)")) => NEVER.to_owned(),
        (None, Some(code)) => ended_with(code.split(':').next().unwrap_or(code)),
        (None, None) => "unknown".to_owned(),
    };
    JobState { running: value("state") == Some("running"), last }
}

/// Parses `launchctl list LABEL`, before macOS 10.10: `"LastExitStatus" = 16640;`, a wait status, and `"PID"` of a
/// running job.
#[must_use]
pub fn read_list(printed: &str) -> JobState {
    let value = |key: &str| {
        let line = printed.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(" = "));
        line.and_then(|value| value.trim_end_matches(';').parse::<i32>().ok())
    };
    let last = match value("\"LastExitStatus\"").map(|status| End::from(ExitStatus::from_raw(status))) {
        // It does not say whether the job ever ran.
        Some(End::Exited(0)) => "success, or no run since the machine was started".to_owned(),
        Some(End::Exited(code)) => ended_with(&code.to_string()),
        Some(End::Killed(signal)) => format!("killed by a signal ({signal})"),
        None => "unknown".to_owned(),
    };
    JobState { running: value("\"PID\"").is_some(), last }
}

const NEVER: &str = "no run since the machine was started";

fn ended_with(code: &str) -> String {
    if code == "0" { "success".to_owned() } else { format!("failed with code {code}") }
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, NaiveDateTime};

    use super::{JobState, job, next_run, read_list, read_print};
    use crate::plan::schedule::when::When;
    use crate::plan::schedule::{Job, Target};

    fn written(when: When) -> Vec<u8> {
        let described = Job {
            name: "clone".parse().unwrap(),
            when,
            program: "/usr/local/sbin/counterpart".to_owned(),
            arguments: ["-s", "/", "-d", "/Volumes/A & <B>"].map(str::to_owned).into(),
            search_path: "/usr/bin".to_owned(),
            targets: vec![Target {
                destination: "/Volumes/A & <B>".into(),
                named: None,
                skips_if_missing: false,
            }],
            when_plugged_in: false,
            on_ac: false,
        };
        job(&described).unwrap()
    }

    fn at(day: u32, hour: u32, minute: u32) -> NaiveDateTime {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap().and_hms_opt(hour, minute, 30).unwrap()
    }

    #[test]
    fn the_next_run_is_found() {
        // 23 November 2026 is a Monday.
        let next = |when: When, now| next_run(&written(when), now).unwrap().format("%d %H:%M").to_string();
        assert_eq!(next(When::default(), at(23, 3, 29)), "23 03:30");
        assert_eq!(next(When::default(), at(23, 3, 30)), "24 03:30");
        assert_eq!(next(When::weekly("Sun", "4:00").unwrap(), at(23, 3, 30)), "29 04:00");
        assert_eq!(next(When::weekly("Mon", "3:30").unwrap(), at(23, 3, 30)), "30 03:30");
        assert_eq!(next(When::every("6h").unwrap(), at(23, 18, 0)), "24 00:00");
        assert_eq!(next(When::every("20m").unwrap(), at(23, 18, 39)), "23 18:40");
        assert_eq!(next_run(b"no plist", at(1, 1, 1)), None);
    }

    #[test]
    fn what_launchctl_says_is_read() {
        let print = |state: &str, code: &str| {
            format!(
                "system/me.jedda.counterpart.clone = {{\n\tactive count = 0\n\tstate = {state}\n\n\tprogram = /x\n\
                 \truns = 6\n\tlast exit code = {code}\n\n\tevent channels = {{\n\t\t\"x\" = {{\n\t\t\tstate = active\n\
                 \t\t}}\n\t}}\n}}\n"
            )
        };
        let state = |running, last: &str| JobState { running, last: last.to_owned() };
        assert_eq!(read_print(&print("not running", "0")), state(false, "success"));
        assert_eq!(read_print(&print("not running", "78: EX_CONFIG")), state(false, "failed with code 78"));
        let never = "no run since the machine was started";
        assert_eq!(read_print(&print("running", "(never exited)")), state(true, never));
        let killed = "x = {\n\tstate = not running\n\tlast terminating signal = Killed: 9\n}\n";
        assert_eq!(read_print(killed), state(false, "killed by a signal (Killed: 9)"));
        assert_eq!(read_print(""), state(false, "unknown"));

        let list = |more: &str| format!("{{\n\t\"Label\" = \"x\";\n\t\"OnDemand\" = true;\n{more}}};\n");
        assert_eq!(read_list(&list("\t\"LastExitStatus\" = 16640;\n")), state(false, "failed with code 65"));
        assert_eq!(read_list(&list("\t\"LastExitStatus\" = 9;\n")), state(false, "killed by a signal (9)"));
        let zero = "success, or no run since the machine was started";
        assert_eq!(read_list(&list("\t\"LastExitStatus\" = 0;\n\t\"PID\" = 12;\n")), state(true, zero));
    }
}
