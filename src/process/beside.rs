//! A child that runs while we do other things: signals are forwarded to it, and it ends with us.

use std::io;
use std::process::{Child, ChildStderr};
use std::time::{Duration, Instant};

use crate::process::interrupts::Interrupts;
use crate::process::{Command, LAST_WAIT};

/// A running child. Its whole process group is killed and waited for on drop; if we die, the kernel ends it.
#[derive(Debug)]
pub struct Beside<'a> {
    child: Child,
    interrupts: &'a Interrupts,
    has_ended: bool,
}

impl<'a> Beside<'a> {
    /// Starts it. Its standard output is not read, its standard error is the caller's.
    pub fn start(command: &Command, interrupts: &'a Interrupts) -> io::Result<(Self, Option<ChildStderr>)> {
        let mut child = interrupts.adopt(|| command.spawn())?;
        drop(child.stdout.take());
        let errors = child.stderr.take();
        Ok((Self { child, interrupts, has_ended: false }, errors))
    }

    /// Its process ID.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        if !self.has_ended {
            self.has_ended = self.interrupts.has_ended(&mut self.child)?;
        }
        Ok(self.has_ended)
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        self.interrupts.stop_child();
        let deadline = Instant::now() + LAST_WAIT;
        while !self.has_ended().unwrap_or(true) {
            if Instant::now() > deadline {
                // It waits for a device, and ends when that answers.
                self.interrupts.abandon();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
