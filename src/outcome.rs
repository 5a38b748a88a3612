//! How a run ends. The only thing that becomes an exit code.

use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// The end of a run.
#[derive(Debug)]
pub enum Outcome {
    /// The clone is complete.
    Completed,
    /// The clone is complete, but for files that vanished from the source while it was read.
    Vanished,
    /// A test run: nothing was changed.
    TestRun,
    /// The destination was not there, which was allowed.
    Skipped,
    /// The run failed.
    Failed(Failure),
}

impl Outcome {
    /// The documented exit code of this end.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Completed | Self::Skipped => ExitCode::SUCCESS,
            Self::Vanished => ExitCode::VANISHED,
            Self::TestRun => ExitCode::TEST_RUN,
            Self::Failed(failure) => failure.exit_code(),
        }
    }
}

/// In which way a clone is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// Everything is there.
    Whole,
    /// But for files that were deleted from the source while it was read: no moment had all of them.
    Vanished,
}
