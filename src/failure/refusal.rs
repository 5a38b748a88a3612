//! Why a subcommand did not do everything that it was asked for.

use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// The exit code and the sentence.
#[derive(Debug)]
pub struct Refusal(pub ExitCode, pub String);

impl Refusal {
    /// One without a code of its own.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(ExitCode::NOT_ROOT_OR_INTERNAL, sentence.into())
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self(failure.exit_code(), failure.to_string())
    }
}
