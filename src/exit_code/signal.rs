//! A signal that asked the run to end.

use std::fmt;

use nix::libc::{SIGHUP, SIGINT, SIGTERM};

/// A signal, by its number: real-time signals have no other name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(i32);

impl Signal {
    /// The signal with this number.
    #[must_use]
    pub const fn of(number: i32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Whether it is one of the three everyday termination signals, which share one rsync exit code.
    #[must_use]
    pub const fn is_ordinary(self) -> bool {
        matches!(self.0, SIGHUP | SIGINT | SIGTERM)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nix::sys::signal::Signal::try_from(self.0) {
            Ok(signal) => formatter.write_str(signal.as_str()),
            Err(_) => write!(formatter, "signal {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Signal;
    use crate::exit_code::ExitCode;

    #[test]
    fn each_signal_has_a_name_and_a_code() {
        let of = |number| {
            let signal = Signal::of(number);
            (signal.to_string(), ExitCode::from_interruption(signal).number())
        };
        assert_eq!(of(nix::libc::SIGTERM), ("SIGTERM".to_owned(), 20));
        assert_eq!(of(nix::libc::SIGQUIT), ("SIGQUIT".to_owned(), 131));
        assert_eq!(of(40), ("signal 40".to_owned(), 168));
    }
}
