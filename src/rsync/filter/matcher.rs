//! Which entries of the source a clone excludes, determined from its rules without running rsync.
//!
//! Only simple patterns are supported: names, paths from the top, and one `*` in each component. Other rules are
//! ignored, so what remains is never less than what rsync would copy; [`LeftOut::is_exact`] reports this.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::marker::Prefix;
use crate::rsync::filter::rules::{Rules, hides};

/// How many patterns with a `*` are applied at most: each is compared with every name.
const MOST_STARRED: usize = 1000;

/// How many components an applied pattern has at most: they are nested, and nesting takes stack space.
const MOST_PARTS: usize = 256;

/// The entries that a clone excludes.
#[derive(Debug, Clone)]
pub struct LeftOut {
    /// Our own files at the source's root, with any prefix.
    own: Option<Prefix>,
    /// Patterns anchored at the source's root, component by component.
    top: Node,
    /// Patterns for a name in any directory.
    anywhere: Node,
    starred: usize,
    is_exact: bool,
}

/// The patterns for the names in one directory.
#[derive(Debug, Clone, Default)]
struct Node {
    plain: HashMap<Vec<u8>, Branch>,
    /// The text before and after the `*`.
    starred: Vec<(Vec<u8>, Vec<u8>, Branch)>,
}

/// A component of a pattern.
#[derive(Debug, Clone, Default)]
struct Branch {
    /// The pattern ends here.
    out: Option<Which>,
    /// The pattern continues in the directory of this name.
    below: Node,
}

/// What a pattern excludes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Dirs,
    Anything,
}

/// A directory of the source, with the patterns that continue in it.
#[derive(Debug, Clone, Default)]
pub struct Place<'a> {
    nodes: Vec<&'a Node>,
    is_top: bool,
}

impl Default for LeftOut {
    /// Excludes nothing.
    fn default() -> Self {
        Self { own: None, top: Node::default(), anywhere: Node::default(), starred: 0, is_exact: true }
    }
}

impl LeftOut {
    /// What a clone with these rules excludes. `destination` is the path of a destination inside the source, and
    /// whether only the contents of that directory are excluded.
    #[must_use]
    pub fn of(rules: &Rules, prefix: &Prefix, destination: Option<(&OsStr, bool)>) -> Self {
        let mut left_out = Self { own: Some(prefix.clone()), ..Self::default() };
        if let Some((relative, only_contents)) = destination {
            let parts = relative.as_bytes().split(|byte| *byte == b'/').map(Part::Plain);
            left_out.top.add(parts.chain(only_contents.then_some(Part::Starred(b"", b""))), Which::Anything);
        }
        for path in rules.left_out.iter().chain(&rules.apart) {
            let parts = path.as_bytes().split(|byte| *byte == b'/').map(Part::Plain);
            left_out.top.add(parts, Which::Anything);
        }
        for pattern in &rules.built_in {
            left_out.exclude(pattern.as_bytes());
        }
        let users = rules.users.as_deref().unwrap_or_default();
        // rsync ends a line at any of these, and reads it up to its first NUL byte.
        for line in users.split(|byte| matches!(byte, b'\n' | b'\r')) {
            let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
            match line {
                [] | [b'#' | b';', ..] => {}
                // What it includes, no later line excludes.
                [b'+', b' ', ..] => {
                    left_out.is_exact = false;
                    break;
                }
                [b'-', b' ', pattern @ ..] | pattern => left_out.exclude(pattern),
            }
        }
        left_out
    }

    /// Whether every rule is applied.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.is_exact
    }

    fn exclude(&mut self, pattern: &[u8]) {
        let (rest, which) = match pattern {
            [rest @ .., b'/'] => (rest, Which::Dirs),
            _ => (pattern, Which::Anything),
        };
        let (rest, is_anchored) = match rest {
            [b'/', rest @ ..] => (rest, true),
            _ => (rest, false),
        };
        // Without a wildcard in the pattern, a backslash is literal.
        let is_hard = rest.iter().any(|byte| b"?[".contains(byte))
            || rest.contains(&b'*') && rest.contains(&b'\\')
            || !is_anchored && rest.contains(&b'/')
            || rest.split(|byte| *byte == b'/').nth(MOST_PARTS).is_some();
        let parts: Option<Vec<Part<'_>>> = rest.split(|byte| *byte == b'/').map(Part::read).collect();
        let starred = rest.contains(&b'*');
        let is_one_too_many = starred && self.starred == MOST_STARRED;
        match parts {
            Some(parts) if !is_hard && !is_one_too_many => {
                self.starred += usize::from(starred);
                let node = if is_anchored { &mut self.top } else { &mut self.anywhere };
                node.add(parts.into_iter(), which);
            }
            _ => self.is_exact = false,
        }
    }

    /// The source's root.
    #[must_use]
    pub fn top(&self) -> Place<'_> {
        Place { nodes: vec![&self.top], is_top: true }
    }

    /// Whether the entry of this name in `place` is excluded, with everything in it.
    #[must_use]
    pub fn has(&self, place: &Place<'_>, name: &[u8], is_dir: bool) -> bool {
        let is_out = |node: &Node| {
            node.branches(name).any(|branch| match branch.out {
                Some(Which::Anything) => true,
                Some(Which::Dirs) => is_dir,
                None => false,
            })
        };
        place.nodes.iter().any(|node| is_out(node))
            || is_out(&self.anywhere)
            || place.is_top && self.own.as_ref().is_some_and(|prefix| hides(prefix, OsStr::from_bytes(name)))
    }
}

impl Place<'_> {
    /// Enters the directory of this name.
    #[must_use]
    pub fn below(&self, name: &[u8]) -> Self {
        let nodes = self.nodes.iter().flat_map(|node| node.branches(name));
        Self {
            nodes: nodes.map(|branch| &branch.below).filter(|node| !node.is_empty()).collect(),
            is_top: false,
        }
    }
}

/// The component of a pattern between two slashes.
enum Part<'a> {
    Plain(&'a [u8]),
    Starred(&'a [u8], &'a [u8]),
}

impl<'a> Part<'a> {
    /// `None` if it contains more than one `*`, or is empty.
    fn read(text: &'a [u8]) -> Option<Self> {
        let mut parts = text.split(|byte| *byte == b'*');
        match (parts.next()?, parts.next(), parts.next()) {
            (b"", None, _) | (_, Some(_), Some(_)) => None,
            (plain, None, _) => Some(Self::Plain(plain)),
            (start, Some(end), None) => Some(Self::Starred(start, end)),
        }
    }
}

impl Node {
    fn add<'p>(&mut self, parts: impl Iterator<Item = Part<'p>>, which: Which) {
        let mut node = self;
        let mut parts = parts.peekable();
        while let Some(part) = parts.next() {
            let branch = node.branch(&part);
            if parts.peek().is_none() {
                if branch.out != Some(Which::Anything) {
                    branch.out = Some(which);
                }
                return;
            }
            node = &mut branch.below;
        }
    }

    fn branch(&mut self, part: &Part<'_>) -> &mut Branch {
        match *part {
            Part::Plain(name) => self.plain.entry(name.to_vec()).or_default(),
            Part::Starred(start, end) => {
                let known = self.starred.iter().position(|(a, b, _)| (&**a, &**b) == (start, end));
                let at = known.unwrap_or_else(|| {
                    self.starred.push((start.to_vec(), end.to_vec(), Branch::default()));
                    self.starred.len() - 1
                });
                &mut self.starred[at].2
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.starred.is_empty()
    }

    fn branches<'a>(&'a self, name: &[u8]) -> impl Iterator<Item = &'a Branch> {
        // Most directories have no patterns: then no hash is computed.
        let plain = if self.plain.is_empty() { None } else { self.plain.get(name) };
        let matching = move |(start, end, _): &&(Vec<u8>, Vec<u8>, Branch)| {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        };
        plain.into_iter().chain(self.starred.iter().filter(matching).map(|(_, _, branch)| branch))
    }
}

#[cfg(test)]
mod tests {
    use super::{LeftOut, Rules};
    use crate::marker::Prefix;
    use crate::{linux, macos};
    use std::ffi::OsStr;

    fn of(users: &str) -> LeftOut {
        let rules = Rules { users: Some(users.into()), ..Rules::default() };
        LeftOut::of(&rules, &Prefix::default(), None)
    }

    /// Whether a path (a directory if it ends with a slash) is excluded, by itself or with a directory above it.
    fn has(left_out: &LeftOut, path: &str) -> bool {
        let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        let mut place = left_out.top();
        for (index, part) in parts.iter().enumerate() {
            let is_dir = index + 1 < parts.len() || path.ends_with('/');
            if left_out.has(&place, part.as_bytes(), is_dir) {
                return true;
            }
            place = place.below(part.as_bytes());
        }
        false
    }

    #[test]
    fn the_built_in_patterns_are_all_understood() {
        let mut built_in = linux::exclusions::SYSTEM.to_vec();
        built_in.extend_from_slice(macos::exclusions::ALWAYS);
        built_in.extend_from_slice(macos::exclusions::SYSTEM);
        let left_out = LeftOut::of(&Rules { built_in, ..Rules::default() }, &Prefix::default(), None);
        assert!(left_out.is_exact());
        for out in [
            "tmp/a",
            "proc/.hidden/x",
            "swapfile",
            "home/u/.Trash/x",
            ".Spotlight-V100/",
            "a/.Spotlight-V100/x",
            ".journal_info_block",
            "private/var/db/dyld/dyld_shared",
            "System/Volumes/Data/",
        ] {
            assert!(has(&left_out, out), "{out}");
        }
        for kept in [
            "tmp/",
            "proc/",
            "a/swapfile",
            "a/tmp/b",
            ".Spotlight-V100",
            "a/.journal",
            "private/var/db/dyld/x",
            "System/Volumes/",
        ] {
            assert!(!has(&left_out, kept), "{kept}");
        }
    }

    #[test]
    fn users_patterns_are_read_as_rsync_reads_them() {
        let left_out = of("# /a\n; /b\n\n- /c\n/d/\r*.iso\nname\n/h/*/x/\n-e\n/f\0g\n/i\\j\n");
        assert!(left_out.is_exact());
        for out in ["c", "c/x", "d/", "x/y.iso", ".iso", "x/name/y", "h/1/x/", "x/-e", "f", "i\\j"] {
            assert!(has(&left_out, out), "{out}");
        }
        for kept in ["a", "b", "d", "x/c", "x.iso2", "names", "h/1/x", "h/1/2/x/", "e", "f\0g", "ij"] {
            assert!(!has(&left_out, kept), "{kept}");
        }
    }

    #[test]
    fn what_is_not_understood_is_not_applied_and_said() {
        for hard in ["a?", "[a]", "/a**", "/a/***", "x/y", "/a\\*", "/", "//", "*/", "+ /a\n/a"] {
            let left_out = of(hard);
            // A lone star is supported: it excludes every directory.
            assert_eq!(left_out.is_exact(), hard == "*/", "{hard}");
            assert!(!has(&left_out, "a"), "{hard}");
        }
        assert!(has(&of("/a\n+ /b\n/b"), "a"));
        assert!(has(&of("*/"), "x/"));
    }

    #[test]
    fn our_files_and_a_destination_inside_are_left_out_at_their_place_only() {
        let destination = OsStr::new("a*/b");
        let of = |contents| LeftOut::of(&Rules::default(), &Prefix::default(), Some((destination, contents)));
        assert!(has(&of(false), "a*/b") && has(&of(false), "a*/b/x") && !has(&of(false), "aa/b"));
        assert!(!has(&of(true), "a*/b/") && has(&of(true), "a*/b/x"));
        assert!(has(&of(true), ".x.counterpart.id") && !has(&of(true), "y/.x.counterpart.id"));
        assert!(!has(&LeftOut::default(), ".x.counterpart.id"));
    }

    #[test]
    fn paths_that_are_left_out_are_no_patterns() {
        let rules = Rules { left_out: vec!["var/s*p".into()], ..Rules::default() };
        let left_out = LeftOut::of(&rules, &Prefix::default(), None);
        assert!(left_out.is_exact() && has(&left_out, "var/s*p"));
        assert!(!has(&left_out, "var/swap") && !has(&left_out, "x/var/s*p"));
    }

    #[test]
    fn the_wider_of_two_patterns_holds() {
        assert!(has(&of("/a\n/a/"), "a") && has(&of("/a/\n/a"), "a") && has(&of("/a/b\n/a/"), "a/"));
    }

    #[test]
    fn a_pattern_of_too_many_parts_is_not_applied() {
        let deep = |parts: usize| "/a".repeat(parts);
        assert!(of(&deep(256)).is_exact() && has(&of(&deep(256)), &deep(256)[1..]));
        for parts in [257, 1 << 20] {
            assert!(!of(&deep(parts)).is_exact(), "{parts}");
        }
    }

    #[test]
    fn too_many_patterns_are_not_compared() {
        let many = (0..1001).fold(String::new(), |text, number| text + &format!("{number}-*x\n"));
        assert!(!of(&many).is_exact() && has(&of(&many), "999-x") && !has(&of(&many), "1000-x"));
    }
}
