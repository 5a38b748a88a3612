//! Why a subcommand did not do all that was asked.

use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// The exit code and the message.
#[derive(Debug)]
pub struct Refusal(pub ExitCode, pub String);

impl Refusal {
    /// A refusal without an exit code of its own.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(ExitCode::NOT_ROOT_OR_INTERNAL, sentence.into())
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self(failure.exit_code(), failure.to_string())
    }
}
