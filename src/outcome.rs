//! How a run ends. The only thing that becomes an exit code.

use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// The end of a run.
#[derive(Debug)]
pub enum Outcome {
    /// The clone is complete.
    Completed,
    /// A test run: nothing was changed.
    TestRun,
    /// The run failed.
    Failed(Failure),
}

impl Outcome {
    /// The documented exit code of this end.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Completed => ExitCode::SUCCESS,
            Self::TestRun => ExitCode::TEST_RUN,
            Self::Failed(failure) => failure.exit_code(),
        }
    }
}
