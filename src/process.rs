//! The only way to start other programs: an absolute path, an argument vector and never a shell, a chosen environment,
//! a separate process group, both pipes drained with bounded memory, signals passed on.

mod abandon;
pub mod background;
pub mod beside;
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
pub use command::{Command, End, Line, Namespace, Stream, tool_environment};
use drain::drain;
use interrupts::Interrupts;

/// Overwrites a secret in our own arguments, if the system allows it.
pub fn hide_argument(secret: &Secret) {
    crate::sys::hide_argument(secret.expose());
}

/// Turns overwriting of freed memory on or off: no copy of a password shall stay in it.
///
/// The command line, its parser and the pipes of other programs copy a password without our doing.
pub fn wipe_freed_memory(wipes: bool) {
    crate::sys::wipe_freed_memory(wipes);
}

/// How a child ended, or that it was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarded {
    /// It ended like this.
    Ended(End),
    /// It was killed because its guard gave up on it.
    GivenUp {
        /// Not even SIGKILL ended all of it within [`LAST_WAIT`]: it is waiting for a device.
        left_behind: bool,
    },
}

/// Watches a child that may wait forever.
pub trait Guard {
    /// Whether to give up on this process group; `has_printed` says whether it printed anything since the last call.
    fn gives_up(&mut self, group: i32, has_printed: bool) -> bool;

    /// Whether any process of the group still exists.
    fn is_alive(&self, group: i32) -> bool;
}

/// How long to wait for a killed child: nothing ends a process that waits for a dead device.
pub const LAST_WAIT: Duration = Duration::from_secs(5);

/// The output of a tool and how it ended.
#[derive(Debug)]
pub struct Captured {
    /// Its end.
    pub end: End,
    /// Standard output, truncated at the limit.
    pub out: Vec<u8>,
    /// Standard error, truncated at the limit.
    pub err: Vec<u8>,
}

/// How much of each output of a tool is kept, in bytes.
const CAPTURE_LIMIT: usize = 1 << 20;

/// Runs a small tool and captures up to 1 MiB of each output; it is killed after `limit`.
///
/// Errors if it cannot be started or takes longer than `limit` (`TimedOut`).
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

/// Gives up on a child at a fixed time.
struct Deadline(Instant);

impl Guard for Deadline {
    fn gives_up(&mut self, _group: i32, _has_printed: bool) -> bool {
        Instant::now() > self.0
    }

    fn is_alive(&self, _group: i32) -> bool {
        false
    }
}

/// Never gives up on a child.
struct Trust;

impl Guard for Trust {
    fn gives_up(&mut self, _group: i32, _has_printed: bool) -> bool {
        false
    }

    fn is_alive(&self, _group: i32) -> bool {
        false
    }
}

/// Runs a program, passes on its output line by line as it arrives, and waits for it to end.
///
/// SIGINT, SIGTERM and SIGHUP that reach us are forwarded to its whole process group. Errors if it cannot be started or
/// its pipes cannot be read.
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

/// The same, until `guard` gives up on the child: its group is killed, and abandoned if that does not end it.
pub fn stream_guarded(
    command: &Command,
    interrupts: &Interrupts,
    guard: &mut dyn Guard,
    on_line: &mut dyn FnMut(Line<'_>),
) -> io::Result<Guarded> {
    drive(command, interrupts, guard, on_line)
}

/// Runs a program with our own outputs, which must be this one: it is trusted to end. Signals are forwarded to it.
///
/// Errors if it cannot be started.
pub fn attached(command: &Command, interrupts: &Interrupts) -> io::Result<End> {
    let mut child = interrupts.adopt(|| command.spawn_attached())?;
    loop {
        if let Some(end) = interrupts.wait(&mut child, &mut || false)? {
            return Ok(end);
        }
    }
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

/// Kills the child's whole group and returns whether it ended in time.
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

/// A child that never reads must not block us, so a thread writes its input and ends with the pipe.
fn feed(child: &mut Child, input: &[u8]) {
    if let Some(mut pipe) = child.stdin.take() {
        let input = Zeroizing::new(input.to_vec());
        std::thread::spawn(move || {
            // A child that does not read its input has not failed; its exit code decides.
            let _ = pipe.write_all(&input);
        });
    }
}
