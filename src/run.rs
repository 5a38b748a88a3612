//! The context of one run, shared by all phases.

pub mod journal;
pub mod notes;

use std::cell::{OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::time::Instant;

use chrono::{DateTime, Local};

use crate::failure::Failure;
use crate::fs::location::Location;
use crate::host::machine::Machine;
use crate::logging;
use crate::logging::changes::{Changes, Wanted};
use crate::logging::shown::{Shown, Verbosity};
use crate::logging::{Log, Screen};
use crate::plan::Plan;
use crate::state::{State, Store};
use crate::volume::named::wanted::NotMounted;
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
    /// Compare a clone with its source. Nothing is written, so that the clone may be mounted read-only.
    Verify,
}

/// Where the destination is found, which is known before anything else is done.
#[derive(Debug, Clone)]
pub enum Whereabouts {
    /// At the path that was given.
    AtPath,
    /// It is named by a tag, and mounted for this run.
    Mounted {
        /// Where.
        point: PathBuf,
        /// The UUID of its filesystem.
        uuid: Option<String>,
    },
    /// It is named by a tag, and not mounted.
    Nowhere(NotMounted),
}

impl Mode {
    /// The purpose of a run that makes a clone, or says what one would change.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        if plan.test_run { Self::TestRun } else { Self::Clone }
    }

    /// Whether anything besides the log may be written.
    #[must_use]
    pub fn writes(self) -> bool {
        self == Self::Clone
    }

    /// Whether nothing at all is written, not even a log.
    #[must_use]
    pub fn only_looks(self) -> bool {
        matches!(self, Self::Examine | Self::Verify)
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
    /// The machine we run on, and the signals that may end us.
    pub machine: Machine<'a>,
    /// The purpose of the run.
    pub mode: Mode,
    /// When the run began.
    pub started: DateTime<Local>,
    /// The same moment by a monotonic clock.
    pub began: Instant,
    log: OnceCell<Log>,
    journal: RefCell<Journal>,
    location: OnceCell<Location>,
    whereabouts: Whereabouts,
}

impl<'a> Run<'a> {
    /// Starts a run now, of a destination that is found there.
    #[must_use]
    pub fn new(plan: &'a Plan, machine: Machine<'a>, mode: Mode, whereabouts: Whereabouts) -> Self {
        let location = match &whereabouts {
            Whereabouts::Mounted { uuid: Some(uuid), .. } => {
                OnceCell::from(Location::filesystem(&plan.destination, uuid))
            }
            Whereabouts::Mounted { uuid: None, .. } | Whereabouts::AtPath | Whereabouts::Nowhere(_) => {
                OnceCell::new()
            }
        };
        Self {
            plan,
            machine,
            mode,
            started: Local::now(),
            began: Instant::now(),
            journal: RefCell::default(),
            log: OnceCell::new(),
            location,
            whereabouts,
        }
    }

    /// The destination's canonical name, under which everything that outlives the run is stored.
    #[must_use]
    pub fn location(&self) -> &Location {
        self.location.get_or_init(|| Location::of(&self.plan.destination))
    }

    /// What this machine remembers of the clone; nothing if that cannot be read, which the end of the run warns of.
    #[must_use]
    pub fn remembered(&self) -> Option<State> {
        Store::new(&self.machine.host.state_dir).load(self.location(), &self.plan.prefix).ok().flatten()
    }

    /// Settles the destination's canonical name, once its filesystem is known. Whoever asked before got what its spelling
    /// says.
    pub fn settle_location(&self, location: Location) {
        let _ = self.location.set(location);
    }

    /// The path where the destination is found: where it is mounted for this run, if it is named by a tag. `None` if it
    /// is not mounted.
    #[must_use]
    pub fn place(&self) -> Option<&Path> {
        match &self.whereabouts {
            Whereabouts::AtPath => Some(&self.plan.destination),
            Whereabouts::Mounted { point, .. } => Some(point),
            Whereabouts::Nowhere(_) => None,
        }
    }

    /// Why the destination is not mounted.
    #[must_use]
    pub fn why_not_mounted(&self) -> Failure {
        let path = self.plan.destination.clone();
        match &self.whereabouts {
            Whereabouts::Nowhere(NotMounted::Missing) => Failure::DestinationMissing { path },
            Whereabouts::Nowhere(NotMounted::Unusable(why)) => {
                Failure::DestinationUnusable { path, why: why.clone().into() }
            }
            Whereabouts::Nowhere(NotMounted::Interrupted) => match self.machine.interrupts.received() {
                Some(signal) => Failure::Interrupted { signal },
                None => Failure::Internal("interrupted by nothing".to_owned()),
            },
            Whereabouts::AtPath | Whereabouts::Mounted { .. } => {
                Failure::DestinationUnusable { path, why: "it is not mounted".into() }
            }
        }
    }

    /// Starts the log, in the requested directory or else the host's default.
    pub fn start_log(&self) {
        let dir = self.plan.log_dir.as_deref().unwrap_or(&self.machine.host.log_dir);
        let writes = self.mode.writes();
        let shown = Shown::choose(self.plan.verbosity, self.plan.colour, !writes);
        let wanted = Wanted {
            listed: writes && self.plan.log_changes,
            printed: writes && self.plan.verbosity == Verbosity::Verbose,
        };
        let _ = self.log.get_or_init(|| logging::start(dir, self.started, wanted, shown));
    }

    /// The run does not end early: its log takes the place of an older one.
    pub fn keep_log(&self) {
        if let Some(log) = self.log.get() {
            log.go_on(self.plan.keep_logs);
        }
    }

    /// The run ends: if it does so early, its log takes the place of one of another such run.
    pub fn end_log(&self) {
        if let (Some(log), Some(keep)) = (self.log.get(), self.plan.keep_logs) {
            log.end(keep);
        }
    }

    /// Where what is changed at the destination is listed.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.log.get().map(|log| log.changes.clone()).unwrap_or_default()
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
        self.machine.go_on()
    }
}
