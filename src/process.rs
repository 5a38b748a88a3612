//! The one door for starting other programs: an absolute path, an argument vector and never a shell, a chosen
//! environment, a process group of its own, both pipes drained with bounded memory, signals passed on.

mod abandon;
pub mod background;
mod command;
mod drain;
pub mod interrupts;
pub mod lines;

use std::io::{self, Write as _};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::secret::Secret;
pub use crate::sys::{can_write, group_usage, speak_when_aborted};
pub use abandon::ask_all;
pub use command::{Command, End, Line, Stream, tool_environment};
use drain::drain;
use interrupts::Interrupts;

/// Overwrites a secret in our own arguments, where the system lets us.
pub fn hide_argument(secret: &Secret) {
    crate::sys::hide_argument(secret.expose());
}

/// From now on memory is overwritten before it is freed, so that no copy of a password stays in it, or no longer.
///
/// The command line, the parser and the pipes of other programs copy a password without our doing.
pub fn wipe_freed_memory(wipes: bool) {
    crate::sys::wipe_freed_memory(wipes);
}

/// How it ended, or that it was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarded {
    /// In this way.
    Ended(End),
    /// It was killed because its guard gave it up.
    GivenUp {
        /// Not even SIGKILL has ended all of it within [`LAST_WAIT`]: it waits for a device.
        left_behind: bool,
    },
}

/// Watches over a child that may wait for ever.
pub trait Guard {
    /// Whether this process group, which has printed something since the last call or not, is to be given up.
    fn gives_up(&mut self, group: i32, has_printed: bool) -> bool;

    /// Whether any process of the group is still there.
    fn is_alive(&self, group: i32) -> bool;
}

/// How long a killed child is waited for: nothing ends a process that waits for a dead device.
pub const LAST_WAIT: Duration = Duration::from_secs(5);

/// What a tool printed and how it ended.
#[derive(Debug)]
pub struct Captured {
    /// Its end.
    pub end: End,
    /// Standard output, cut at the limit.
    pub out: Vec<u8>,
    /// Standard error, cut at the limit.
    pub err: Vec<u8>,
}

/// The most that is kept of each output of a tool, in bytes.
const CAPTURE_LIMIT: usize = 1 << 20;

/// Runs a small tool and keeps what it prints, up to 1 MiB of each stream; it is killed after `limit`.
///
/// Errors when it cannot be started or takes longer than `limit` (`TimedOut`).
pub fn capture(command: &Command, interrupts: &Interrupts, limit: Duration) -> io::Result<Captured> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut deadline = Deadline(Instant::now() + limit);
    let end = drive(command, interrupts, &mut deadline, &mut |line| {
        let kept = match line.stream {
            Stream::Out => &mut out,
            Stream::Err => &mut err,
        };
        if kept.len() + line.bytes.len() < CAPTURE_LIMIT {
            kept.extend_from_slice(line.bytes);
            kept.push(b'\n');
        }
    })?;
    match end {
        Guarded::Ended(end) => Ok(Captured { end, out, err }),
        Guarded::GivenUp { .. } => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Gives a child up at a moment that was set beforehand.
struct Deadline(Instant);

impl Guard for Deadline {
    fn gives_up(&mut self, _group: i32, _has_printed: bool) -> bool {
        Instant::now() > self.0
    }

    fn is_alive(&self, _group: i32) -> bool {
        false
    }
}

/// Never gives a child up.
struct Trust;

impl Guard for Trust {
    fn gives_up(&mut self, _group: i32, _has_printed: bool) -> bool {
        false
    }

    fn is_alive(&self, _group: i32) -> bool {
        false
    }
}

/// Runs a program, hands on its output line by line as it comes, and waits for its end.
///
/// SIGINT, SIGTERM and SIGHUP that reach us are passed on to its whole process group. Errors when it cannot be
/// started or its pipes cannot be read.
pub fn stream(
    command: &Command,
    interrupts: &Interrupts,
    on_line: &mut dyn FnMut(Line<'_>),
) -> io::Result<End> {
    match drive(command, interrupts, &mut Trust, on_line)? {
        Guarded::Ended(end) => Ok(end),
        Guarded::GivenUp { .. } => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// The same, until `guard` gives the child up: then its whole group is killed, and left behind if that does not end it.
pub fn stream_guarded(
    command: &Command,
    interrupts: &Interrupts,
    guard: &mut dyn Guard,
    on_line: &mut dyn FnMut(Line<'_>),
) -> io::Result<Guarded> {
    drive(command, interrupts, guard, on_line)
}

fn drive(
    command: &Command,
    interrupts: &Interrupts,
    guard: &mut dyn Guard,
    on_line: &mut dyn FnMut(Line<'_>),
) -> io::Result<Guarded> {
    let mut child = interrupts.adopt(|| command.spawn())?;
    feed(&mut child, &command.input);
    let mut gives_up =
        |has_printed| interrupts.child_group().is_some_and(|group| guard.gives_up(group, has_printed));
    let drained = drain(&mut child, command.raw_output, interrupts, &mut gives_up, on_line);
    if matches!(drained, Ok(false))
        && let Some(end) = interrupts.wait(&mut child, &mut || gives_up(false))?
    {
        return Ok(Guarded::Ended(end));
    }
    let left_behind = !kill(&mut child, interrupts, guard)?;
    drained.map(|_| Guarded::GivenUp { left_behind })
}

/// Kills the child's whole group and says whether that has ended it in time.
fn kill(child: &mut Child, interrupts: &Interrupts, guard: &dyn Guard) -> io::Result<bool> {
    let group = interrupts.child_group();
    interrupts.stop_child();
    let deadline = Instant::now() + LAST_WAIT;
    if interrupts.wait(child, &mut || Instant::now() > deadline)?.is_none() {
        interrupts.abandon();
        return Ok(false);
    }
    while group.is_some_and(|group| guard.is_alive(group)) {
        if Instant::now() > deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(true)
}

/// A child that never reads must not block us, so its input is written by a thread that ends with the pipe.
fn feed(child: &mut Child, input: &[u8]) {
    if let Some(mut pipe) = child.stdin.take() {
        let input = Zeroizing::new(input.to_vec());
        std::thread::spawn(move || {
            // A child that does not want its input is no failure; what it makes of that is in its exit code.
            let _ = pipe.write_all(&input);
        });
    }
}
