//! Where in a job file something is wrong.

use std::fmt::Display;
use std::ops::Range;

/// The bytes of a file that are meant.
pub type Place = Range<usize>;

/// What is wrong with a job file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Line and column, from 1; none if it is the whole file.
    at: Option<(usize, usize)>,
    why: String,
}

impl Wrong {
    /// Something at this place of the text.
    pub fn at(text: &str, place: Place, why: impl Display) -> Self {
        let before = text.get(..place.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { at: Some((line, column)), why: why.to_string() }
    }

    /// Something about the file as a whole.
    pub fn whole(why: impl Display) -> Self {
        Self { at: None, why: why.to_string() }
    }

    /// As compilers have it: file, line, column, reason.
    #[must_use]
    pub fn of(&self, file: &str) -> String {
        let at = self.at.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
        let end = if self.why.ends_with(['.', '?']) { "" } else { "." };
        format!("{file}{at}: {}{end}", self.why)
    }
}

/// The first option that a message names, without hyphens.
#[must_use]
pub fn option_in(message: &str) -> Option<&str> {
    let rest = message.get(message.find("--")? + 2..)?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(rest.len());
    rest.get(..end).filter(|option| !option.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Wrong, option_in};

    #[test]
    fn a_place_is_a_line_and_a_column_of_characters() {
        let text = "a = 1\n\"\u{fc}\" = 2\n";
        for (byte, shown) in [(0, "f:1:1: no."), (6, "f:2:1: no."), (13, "f:2:7: no."), (99, "f:3:1: no.")] {
            assert_eq!(Wrong::at(text, byte..byte, "no").of("f"), shown, "{byte}");
        }
        assert_eq!(Wrong::whole("no.").of("f"), "f: no.");
    }

    #[test]
    fn an_option_is_found_in_a_message() {
        assert_eq!(option_in("--full-every <DAYS>"), Some("full-every"));
        assert_eq!(option_in("--metrics-file must end"), Some("metrics-file"));
        assert_eq!((option_in("no"), option_in("a -- b"), option_in("x --")), (None, None, None));
    }
}
