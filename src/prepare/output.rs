//! What `prepare` prints, and how it refuses.

use std::fmt::Display;
use std::io::{self, Write as _};

use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;

/// A closed output must not stop a disk from being prepared half-way.
pub fn say(sentence: impl Display) {
    let _ = writeln!(io::stdout(), "{sentence}");
}

/// A size, and no more digits than anybody reads.
#[must_use]
pub fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// A refusal because something that is needed does not work.
pub fn failed(sentence: impl Into<String>) -> Refusal {
    Refusal(ExitCode::NOT_ROOT_OR_INTERNAL, sentence.into())
}

/// An argument as a shell takes it.
#[must_use]
pub fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/:=+@,-".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_one_argument() {
        assert_eq!(quoted("/a/b-1.img"), "/a/b-1.img");
        assert_eq!(quoted("a b'c$"), "'a b'\\''c$'");
        assert_eq!(quoted(""), "''");
    }
}
