//! `counterpart check`: a monitoring plugin that checks clones by their markers and by what this machine remembers.
//!
//! It never writes and needs no root. Each destination is read by a separate process, which is abandoned when the
//! destination hangs: not even SIGKILL ends a process that waits for a dead disk.

pub mod answer;
pub mod events;
pub mod json;
pub mod limits;
pub mod looking;
pub mod markers;
pub mod rotation;
pub mod rules;
pub mod status;
pub mod subjects;

use std::io::{self, Write as _};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::cli::check::CheckArgs;
use crate::failure::refusal::Refusal;
use crate::host::Host;
use answer::{answer, plain};
use limits::Limits;
use looking::{Looked, examine};
use rotation::best_of_rotations;
use rules::{AHEAD, Facts, evaluate};
use status::{Finding, Status};
use subjects::{Subject, gather, of_job};

/// Runs the checks that were asked for, prints the result and returns the status.
#[must_use]
pub fn run(args: &CheckArgs, find_host: impl FnOnce() -> anyhow::Result<Host>) -> Status {
    let deadline = Instant::now() + args.timeout;
    let (status, text) = match find_host() {
        Ok(host) => check_all(args, &host, deadline),
        Err(error) => unknown(args, &format!("{error:#}")),
    };
    say(&text);
    status
}

/// Answers a request for help or an invalid command line: UNKNOWN in both cases, as the plugin guidelines require.
#[must_use]
pub fn explain(error: &clap::Error) -> Status {
    let text = error.render().to_string();
    if error.use_stderr() {
        let first = text.split("\n\n").next().unwrap_or_default();
        let sentence = first.strip_prefix("error: ").unwrap_or(first).trim_end();
        say(&plain(Status::Unknown, &format!("{sentence}; see --help")));
    } else {
        say(&text);
    }
    Status::Unknown
}

fn say(text: &str) {
    // If this fails nobody is reading, and the status is enough.
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

fn check_all(args: &CheckArgs, host: &Host, deadline: Instant) -> (Status, String) {
    let now = now();
    let latest = now.saturating_add(AHEAD);
    let mut subjects = match &args.job {
        None => gather(args.destination.as_deref(), args.organisation_prefix.as_ref(), host, latest),
        Some(job) => match of_job(job, host) {
            Ok(subjects) => subjects,
            Err(Refusal(_, why)) => return unknown(args, &why),
        },
    };
    if subjects.is_empty() {
        return unknown(args, "this machine has no record of a clone: name the destination with -d");
    }
    let looked = examine(&mut subjects, host, args.timeout, deadline, latest);
    let limits = Limits { warning: seconds(args.warning), critical: seconds(args.critical) };
    let found = subjects.iter().zip(&looked).map(|(subject, looked)| {
        let finding = check_one(subject, looked.as_ref(), limits, now);
        (subject.rotation.as_deref(), (subject.name.clone(), finding))
    });
    let found = best_of_rotations(found);
    let (status, text) = answer(&found, limits);
    (status, if args.json { json::document(status, None, &found, Some(limits)) } else { text })
}

/// UNKNOWN, for this reason.
fn unknown(args: &CheckArgs, why: &str) -> (Status, String) {
    let status = Status::Unknown;
    (status, if args.json { json::document(status, Some(why), &[], None) } else { plain(status, why) })
}

fn check_one(subject: &Subject, looked: Option<&Looked>, limits: Limits, now: i64) -> Finding {
    let state = subject.state.as_ref().map(Option::as_ref).map_err(String::as_str);
    let mut ending = match (&subject.target, looked.map(|looked| &looked.place)) {
        (Some(target), Some(Ok(place))) => {
            evaluate(&Facts { place, state, stem: &target.prefix.stem(), now }, limits)
        }
        (Some(_), Some(Err(why))) => Finding::unknown(why.clone()),
        (Some(_) | None, _) => Finding::unknown(state.err().unwrap_or_default().to_owned()),
    };
    ending.details.extend(subject.notes.iter().cloned());
    ending
}

fn seconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> i64 {
    // With a clock before 1970, an age of 0 beats a negative one.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    seconds(since)
}
