//! The phases of a run, each in its own file, and what they share.

pub mod adoption;
pub mod attempts;
pub mod awake;
pub mod capacity;
pub mod census;
pub mod conclusion;
pub mod endpoints;
pub mod exclusions;
pub mod filesystem;
pub mod granularity;
pub mod group;
pub mod identity;
pub mod introduction;
pub mod journal;
pub mod links;
pub mod locked;
pub mod markers;
pub mod metrics;
pub mod mounts;
pub mod neighbours;
pub mod outputs;
pub mod overlap;
pub mod ownership;
pub mod password;
pub mod ping;
pub mod preflight;
pub mod safety_net;
pub mod script;
pub mod second_look;
pub mod server_backup;
pub mod source_disk;
pub mod stall;
pub mod transfer;
pub mod verdict;
pub mod view;
pub mod watchdog;

use std::cell::{Cell, OnceCell, RefCell};
use std::path::Path;
use std::time::Instant;

use chrono::{DateTime, Local};

use crate::failure::Failure;
use crate::host::Host;
use crate::host::location::Location;
use crate::logging::{self, Log, Screen};
use crate::plan::Plan;
use crate::process::interrupts::Interrupts;
use crate::record::Totals;
use journal::Journal;
use markers::Reserve;
use ping::Request;

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
    announcement: RefCell<Option<Request>>,
    location: OnceCell<Location>,
    /// What the source held at the last complete clone to this destination, as the census has found.
    last_complete: Cell<Option<Totals>>,
    /// What the source holds now, by the census.
    held: Cell<Option<Totals>>,
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
            announcement: RefCell::new(None),
            location: OnceCell::new(),
            last_complete: Cell::new(None),
            held: Cell::new(None),
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

    /// The destination's one name, by which everything that outlives the run is kept.
    #[must_use]
    pub fn location(&self) -> &Location {
        self.location.get_or_init(|| Location::of(&self.plan.destination))
    }

    /// Starts the log, in the folder that was asked for or else the host's.
    pub fn start_log(&self) {
        let dir = self.plan.log_dir.as_deref().unwrap_or(&self.host.log_dir);
        // A test run changes nothing, apart from writing its own log.
        let keep = self.plan.keep_logs.filter(|_| !self.plan.test_run);
        let _ = self.log.get_or_init(|| logging::start(dir, self.started, keep));
    }

    /// Where progress is shown.
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

    /// An error if a signal has asked us to end.
    pub fn go_on(&self) -> Result<(), Failure> {
        match self.interrupts.received() {
            Some(signal) => Err(Failure::Interrupted { signal }),
            None => Ok(()),
        }
    }
}
