//! Filter rules: what a clone excludes, and which files at the destination's root are never touched.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use crate::fs::dir::TEMPORARY;
use crate::marker::{DEFAULT_PREFIX, Marker, Prefix, SAFETY_NET};

/// The rules of a clone, passed in this order, ours, the built-in ones, those of tags, the user's: the first match wins.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Paths below the source and the destination that are not part of the clone on either side.
    pub apart: Vec<OsString>,
    /// Ours, placed so that no `+` of the user's can undo them.
    pub ours: Vec<OsString>,
    /// The system's exclusion patterns, as `--exclude` takes them.
    pub built_in: Vec<&'static str>,
    /// The user's own, without a lone `!`, which would clear ours too.
    pub users: Option<Vec<u8>>,
    /// Files of the source that our rules exclude, by their paths below it.
    pub left_out: Vec<OsString>,
    /// Paths whose copies the clone makes itself instead of taking them from the source.
    pub generated: Vec<OsString>,
    /// Directories of the source whose contents are excluded by a tag in them.
    pub tagged: Vec<Tagged>,
    /// Directories of the source whose copies our rules keep unchanged, by their paths below it.
    pub kept: Vec<PathBuf>,
}

/// A directory whose contents are excluded by a tag in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// Its path below the source.
    pub dir: PathBuf,
    /// The names in it that stay: those of the tags.
    pub kept: Vec<OsString>,
}

/// The longest rule that every rsync reads, in bytes.
const LONGEST: usize = 4096;

impl Tagged {
    /// The rules for it; the first match wins.
    fn rules(&self) -> impl Iterator<Item = OsString> + '_ {
        let kept = self.kept.iter().map(|name| exactly("+", self.dir.join(name).as_os_str(), false));
        kept.chain([leave_out(self.dir.as_os_str(), true)])
    }

    /// Whether every rsync reads its rules.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.rules().all(|rule| rule.len() <= LONGEST)
    }

    /// Whether its rules cannot be lines.
    #[must_use]
    pub fn is_odd(&self) -> bool {
        self.dir.as_os_str().as_bytes().iter().any(|byte| matches!(byte, b'\n' | b'\r'))
    }
}

/// The suffix after `.PREFIX.counterpart.` of a temporary file that is a probe, not a marker.
const PROBE: &str = "probe";

/// The suffixes of our files, including temporary files left by a killed run; `*` is rsync's wildcard.
fn endings() -> Vec<String> {
    let markers = Marker::ALL.map(Marker::suffix);
    let temporaries = markers.iter().chain([&PROBE]).map(|name| format!("{name}{TEMPORARY}*"));
    markers.iter().chain([&SAFETY_NET]).map(ToString::to_string).chain(temporaries).collect()
}

/// Hides our files on the source side and protects them at the destination, in every rsync from 3.0.9 to 3.5.1.
///
/// Files with other prefixes at the source's root are not copied either.
#[must_use]
pub fn own_files(prefix: &Prefix) -> Vec<OsString> {
    let stem = prefix.stem();
    let mut rules = vec![format!("H /{stem}*"), format!("P /{stem}*")];
    // The safety net of another prefix holds files that exist nowhere else.
    rules.push(format!("P /.*.counterpart.{SAFETY_NET}"));
    rules.extend(endings().iter().map(|ending| format!("H /.*.counterpart.{ending}")));
    if *prefix != Prefix::default() {
        rules.push(format!("H /.{DEFAULT_PREFIX}.counterpart.*"));
    }
    rules.into_iter().map(OsString::from).collect()
}

/// Whether [`own_files`] hides an entry of this name at the source's root.
#[must_use]
pub fn hides(prefix: &Prefix, name: &OsStr) -> bool {
    let is_of_any_prefix = |ending: &String| {
        let Some(rest) = name.as_bytes().strip_prefix(b".") else { return false };
        match ending.strip_suffix('*') {
            Some(start) => contains(rest, format!(".counterpart.{start}").as_bytes()),
            None => rest.ends_with(format!(".counterpart.{ending}").as_bytes()),
        }
    };
    prefix.owns(name) || Prefix::default().owns(name) || endings().iter().any(is_of_any_prefix)
}

fn contains(name: &[u8], part: &[u8]) -> bool {
    name.windows(part.len()).any(|window| window == part)
}

/// A rule that protects a name or pattern at the destination's root from deletion.
#[must_use]
pub fn protect(pattern: &str) -> OsString {
    OsString::from(format!("P {pattern}"))
}

impl Rules {
    /// What rsync reads from standard input, besides its arguments: any number of rules.
    #[must_use]
    pub fn input(&self) -> Option<Vec<u8>> {
        let mut lines = Vec::new();
        for rule in self.tagged.iter().filter(|tagged| !tagged.is_odd()).flat_map(Tagged::rules) {
            lines.extend_from_slice(rule.as_bytes());
            lines.push(b'\n');
        }
        lines.extend_from_slice(self.users.as_deref().unwrap_or_default());
        (self.users.is_some() || !lines.is_empty()).then_some(lines)
    }

    /// The rules before those that cannot be lines.
    pub fn odd(&self) -> impl Iterator<Item = OsString> + '_ {
        self.tagged.iter().filter(|tagged| tagged.is_odd()).flat_map(Tagged::rules)
    }

    /// Excludes this path from the clone: it is not copied from the source, and neither changed nor deleted at the
    /// destination.
    pub fn set_apart(&mut self, relative: &OsStr) {
        self.ours.push(exactly("H", relative, false));
        self.ours.push(protect_path(relative));
        self.apart.push(relative.to_owned());
    }

    /// Leaves this path to the clone: it is not copied from the source, and neither changed nor deleted at the destination.
    pub fn set_generated(&mut self, relative: &OsStr) {
        self.ours.push(exactly("H", relative, false));
        self.ours.push(protect_path(relative));
        self.generated.push(relative.to_owned());
    }
}

/// A rule that protects exactly this path below the destination from deletion.
#[must_use]
pub fn protect_path(relative: &OsStr) -> OsString {
    exactly("P", relative, false)
}

/// A rule that excludes exactly this path below the source, or only its contents.
#[must_use]
pub fn leave_out(relative: &OsStr, only_contents: bool) -> OsString {
    exactly("-", relative, only_contents)
}

/// Rules that keep the destination's copy of exactly this path unchanged.
#[must_use]
pub fn keep_entry(relative: &OsStr) -> [OsString; 2] {
    ["H", "P"].map(|kind| exactly(kind, relative, false))
}

/// Rules that keep the destination's copy of this directory unchanged: nothing in it is copied or deleted.
#[must_use]
pub fn keep(relative: &OsStr) -> [OsString; 2] {
    ["H", "P"].map(|kind| exactly(kind, relative, true))
}

/// A rule for exactly this path, or for its contents.
fn exactly(kind: &str, relative: &OsStr, only_contents: bool) -> OsString {
    let mut rule = format!("{kind} /").into_bytes();
    for &byte in relative.as_bytes() {
        // In a pattern with a wildcard a backslash escapes the next character; in one without, it is literal. `[b]`
        // means b in both.
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

/// The part of a user's file after its last lone `!`, which clears every rule before it; `None` if there is no `!`.
///
/// rsync would clear our own rules too, and any later `+` would come before them.
#[must_use]
pub fn after_clearing(file: &[u8]) -> Option<&[u8]> {
    let mut rest = None;
    let mut start = 0;
    for line in file.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let end = start + line.len();
        // rsync reads a line up to its first NUL byte.
        if line.split(|byte| *byte == 0).next() == Some(b"!") {
            rest = Some(&file[end..]);
        }
        start = end + 1;
    }
    rest
}

/// The lines of a user's file that are rules, as rsync reads them: up to a line feed or a carriage return and to the
/// first zero byte, without comments.
pub fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = file.split(|byte| matches!(byte, b'\n' | b'\r'));
    let lines = lines.map(|line| line.split(|byte| *byte == 0).next().unwrap_or_default());
    lines.filter(|line| !matches!(line, [] | [b'#' | b';', ..]))
}

#[cfg(test)]
mod tests {
    use super::{Rules, Tagged, after_clearing, hides, keep, leave_out};
    use crate::marker::Prefix;
    use std::ffi::OsStr;

    #[test]
    fn wildcards_in_a_path_are_escaped() {
        assert_eq!(leave_out(OsStr::new("a*b[c]?/d"), true), OsStr::new("- /a[*]b[[]c][?]/d/*"));
    }

    #[test]
    fn what_is_kept_is_neither_copied_nor_deleted() {
        assert_eq!(keep(OsStr::new("home/[u]")), ["H /home/[[]u]/*", "P /home/[[]u]/*"]);
    }

    #[test]
    fn tagged_directories_keep_their_tags() {
        let tagged = |dir: &str| Tagged { dir: dir.into(), kept: vec!["TAG".into(), "[x]".into()] };
        let mut rules = Rules { tagged: vec![tagged("a*b"), tagged("c\nd")], ..Rules::default() };
        let expected: &[u8] = b"+ /a[*]b/TAG\n+ /a[*]b/[[]x]\n- /a[*]b/*\n";
        assert_eq!(rules.input().as_deref(), Some(expected));
        rules.users = Some(b"x\n".to_vec());
        assert_eq!(rules.input(), Some([expected, b"x\n"].concat()));
        assert_eq!(rules.odd().collect::<Vec<_>>(), ["+ /c\nd/TAG", "+ /c\nd/[[]x]", "- /c\nd/*"]);
        assert!(tagged(&"x".repeat(4086)).is_fit() && !tagged(&"x".repeat(4090)).is_fit());
        assert_eq!(Rules::default().input(), None);
    }

    #[test]
    fn only_a_lone_marker_clears() {
        assert_eq!(after_clearing(b"a\n!\nb"), Some(&b"\nb"[..]));
        assert_eq!(after_clearing(b"!\n+ a\r\n!\r\nb\n"), Some(&b"\r\nb\n"[..]));
        assert_eq!(after_clearing(b"!\0x\nb"), Some(&b"\nb"[..]));
        assert_eq!(after_clearing(b"!"), Some(&b""[..]));
        assert_eq!(after_clearing(b"!a\n# !\n ! \n"), None);
    }

    #[test]
    fn files_of_every_prefix_are_hidden() {
        let prefix = "org.example".parse::<Prefix>().unwrap();
        for ours in [
            ".org.example.counterpart.anything",
            ".me.jedda.counterpart.anything",
            ".x.counterpart.id",
            ".x.counterpart.error.tmp-01234567",
            ".x.counterpart.probe.tmp-01234567",
            ".x.counterpart.safety-net",
        ] {
            assert!(hides(&prefix, OsStr::new(ours)), "{ours}");
        }
        for other in ["x.counterpart.id", ".x.counterpart.ids", ".x.counterpart.probe", ".counterpart", ""] {
            assert!(!hides(&prefix, OsStr::new(other)), "{other}");
        }
    }
}
