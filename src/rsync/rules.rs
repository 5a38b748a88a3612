//! Filter rules: what is left out of a clone, and which files at the destination's root are never touched.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use crate::plan::{DEFAULT_PREFIX, Mark, Prefix};

/// The rules of a clone, in three groups whose order decides.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Ours. They are given before the user's file, so that its `+` cannot undo them, and after it again, since a lone
    /// `!` there clears all that came before.
    pub ours: Vec<OsString>,
    /// The system's exclusion patterns, as `--exclude` takes them.
    pub built_in: Vec<&'static str>,
    /// The content of the user's file.
    pub users: Option<Vec<u8>>,
}

/// Hides our files from the source's side and protects them at the destination, on every rsync from 3.0.9 to 3.5.1.
///
/// What any other prefix left at the source's root does not travel either.
#[must_use]
pub fn own_files(prefix: &Prefix) -> Vec<OsString> {
    let ours = [Mark::Completed, Mark::Error, Mark::Statistics, Mark::Identity];
    let stem = prefix.stem();
    let mut rules = vec![format!("H /{stem}*"), format!("P /{stem}*")];
    rules.extend(ours.map(|mark| format!("H /.*.counterpart.{}", mark.suffix())));
    // Without this the original's default would only be hidden by the line above as long as a mark is final.
    rules.push(format!("H /.{DEFAULT_PREFIX}.counterpart.*"));
    rules.into_iter().map(OsString::from).collect()
}

/// A rule that protects a name or pattern at the destination's root from deletion.
#[must_use]
pub fn protect(pattern: &str) -> OsString {
    OsString::from(format!("P {pattern}"))
}

/// A rule that leaves out exactly this path below the source, or only what is in it.
#[must_use]
pub fn leave_out(relative: &OsStr, only_contents: bool) -> OsString {
    let mut rule = b"- /".to_vec();
    for &byte in relative.as_bytes() {
        // In a pattern that holds a wildcard, a backslash takes the special meaning from the next character; in one
        // that holds none it is itself. `[b]` means b in both.
        match byte {
            b'\\' => rule.extend_from_slice(b"[\\\\]"),
            b'*' | b'?' | b'[' => rule.extend_from_slice(&[b'[', byte, b']']),
            _ => rule.push(byte),
        }
    }
    if only_contents {
        rule.extend_from_slice(b"/*");
    }
    OsString::from_vec(rule)
}

/// Whether a user's file has a line that clears every rule before it.
#[must_use]
pub fn clears_built_in(file: &[u8]) -> bool {
    file.split(|byte| matches!(byte, b'\n' | b'\r')).any(|line| line == b"!")
}

#[cfg(test)]
mod tests {
    use super::{clears_built_in, leave_out};
    use std::ffi::OsStr;

    #[test]
    fn wildcards_in_a_path_are_escaped() {
        assert_eq!(leave_out(OsStr::new("a*b[c]?/d"), true), OsStr::new("- /a[*]b[[]c][?]/d/*"));
    }

    #[test]
    fn only_a_lone_mark_clears() {
        assert!(clears_built_in(b"a\n!\nb"));
        assert!(clears_built_in(b"!"));
        assert!(!clears_built_in(b"!a\n# !\n"));
    }
}
