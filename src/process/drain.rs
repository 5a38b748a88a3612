//! Reads both outputs of a child until they end, until the child has ended and only others keep them open, or until the
//! caller gives up.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::process::command::{Line, Stream};
use crate::process::interrupts::Interrupts;
use crate::process::lines::{Piece, Splitter};

/// How often the child's end and the deadline are checked, in milliseconds.
const TICK_MS: u16 = 100;

/// How long to keep reading after the child has ended, if a process it left behind keeps the pipes open.
const LEFT_BEHIND: Duration = Duration::from_millis(500);

/// How much is read after the child has ended, in bytes: anything beyond what the pipes can hold comes from a process
/// that it left behind.
const LEFT_IN_PIPES: usize = 4 << 20;

struct Pipe {
    file: File,
    stream: Stream,
    lines: Option<Splitter>,
}

impl Pipe {
    fn new(fd: OwnedFd, stream: Stream, raw: bool) -> Self {
        Self { file: File::from(fd), stream, lines: (!raw).then(Splitter::default) }
    }

    /// Reads once and returns the number of bytes; `None` at the end of the stream.
    fn read(&mut self, buffer: &mut [u8], on_line: &mut dyn FnMut(Line<'_>)) -> io::Result<Option<usize>> {
        let count = match self.file.read(buffer) {
            Ok(0) => return Ok(None),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        let stream = self.stream;
        let mut emit = |bytes: &[u8], piece| on_line(Line { stream, bytes, piece });
        match &mut self.lines {
            Some(lines) => lines.push(&buffer[..count], &mut emit),
            None if count > 0 => emit(&buffer[..count], Piece::LINE),
            None => {}
        }
        Ok(Some(count))
    }

    fn finish(&mut self, on_line: &mut dyn FnMut(Line<'_>)) {
        let stream = self.stream;
        if let Some(lines) = &mut self.lines {
            lines.finish(&mut |bytes, piece| on_line(Line { stream, bytes, piece }));
        }
    }
}

/// Decides when to stop reading after the child has ended: a process it left behind may never close the pipes.
struct Last {
    looked: Instant,
    ended: Option<Instant>,
    emptied: bool,
    bytes: usize,
}

impl Last {
    fn new() -> Self {
        Self { looked: Instant::now(), ended: None, emptied: false, bytes: 0 }
    }

    /// How long to wait for output, in milliseconds: 0 until everything the child itself printed has been read.
    fn patience(&self) -> u16 {
        if self.ended.is_some() && !self.emptied { 0 } else { TICK_MS }
    }

    fn read(&mut self, count: usize) {
        if self.ended.is_some() {
            self.bytes += count;
        }
    }

    /// Whether everything the child itself printed has been read, however slowly: since its end the pipes have been
    /// empty once, or have yielded more than they can hold.
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

/// Passes on every line. `gives_up` is called all the while and told whether anything was printed; returns whether it
/// gave up. Errors if a pipe cannot be read.
pub fn drain(
    child: &mut Child,
    raw_output: bool,
    interrupts: &Interrupts,
    gives_up: &mut dyn FnMut(bool) -> bool,
    on_line: &mut dyn FnMut(Line<'_>),
) -> io::Result<bool> {
    let mut is_over_early = false;
    let mut pipes: Vec<Pipe> = Vec::with_capacity(2);
    pipes.extend(child.stdout.take().map(|out| Pipe::new(out.into(), Stream::Out, raw_output)));
    pipes.extend(child.stderr.take().map(|err| Pipe::new(err.into(), Stream::Err, false)));
    let mut buffer = vec![0; 64 * 1024];
    let mut last = Last::new();
    while !pipes.is_empty() {
        let ready = wait_readable(&pipes, last.patience())?;
        for index in ready.iter().rev().copied() {
            match pipes[index].read(&mut buffer, on_line)? {
                Some(count) => last.read(count),
                None => pipes.swap_remove(index).finish(on_line),
            }
        }
        is_over_early = gives_up(!ready.is_empty());
        if is_over_early {
            break;
        }
        if last.is_over(ready.is_empty(), || interrupts.has_ended(child))? {
            break;
        }
    }
    for pipe in &mut pipes {
        pipe.finish(on_line);
    }
    Ok(is_over_early)
}

/// The pipes that have input or are at their end; empty if nothing arrived within `patience` milliseconds.
fn wait_readable(pipes: &[Pipe], patience: u16) -> io::Result<Vec<usize>> {
    let mut polled: Vec<PollFd<'_>> =
        pipes.iter().map(|pipe| PollFd::new(pipe.file.as_fd(), PollFlags::POLLIN)).collect();
    match poll(&mut polled, PollTimeout::from(patience)) {
        Ok(_) => {}
        Err(nix::errno::Errno::EINTR) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    }
    let is_ready = |(_, pipe): &(usize, &PollFd<'_>)| pipe.any() == Some(true);
    Ok(polled.iter().enumerate().filter(is_ready).map(|(index, _)| index).collect())
}
