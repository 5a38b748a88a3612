//! How a run ends: the only thing that becomes an exit code.

use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// The end of a run.
#[derive(Debug)]
pub enum Outcome {
    /// The clone is complete.
    Completed,
    /// The clone is complete, except for files that vanished from the source meanwhile.
    Vanished,
    /// The clone is complete, but it does not start a machine, or is damaged.
    Flawed(Failure),
    /// It was a test run: nothing was changed.
    TestRun,
    /// The destination was missing, which was allowed.
    Skipped,
    /// The run failed.
    Failed(Failure),
}

impl Outcome {
    /// The documented exit code of this outcome.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Completed | Self::Skipped => ExitCode::SUCCESS,
            Self::Vanished => ExitCode::VANISHED,
            Self::TestRun => ExitCode::TEST_RUN,
            Self::Flawed(failure) | Self::Failed(failure) => failure.exit_code(),
        }
    }
}

/// How complete a clone is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// Everything is there.
    Whole,
    /// Files that vanished from the source meanwhile are missing: at no single moment did all of them exist.
    Vanished,
}
