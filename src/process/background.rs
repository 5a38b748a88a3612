//! A child that runs beside us: we hold its input open, kill it when done, and its input ends if we die.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, ChildStdin};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::process::{Command, Stdio};

/// How much of a failed child's standard error is kept, in bytes.
const LONGEST_COMPLAINT: u64 = 4096;

/// A running child. Its whole process group is killed and waited for on drop.
#[derive(Debug)]
pub struct Background {
    child: Child,
    // Held open: a child that reads it ends when we end, in whatever way.
    input: Option<ChildStdin>,
}

/// Why a child is not running.
#[derive(Debug)]
pub enum NotReady {
    /// It could not be started or communicated with.
    Failed(io::Error),
    /// It ended, and printed this on standard error.
    Ended(Vec<u8>),
    /// It did not answer in time.
    Silent,
}

/// Starts a child that echoes its input, as `cat` does, however many programs wrap it, and waits for one line to come
/// back: only then are all of them running.
///
/// Signals that reach us are not forwarded to it.
pub fn background(command: &Command, limit: Duration) -> Result<Background, NotReady> {
    let mut child = command.spawn_with(Stdio::piped()).map_err(NotReady::Failed)?;
    let input = child.stdin.take();
    let mut started = Background { child, input };
    started.wait_for_echo(limit)?;
    Ok(started)
}

impl Background {
    fn wait_for_echo(&mut self, limit: Duration) -> Result<(), NotReady> {
        let deadline = Instant::now() + limit;
        if let Some(input) = &mut self.input {
            // A child that has already ended has said why.
            let _ = input.write_all(b"\n");
        }
        let Some(out) = &self.child.stdout else { return Err(NotReady::Silent) };
        if !wait_readable(out.as_fd(), deadline).map_err(NotReady::Failed)? {
            return Err(NotReady::Silent);
        }
        let mut file = File::from(out.as_fd().try_clone_to_owned().map_err(NotReady::Failed)?);
        match file.read(&mut [0; 1]) {
            Ok(0) => Err(NotReady::Ended(self.complaint(deadline))),
            Ok(_) => Ok(()),
            Err(error) => Err(NotReady::Failed(error)),
        }
    }

    /// The standard error of a child that has closed its output.
    fn complaint(&mut self, deadline: Instant) -> Vec<u8> {
        let mut said = Vec::new();
        let Some(err) = self.child.stderr.take().map(OwnedFd::from) else { return said };
        self.kill();
        if wait_readable(err.as_fd(), deadline).unwrap_or(false) {
            // What cannot be read is omitted; that the child has ended is reported all the same.
            let _ = File::from(err).take(LONGEST_COMPLAINT).read_to_end(&mut said);
        }
        said
    }

    fn kill(&mut self) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            // The group may be gone already.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.kill();
        // It was killed, so its exit status tells nothing.
        let _ = self.child.wait();
    }
}

/// Waits for input or the end of the stream; returns whether that came before the deadline.
fn wait_readable(fd: std::os::fd::BorrowedFd<'_>, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut polled = [PollFd::new(fd, PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}
