//! Has each destination examined by a process of its own, all at the same time: a destination that hangs leaves that
//! process behind, and nothing else.

use std::ffi::OsString;
use std::io;
use std::time::{Duration, Instant};

use crate::check::markers;
use crate::check::markers::{LARGEST_ANSWER, Place};
use crate::check::subjects::{Subject, Target};
use crate::cli::check::LOOK;
use crate::display;
use crate::fs::dir::FileIdentity;
use crate::fs::location::Location;
use crate::host::Host;
use crate::process::{Command, ask_all};

/// What the process that examined a destination has found.
#[derive(Debug, Clone)]
pub struct Looked {
    /// The key under which the clone is remembered; resolved lexically if the destination did not answer.
    pub location: Location,
    /// The directory's identity, if it was opened: its lock is named by that.
    pub directory: Option<FileIdentity>,
    /// What is there, or why the process failed.
    pub place: Result<Place, String>,
}

/// Examines the subjects' destinations, and reads the state of those that were given.
pub fn examine(
    subjects: &mut [Subject],
    host: &Host,
    timeout: Duration,
    deadline: Instant,
    latest: i64,
) -> Vec<Option<Looked>> {
    let targets: Vec<Option<Target>> = subjects.iter().map(|subject| subject.target.clone()).collect();
    let looked = look_at_all(&targets, timeout, deadline);
    for (subject, looked) in subjects.iter_mut().zip(&looked) {
        if let Some(looked) = looked.as_ref().filter(|_| subject.is_given) {
            subject.remember(host, &looked.location, latest);
        }
    }
    looked
}

/// Starts one process per destination. Each also resolves its destination's path, which is the key under which the clone
/// is remembered.
#[must_use]
pub fn look_at_all(targets: &[Option<Target>], timeout: Duration, deadline: Instant) -> Vec<Option<Looked>> {
    let program = std::env::current_exe().map_err(|error| {
        format!("the path of the running program cannot be determined: {}", display::reason(&error))
    });
    let command = |target: &Option<Target>| {
        let (program, target) = (program.as_ref().ok()?, target.as_ref()?);
        let (destination, prefix) = (target.destination.clone().into(), target.prefix.to_string().into());
        let arguments: [OsString; 5] = [LOOK.into(), "-d".into(), destination, "-g".into(), prefix];
        // It is this same program for the same user, so it inherits the environment.
        Some(Command { environment: std::env::vars_os().collect(), ..Command::tool(program, arguments) })
    };
    let commands: Vec<Option<Command>> = targets.iter().map(command).collect();
    let answers = ask_all(&commands, deadline, LARGEST_ANSWER);
    let looked = |(target, answer): (&Option<Target>, io::Result<Vec<u8>>)| {
        let given = &target.as_ref()?.destination;
        let nothing = |place| Looked { location: Location::unresolved(given), directory: None, place };
        Some(match (&program, answer) {
            (Err(why), _) => nothing(Err(why.clone())),
            (Ok(_), Ok(printed)) => match markers::parse(&printed) {
                None => nothing(Err("examining the destination failed".to_owned())),
                Some(look) => Looked {
                    location: match &look.filesystem {
                        Some(uuid) => Location::filesystem(given, uuid),
                        None => Location::found(given, look.resolved),
                    },
                    directory: look.directory.map(|(device, inode)| FileIdentity { device, inode }),
                    place: Ok(look.place),
                },
            },
            (Ok(_), Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                nothing(Ok(Place::Silent(timeout.as_secs_f64())))
            }
            (Ok(_), Err(error)) => {
                nothing(Err(format!("examining the destination failed: {}", display::reason(&error))))
            }
        })
    };
    targets.iter().zip(answers).map(looked).collect()
}
