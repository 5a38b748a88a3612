//! Reads both outputs of a child until their end, or until the child has ended and only others keep them open.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::interrupts::Interrupts;
use super::lines::Splitter;
use super::{Line, Stream};

/// How often the child's end and the deadline are looked at.
const TICK: Duration = Duration::from_millis(100);

/// The longest wait for output, in milliseconds; a tick.
const WAIT_MS: u16 = 100;

/// How long output is still read after the child has ended, when a process it left behind keeps the pipes open.
const LEFT_BEHIND: Duration = Duration::from_millis(500);

/// What is read of each pipe after the child's end in any case, in bytes: the most that a pipe holds of its words.
const PIPE_SIZE: usize = 1 << 20;

struct Pipe {
    file: File,
    stream: Stream,
    lines: Option<Splitter>,
    since_end: usize,
}

impl Pipe {
    fn new(fd: OwnedFd, stream: Stream, raw: bool) -> Self {
        Self { file: File::from(fd), stream, lines: (!raw).then(Splitter::default), since_end: 0 }
    }

    /// Reads once; false at the end of the stream.
    fn read(&mut self, buffer: &mut [u8], on_line: &mut dyn FnMut(Line<'_>)) -> io::Result<bool> {
        let count = match self.file.read(buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        };
        let stream = self.stream;
        let mut emit = |bytes: &[u8], transient| on_line(Line { stream, bytes, transient });
        match &mut self.lines {
            Some(lines) => lines.push(&buffer[..count], &mut emit),
            None if count > 0 => emit(&buffer[..count], false),
            None => {}
        }
        self.since_end += count;
        Ok(count > 0)
    }

    fn finish(&mut self, on_line: &mut dyn FnMut(Line<'_>)) {
        let stream = self.stream;
        if let Some(lines) = &mut self.lines {
            lines.finish(&mut |bytes, transient| on_line(Line { stream, bytes, transient }));
        }
    }
}

/// Hands on every line. Errors when a pipe cannot be read, or when `deadline` has passed (`TimedOut`).
pub fn drain(
    child: &mut Child,
    raw_output: bool,
    interrupts: &Interrupts,
    deadline: Option<Instant>,
    on_line: &mut dyn FnMut(Line<'_>),
) -> io::Result<()> {
    let mut pipes: Vec<Pipe> = Vec::with_capacity(2);
    pipes.extend(child.stdout.take().map(|out| Pipe::new(out.into(), Stream::Out, raw_output)));
    pipes.extend(child.stderr.take().map(|err| Pipe::new(err.into(), Stream::Err, false)));
    let mut buffer = vec![0; 64 * 1024];
    let (mut looked, mut ended) = (Instant::now(), None);
    while !pipes.is_empty() {
        for index in wait_readable(&pipes)?.into_iter().rev() {
            if !pipes[index].read(&mut buffer, on_line)? {
                pipes.swap_remove(index).finish(on_line);
            }
        }
        if looked.elapsed() < TICK {
            continue;
        }
        looked = Instant::now();
        if deadline.is_some_and(|deadline| looked > deadline) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match ended {
            Some(since) if is_left_behind(since, &pipes)? => break,
            None if interrupts.has_ended(child)? => {
                ended = Some(looked);
                for pipe in &mut pipes {
                    pipe.since_end = 0;
                }
            }
            Some(_) | None => {}
        }
    }
    for pipe in &mut pipes {
        pipe.finish(on_line);
    }
    Ok(())
}

/// Whether all that the child itself said has been read: nothing is ready, or more than a pipe holds came since.
fn is_left_behind(since: Instant, pipes: &[Pipe]) -> io::Result<bool> {
    if since.elapsed() < LEFT_BEHIND {
        return Ok(false);
    }
    let ready = wait_readable(pipes)?;
    Ok(ready.iter().all(|index| pipes[*index].since_end > PIPE_SIZE))
}

/// The pipes that have something to read or are at their end; none after a tick in which nothing came.
fn wait_readable(pipes: &[Pipe]) -> io::Result<Vec<usize>> {
    let mut polled: Vec<PollFd<'_>> =
        pipes.iter().map(|pipe| PollFd::new(pipe.file.as_fd(), PollFlags::POLLIN)).collect();
    match poll(&mut polled, PollTimeout::from(WAIT_MS)) {
        Ok(_) => {}
        Err(nix::errno::Errno::EINTR) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    }
    let is_ready = |(_, pipe): &(usize, &PollFd<'_>)| pipe.any() == Some(true);
    Ok(polled.iter().enumerate().filter(is_ready).map(|(index, _)| index).collect())
}
