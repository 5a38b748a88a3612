//! The context of one run, shared by all phases.

pub mod journal;
pub mod notes;

use std::cell::{OnceCell, RefCell};
use std::path::Path;
use std::time::Instant;

use chrono::{DateTime, Local};

use crate::failure::Failure;
use crate::fs::location::Location;
use crate::host::Host;
use crate::logging;
use crate::logging::{Log, Screen};
use crate::plan::Plan;
use crate::process::interrupts::Interrupts;
use journal::Journal;

/// The purpose of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A clone.
    Clone,
    /// Report what a clone would change; what it would refuse is a warning. Only the log is written.
    TestRun,
    /// Report what a clone would encounter; what it would refuse is refused. Nothing is written.
    Examine,
}

impl Mode {
    /// Whether anything besides the log may be written.
    #[must_use]
    pub fn writes(self) -> bool {
        self == Self::Clone
    }

    /// Whether a refusal is a warning.
    #[must_use]
    pub fn only_warns(self) -> bool {
        self == Self::TestRun
    }
}

/// The context of one run, shared by all phases.
#[derive(Debug)]
pub struct Run<'a> {
    /// The options that apply.
    pub plan: &'a Plan,
    /// The machine we run on.
    pub host: &'a Host,
    /// Signals that we received.
    pub interrupts: &'a Interrupts,
    /// The purpose of the run.
    pub mode: Mode,
    /// When the run began.
    pub started: DateTime<Local>,
    /// The same moment by a monotonic clock.
    pub began: Instant,
    log: OnceCell<Log>,
    journal: RefCell<Journal>,
    location: OnceCell<Location>,
}

impl<'a> Run<'a> {
    /// Starts a run now.
    #[must_use]
    pub fn new(plan: &'a Plan, host: &'a Host, interrupts: &'a Interrupts) -> Self {
        Self {
            plan,
            host,
            interrupts,
            mode: if plan.test_run { Mode::TestRun } else { Mode::Clone },
            started: Local::now(),
            began: Instant::now(),
            journal: RefCell::default(),
            log: OnceCell::new(),
            location: OnceCell::new(),
        }
    }

    /// Starts a run in this mode, whatever the plan says.
    #[must_use]
    pub fn in_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// The destination's canonical name, under which everything that outlives the run is stored.
    #[must_use]
    pub fn location(&self) -> &Location {
        self.location.get_or_init(|| Location::of(&self.plan.destination))
    }

    /// Starts the log, in the requested directory or else the host's default.
    pub fn start_log(&self) {
        let dir = self.plan.log_dir.as_deref().unwrap_or(&self.host.log_dir);
        // A test run changes nothing besides writing its own log.
        let keep = self.plan.keep_logs.filter(|_| self.mode.writes());
        let _ = self.log.get_or_init(|| logging::start(dir, self.started, keep));
    }

    /// Where progress is displayed.
    #[must_use]
    pub fn screen(&self) -> Screen {
        self.log.get().map(|log| log.screen.clone()).unwrap_or_default()
    }

    /// The log's path, if there is a log.
    #[must_use]
    pub fn log_path(&self) -> Option<&Path> {
        self.log.get()?.path.as_deref()
    }

    /// The log's last lines.
    #[must_use]
    pub fn log_tail(&self) -> Vec<String> {
        self.log.get().map(|log| log.tail.lines()).unwrap_or_default()
    }

    /// Fails if a signal has asked us to stop.
    pub fn go_on(&self) -> Result<(), Failure> {
        match self.interrupts.received() {
            Some(signal) => Err(Failure::Interrupted { signal }),
            None => Ok(()),
        }
    }
}
