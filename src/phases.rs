//! The phases of a run, each in its own file, and what they share.

pub mod adoption;
pub mod attempts;
pub mod census;
pub mod conclusion;
pub mod endpoints;
pub mod exclusions;
pub mod filesystem;
pub mod granularity;
pub mod identity;
pub mod introduction;
pub mod journal;
pub mod markers;
pub mod mounts;
pub mod overlap;
pub mod ownership;
pub mod password;
pub mod preflight;
pub mod safety_net;
pub mod script;
pub mod server_backup;
pub mod transfer;
pub mod verdict;
pub mod watchdog;

use std::cell::{Cell, OnceCell, RefCell};
use std::time::Instant;

use chrono::{DateTime, Local};

use crate::failure::Failure;
use crate::host::Host;
use crate::logging::{self, Log, Screen};
use crate::plan::Plan;
use crate::process::interrupts::Interrupts;
use journal::Journal;
use markers::Reserve;

/// One run, as every phase sees it.
#[derive(Debug)]
pub struct Run<'a> {
    /// What was decided.
    pub plan: &'a Plan,
    /// Where we are.
    pub host: &'a Host,
    /// Signals that reached us.
    pub interrupts: &'a Interrupts,
    /// Nobody wants a clone now, only what one would meet: nothing is written, as in a test run, and what would be refused
    /// is refused.
    pub is_examination: bool,
    /// When the run began.
    pub started: DateTime<Local>,
    /// The same moment by a clock that nobody sets.
    pub began: Instant,
    log: OnceCell<Log>,
    journal: RefCell<Journal>,
    reserve: RefCell<Option<Reserve>>,
    /// How many entries the source had at the last complete clone to this destination, as the census has found.
    last_complete: Cell<Option<u64>>,
}

impl<'a> Run<'a> {
    /// A run that begins now.
    #[must_use]
    pub fn new(plan: &'a Plan, host: &'a Host, interrupts: &'a Interrupts) -> Self {
        Self {
            plan,
            host,
            interrupts,
            is_examination: false,
            started: Local::now(),
            began: Instant::now(),
            journal: RefCell::default(),
            log: OnceCell::new(),
            reserve: RefCell::new(None),
            last_complete: Cell::new(None),
        }
    }

    /// An examination of what the plan, a test run, would meet as a clone.
    #[must_use]
    pub fn examination(plan: &'a Plan, host: &'a Host, interrupts: &'a Interrupts) -> Self {
        Self { is_examination: true, ..Self::new(plan, host, interrupts) }
    }

    /// Whether what a real run would refuse is only told, as in a test run.
    #[must_use]
    pub fn only_tells(&self) -> bool {
        self.plan.test_run && !self.is_examination
    }

    /// Starts the log, in the folder that was asked for or else the host's.
    pub fn start_log(&self) {
        let dir = self.plan.log_dir.as_deref().unwrap_or(&self.host.log_dir);
        let _ = self.log.get_or_init(|| logging::start(dir, self.started));
    }

    /// Where progress is shown.
    #[must_use]
    pub fn screen(&self) -> Screen {
        self.log.get().map(|log| log.screen.clone()).unwrap_or_default()
    }

    /// An error if a signal has asked us to end.
    pub fn go_on(&self) -> Result<(), Failure> {
        match self.interrupts.received() {
            Some(signal) => Err(Failure::Interrupted { signal }),
            None => Ok(()),
        }
    }
}
