//! What everything that starts a tool needs.

use crate::failure::Failure;
use crate::host::Host;
use crate::process::interrupts::Interrupts;

/// The machine we run on, and the signals that may end us.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    /// The machine.
    pub host: &'a Host,
    /// The signals that we have received.
    pub interrupts: &'a Interrupts,
}

impl Machine<'_> {
    /// Fails if a signal has asked us to stop.
    pub fn go_on(self) -> Result<(), Failure> {
        self.interrupts.received().map_or(Ok(()), |signal| Err(Failure::Interrupted { signal }))
    }
}
