//! How a run records things, and the record it creates from them.

use std::time::{Duration, Instant};

use chrono::Local;

use crate::display;
use crate::logging::{Step, warning};
use crate::outcome::Outcome;
use crate::record::{Lines, Phase, Record, SCHEMA, Status};
use crate::run::Run;

use crate::run::journal::Journal;

/// Records a phase's duration when dropped.
#[derive(Debug)]
pub struct PhaseTimer<'a> {
    run: &'a Run<'a>,
    name: &'static str,
    began: Instant,
    _step: Step,
}

impl Drop for PhaseTimer<'_> {
    fn drop(&mut self) {
        let seconds = rounded(self.began.elapsed());
        self.run.note(|journal| journal.phases.push(Phase { name: self.name.to_owned(), seconds }));
    }
}

/// Milliseconds are precise enough, and shorter to read.
fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

impl Run<'_> {
    /// Adds something to the journal.
    pub fn note(&self, write: impl FnOnce(&mut Journal)) {
        write(&mut self.journal.borrow_mut());
    }

    /// Measures the duration of a phase, from now until the returned value is dropped.
    #[must_use]
    pub fn phase(&self, name: &'static str) -> PhaseTimer<'_> {
        PhaseTimer { run: self, name, began: Instant::now(), _step: self.step(name) }
    }

    /// Shows on a terminal what is being done, until the returned value is dropped.
    #[must_use]
    pub fn step(&self, name: &'static str) -> Step {
        self.screen().step(name)
    }

    /// Logs a warning and makes a success of this run one with warnings. It may name files below the source or the
    /// destination, so its text is not published.
    pub fn warn(&self, message: impl std::fmt::Display) {
        self.warn_with(&message.to_string(), "a warning that may name files is in the log.");
    }

    /// The same for a warning that names no file below the source or the destination.
    pub fn warn_publicly(&self, message: impl std::fmt::Display) {
        let message = message.to_string();
        self.warn_with(&message, &message);
    }

    fn warn_with(&self, message: &str, public: &str) {
        warning(message);
        self.note(|journal| {
            journal.warnings.push(message.to_owned());
            journal.public_warnings.push(public.to_owned());
        });
    }

    /// The status of a run with this outcome.
    #[must_use]
    pub fn status(&self, outcome: &Outcome) -> Status {
        match outcome {
            Outcome::Failed(_) => Status::Failed,
            Outcome::Skipped => Status::Skipped,
            Outcome::Completed | Outcome::Vanished | Outcome::TestRun
                if self.journal.borrow().warnings.is_empty() =>
            {
                Status::Success
            }
            Outcome::Flawed(_) | Outcome::Completed | Outcome::Vanished | Outcome::TestRun => Status::Warning,
        }
    }

    /// The record of the run, which ends now with this outcome.
    #[must_use]
    pub fn record(&self, outcome: &Outcome) -> Record {
        let journal = self.journal.borrow();
        Record {
            schema: SCHEMA,
            counterpart: env!("CARGO_PKG_VERSION").to_owned(),
            host: self.machine.host.name.clone(),
            system: self.machine.host.platform.to_string(),
            source: display::path(&self.plan.source).to_string(),
            destination: display::path(&self.location().resolved).to_string(),
            prefix: self.plan.prefix.to_string(),
            outcome: self.status(outcome),
            exit_code: outcome.exit_code().number(),
            reason: match outcome {
                Outcome::Failed(failure) | Outcome::Flawed(failure) => Some(failure.to_string()),
                Outcome::Completed | Outcome::Vanished | Outcome::TestRun | Outcome::Skipped => None,
            },
            warnings: journal.warnings.clone(),
            started: self.started.into(),
            ended: Local::now().into(),
            seconds: rounded(self.began.elapsed()),
            phases: journal.phases.clone(),
            rsync: journal.rsync.clone(),
            statistics: journal.statistics,
            census: journal.census,
            scripts: journal.scripts.clone(),
            failing_paths: journal.failing_paths.clone(),
            log: self.log_path().map(|path| display::path(path).to_string()),
            changes: self.changes().path().map(|path| display::path(&path).to_string()),
            snapshots: journal.snapshots.clone(),
            hashes: journal.hashes,
            proof: journal.proof.clone(),
            verification: journal.verification.clone(),
        }
    }
}

impl Run<'_> {
    /// The public version of a record: it names no file below the source or the destination.
    #[must_use]
    pub fn for_everybody(&self, record: &Record, outcome: &Outcome) -> Record {
        let named = u64::try_from(record.failing_paths.first.len()).unwrap_or(u64::MAX);
        Record {
            reason: match outcome {
                Outcome::Failed(failure) | Outcome::Flawed(failure) => Some(failure.for_everybody()),
                Outcome::Completed | Outcome::Vanished | Outcome::TestRun | Outcome::Skipped => None,
            },
            warnings: self.journal.borrow().public_warnings.clone(),
            failing_paths: Lines { first: Vec::new(), more: record.failing_paths.more.saturating_add(named) },
            ..record.clone()
        }
    }
}
