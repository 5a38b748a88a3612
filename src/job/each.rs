//! Starts this program for each of several clones, one after another.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Write as _};

use crate::display;
use crate::exit_code::{ExitCode, Row};
use crate::failure::refusal::Refusal;
use crate::logging::complain;
use crate::plan::schedule::Name;
use crate::process::interrupts::Interrupts;
use crate::process::{Command, End, attached};

/// What is started.
#[derive(Debug)]
pub struct Step {
    /// Its name in the summary.
    pub label: String,
    /// What it is to do, or why it cannot be started.
    pub task: Result<Task, Refusal>,
}

/// What one process is to do.
#[derive(Debug)]
pub struct Task {
    /// The arguments of this program.
    pub arguments: Vec<OsString>,
    /// The disks that take turns, if its own is one of them.
    pub rotation: Option<Rotation>,
}

/// The place of a clone in a rotation.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The job, and the name of its group.
    pub group: (Name, Name),
    /// None of the group follows.
    pub is_last: bool,
}

/// The option of a clone whose disk need not be there.
const SKIP: &str = "--skip-if-missing";

/// No system has a signal of this number: a clone says by its code that it was skipped. Nobody else sees it.
const NO_SIGNAL: i32 = 126;

/// What a clone returns to the process that has started it when its destination is missing and may be.
#[must_use]
pub fn skipped() -> ExitCode {
    ExitCode::from_signal(NO_SIGNAL)
}

/// How a step ended.
enum Ended {
    With(ExitCode),
    Skipped,
    NotStarted,
}

/// Carries out all steps, whatever becomes of each, until a signal; prints a line about each at the end.
///
/// Returns the code of the first that failed, or of the first that did not return 0, or success.
#[must_use]
pub fn each(steps: &[Step], interrupts: &Interrupts) -> ExitCode {
    let mut ends = Vec::new();
    let mut present = BTreeSet::new();
    for step in steps {
        if interrupts.received().is_some() {
            ends.push(Ended::NotStarted);
            continue;
        }
        let end = match &step.task {
            Err(Refusal(code, why)) => {
                complain(why);
                Ended::With(*code)
            }
            Ok(task) => {
                say(&format!("{}:\n", step.label));
                let rotation = task.rotation.as_ref();
                let is_required =
                    rotation.is_none_or(|rotation| rotation.is_last && !present.contains(&rotation.group));
                let skips = OsString::from(SKIP);
                let more = (!is_required && !task.arguments.contains(&skips)).then_some(skips);
                let end = start(task.arguments.iter().cloned().chain(more), interrupts);
                if let (Some(rotation), Ended::With(_)) = (rotation, &end) {
                    present.insert(rotation.group.clone());
                }
                end
            }
        };
        ends.push(end);
    }
    print(steps, &ends);
    code(&ends, interrupts)
}

fn start(arguments: impl Iterator<Item = OsString>, interrupts: &Interrupts) -> Ended {
    let started = std::env::current_exe().and_then(|program| {
        // It is this same program for the same user, so it inherits the environment.
        let environment = std::env::vars_os().collect();
        attached(&Command { environment, ..Command::tool(program, arguments) }, interrupts)
    });
    match started {
        Ok(End::Exited(code)) if code == i32::from(skipped().number()) => Ended::Skipped,
        Ok(End::Exited(code)) => {
            Ended::With(ExitCode::of_ourselves(code).unwrap_or(ExitCode::NOT_ROOT_OR_INTERNAL))
        }
        Ok(End::Killed(signal)) => Ended::With(ExitCode::from_signal(signal)),
        Err(error) => {
            complain(&format!("This program cannot be started: {}.", display::reason(&error)));
            Ended::With(ExitCode::NOT_ROOT_OR_INTERNAL)
        }
    }
}

fn print(steps: &[Step], ends: &[Ended]) {
    let mut text = String::new();
    for (step, end) in steps.iter().zip(ends) {
        let end = match end {
            Ended::With(code) => {
                let meaning = Row::of(*code).map(|row| row.meaning).unwrap_or_default();
                format!("{}, {}", code.number(), meaning.replace('`', ""))
            }
            Ended::Skipped => "skipped, the destination is missing".to_owned(),
            Ended::NotStarted => "not started, interrupted".to_owned(),
        };
        text = text + &step.label + ": " + &end + "\n";
    }
    say(&text);
}

fn say(text: &str) {
    // A closed output must not change the exit code.
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn code(ends: &[Ended], interrupts: &Interrupts) -> ExitCode {
    let codes = || {
        ends.iter().filter_map(|end| match end {
            Ended::With(code) => Some(*code).filter(|code| *code != ExitCode::SUCCESS),
            Ended::Skipped | Ended::NotStarted => None,
        })
    };
    let is_cut = matches!(ends.last(), Some(Ended::NotStarted)) || codes().next().is_some();
    if let Some(signal) = interrupts.received().filter(|_| is_cut) {
        return ExitCode::from_interruption(signal);
    }
    let is_failure = |code: &ExitCode| *code != ExitCode::TEST_RUN;
    codes().find(is_failure).or_else(|| codes().next()).unwrap_or(ExitCode::SUCCESS)
}
