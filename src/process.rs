//! The one door for starting other programs: an absolute path, an argument vector and never a shell, a chosen
//! environment, a process group of its own, both pipes drained with bounded memory, signals passed on.

pub mod interrupts;
mod lines;
mod sys;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use interrupts::Interrupts;
use lines::Splitter;

/// How long one wait for output lasts before the child's end and the deadline are looked at, in milliseconds.
const TICK_MS: u16 = 100;

/// How long output is still read after the child has ended, when a process it left behind keeps the pipes open.
const LEFT_BEHIND: Duration = Duration::from_millis(500);

/// The most that is read once the child has ended, in bytes: more than all pipes can hold comes from a process that it
/// left behind.
const LEFT_IN_PIPES: usize = 4 << 20;

/// What to start.
#[derive(Debug)]
pub struct Command {
    /// The program, by its absolute path.
    pub program: PathBuf,
    /// Its arguments, without the program's name.
    pub arguments: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// What it reads on standard input; nothing at all when empty.
    pub input: Vec<u8>,
    /// A lock that lives until this process and the child are both gone.
    pub lock: Option<OwnedFd>,
}

/// The environment of every tool: the C locale, the system's folders, and nothing that came from our caller.
///
/// rsync would read `RSYNC_*`, `CVSIGNORE` and `~/.popt` from it, and print numbers by the locale (3.2.4 and later).
#[must_use]
pub fn tool_environment() -> Vec<(OsString, OsString)> {
    [("LC_ALL", "C"), ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
}

impl Command {
    /// A tool with the environment that all tools get.
    #[must_use]
    pub fn tool(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: tool_environment(),
            input: Vec::new(),
            lock: None,
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        sys::prepare_child(&mut command, self.lock.as_ref());
        command.spawn()
    }
}

/// Which of the child's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A piece of output: a whole line, or the part of it that fits the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Where it was printed.
    pub stream: Stream,
    /// The bytes, without the line's end.
    pub bytes: &'a [u8],
    /// Ended by a carriage return: a progress display that the next piece overwrites.
    pub transient: bool,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Exited(i32),
    /// Killed by this signal.
    Killed(i32),
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, signal) => Self::Killed(signal.unwrap_or(0)),
        }
    }
}

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
    let end = drive(command, interrupts, Some(Instant::now() + limit), &mut |line| {
        let kept = match line.stream {
            Stream::Out => &mut out,
            Stream::Err => &mut err,
        };
        if kept.len() + line.bytes.len() < CAPTURE_LIMIT {
            kept.extend_from_slice(line.bytes);
            kept.push(b'\n');
        }
    })?;
    Ok(Captured { end, out, err })
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
    drive(command, interrupts, None, on_line)
}

fn drive(
    command: &Command,
    interrupts: &Interrupts,
    deadline: Option<Instant>,
    on_line: &mut dyn FnMut(Line<'_>),
) -> io::Result<End> {
    let mut child = interrupts.adopt(|| command.spawn())?;
    feed(&mut child, &command.input);
    let drained = drain(&mut child, interrupts, deadline, on_line);
    if drained.is_err() {
        interrupts.kill_child();
    }
    let end = interrupts.wait(&mut child)?;
    drained.map(|()| end)
}

/// A child that never reads must not block us, so its input is written by a thread that ends with the pipe.
fn feed(child: &mut Child, input: &[u8]) {
    if let Some(mut pipe) = child.stdin.take() {
        let input = input.to_vec();
        std::thread::spawn(move || {
            // A child that does not want its input is no failure; what it makes of that is in its exit code.
            let _ = pipe.write_all(&input);
        });
    }
}

struct Pipe {
    file: File,
    stream: Stream,
    lines: Splitter,
}

/// How far the output is read once the child has ended: a process that it left behind may never close the pipes.
struct Last {
    looked: Instant,
    ended: Option<Instant>,
    emptied: bool,
    bytes: usize,
}

impl Default for Last {
    fn default() -> Self {
        Self { looked: Instant::now(), ended: None, emptied: false, bytes: 0 }
    }
}

impl Last {
    /// How long to wait for output, in milliseconds.
    fn patience(&self) -> u16 {
        if self.ended.is_some() && !self.emptied { 0 } else { TICK_MS }
    }

    fn read(&mut self, count: usize) {
        if self.ended.is_some() {
            self.bytes += count;
        }
    }

    /// Whether all that the child itself has printed is read, however slowly: since its end the pipes were empty once,
    /// or gave more than they hold.
    fn is_over(&mut self, silent: bool, has_ended: impl FnOnce() -> io::Result<bool>) -> io::Result<bool> {
        if let Some(since) = self.ended {
            self.emptied |= silent || self.bytes > LEFT_IN_PIPES;
            return Ok(self.emptied && since.elapsed() > LEFT_BEHIND);
        }
        if silent || self.looked.elapsed() > Duration::from_millis(TICK_MS.into()) {
            self.looked = Instant::now();
            self.ended = has_ended()?.then(Instant::now);
        }
        Ok(false)
    }
}

fn drain(
    child: &mut Child,
    interrupts: &Interrupts,
    deadline: Option<Instant>,
    on_line: &mut dyn FnMut(Line<'_>),
) -> io::Result<()> {
    let pipe = |fd: OwnedFd, stream| Pipe { file: File::from(fd), stream, lines: Splitter::default() };
    let mut pipes: Vec<Pipe> = Vec::with_capacity(2);
    pipes.extend(child.stdout.take().map(|out| pipe(out.into(), Stream::Out)));
    pipes.extend(child.stderr.take().map(|err| pipe(err.into(), Stream::Err)));
    let mut buffer = vec![0; 64 * 1024];
    let mut last = Last::default();
    while !pipes.is_empty() {
        let ready = wait_readable(&pipes, last.patience())?;
        for index in ready.iter().rev().copied() {
            let Pipe { file, stream, lines } = &mut pipes[index];
            let count = match file.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            last.read(count);
            let stream = *stream;
            let mut emit = |bytes: &[u8], transient| on_line(Line { stream, bytes, transient });
            if count == 0 {
                lines.finish(&mut emit);
                pipes.swap_remove(index);
            } else {
                lines.push(&buffer[..count], &mut emit);
            }
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if last.is_over(ready.is_empty(), || interrupts.has_ended(child))? {
            break;
        }
    }
    for Pipe { mut lines, stream, .. } in pipes {
        lines.finish(&mut |bytes, transient| on_line(Line { stream, bytes, transient }));
    }
    Ok(())
}

/// The pipes that have something to read or are at their end; none when nothing came within so many milliseconds.
fn wait_readable(pipes: &[Pipe], patience: u16) -> io::Result<Vec<usize>> {
    let mut polled: Vec<PollFd<'_>> =
        pipes.iter().map(|pipe| PollFd::new(pipe.file.as_fd(), PollFlags::POLLIN)).collect();
    match poll(&mut polled, PollTimeout::from(patience)) {
        Ok(_) => {}
        Err(nix::errno::Errno::EINTR) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    }
    Ok(polled
        .iter()
        .enumerate()
        .filter(|(_, pipe)| pipe.any() == Some(true))
        .map(|(index, _)| index)
        .collect())
}
