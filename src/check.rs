//! `counterpart check`: a monitoring plugin that checks clones by their markers and by what this machine remembers.
//!
//! It never writes and needs no root. Each destination is read by a separate process, which is abandoned when the
//! destination hangs: not even SIGKILL ends a process that waits for a dead disk.

pub mod answer;
pub mod events;
pub mod limits;
pub mod markers;
pub mod rotation;
pub mod rules;
pub mod status;
pub mod subjects;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::cli::check::{CheckArgs, LOOK};
use crate::display;
use crate::failure::refusal::Refusal;
use crate::fs::location::Location;
use crate::host::Host;
use crate::process::{Command, ask_all};
use answer::{answer, plain};
use limits::Limits;
use markers::{LARGEST_ANSWER, Place};
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
        Err(error) => (Status::Unknown, plain(Status::Unknown, &format!("{error:#}"))),
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
    let mut subjects = match &args.job {
        None => gather(args, host, now.saturating_add(AHEAD)),
        Some(job) => match of_job(job, host) {
            Ok(subjects) => subjects,
            Err(Refusal(_, why)) => return (Status::Unknown, plain(Status::Unknown, &why)),
        },
    };
    if subjects.is_empty() {
        let sentence = "this machine has no record of a clone: name the destination with -d";
        return (Status::Unknown, plain(Status::Unknown, sentence));
    }
    let places = look_at_all(args, &mut subjects, deadline, host);
    let limits = Limits { warning: seconds(args.warning), critical: seconds(args.critical) };
    let found = subjects.iter().zip(&places).map(|(subject, place)| {
        let finding = check_one(subject, place.as_ref(), limits, now);
        (subject.rotation.as_deref(), (subject.name.clone(), finding))
    });
    answer(&best_of_rotations(found), limits)
}

fn check_one(subject: &Subject, place: Result<&Place, &String>, limits: Limits, now: i64) -> Finding {
    let state = subject.state.as_ref().map(Option::as_ref).map_err(String::as_str);
    let mut ending = match (&subject.target, place) {
        (Some(target), Ok(place)) => {
            evaluate(&Facts { place, state, stem: &target.prefix.stem(), now }, limits)
        }
        (Some(_), Err(why)) => Finding::unknown(why.clone()),
        (None, _) => Finding::unknown(state.err().unwrap_or_default().to_owned()),
    };
    ending.details.extend(subject.notes.iter().cloned());
    ending
}

/// Starts one process per destination, all at the same time. Each also resolves its destination's path, which is the
/// key under which the clone is remembered.
fn look_at_all(
    args: &CheckArgs,
    subjects: &mut [Subject],
    deadline: Instant,
    host: &Host,
) -> Vec<Result<Place, String>> {
    let program = std::env::current_exe().map_err(|error| {
        format!("the path of the running program cannot be determined: {}", display::reason(&error))
    });
    let command = |subject: &Subject| {
        let (program, target) = (program.as_ref().ok()?, subject.target.as_ref()?);
        let (destination, prefix) = (target.destination.clone().into(), target.prefix.to_string().into());
        let arguments: [OsString; 5] = [LOOK.into(), "-d".into(), destination, "-g".into(), prefix];
        // It is this same program for the same user, so it inherits the environment.
        Some(Command { environment: std::env::vars_os().collect(), ..Command::tool(program, arguments) })
    };
    let commands: Vec<Option<Command>> = subjects.iter().map(command).collect();
    let answers = ask_all(&commands, deadline, LARGEST_ANSWER);
    let mut places = Vec::new();
    for (subject, answer) in subjects.iter_mut().zip(answers) {
        let look = match (&program, answer) {
            (Err(why), _) => Err(Err(why.clone())),
            (Ok(_), Ok(printed)) => {
                markers::parse(&printed).ok_or_else(|| Err("examining the destination failed".to_owned()))
            }
            (Ok(_), Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                Err(Ok(Place::Silent(args.timeout.as_secs_f64())))
            }
            (Ok(_), Err(error)) => {
                Err(Err(format!("examining the destination failed: {}", display::reason(&error))))
            }
        };
        if let Some(given) = subject.target.as_ref().filter(|_| subject.is_given) {
            let given = &given.destination.clone();
            let location = match &look {
                Ok(look) => match &look.filesystem {
                    Some(uuid) => Location::filesystem(given, uuid),
                    None => Location::found(given, look.resolved.clone()),
                },
                Err(_) => Location::unresolved(given),
            };
            subject.remember(host, &location, now().saturating_add(AHEAD));
        }
        places.push(look.map_or_else(|place| place, |look| Ok(look.place)));
    }
    places
}

fn seconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn now() -> i64 {
    // With a clock before 1970, an age of 0 beats a negative one.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    seconds(since)
}
