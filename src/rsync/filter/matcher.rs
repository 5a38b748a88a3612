//! Which entries of the source a clone leaves out, and which of the destination it keeps: what rsync decides by its
//! rules, without asking it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::marker::Prefix;
use crate::rsync::filter::pattern::Pattern;
use crate::rsync::filter::rules::{self, Rules, hides};

/// The longest line that rsync reads, in bytes: it skips a longer one, and which is longer depends on its version.
const LONGEST_LINE: usize = 4096;

/// The entries that a clone leaves out.
#[derive(Debug, Clone)]
pub struct LeftOut {
    /// Our own files at the source's root, those of any prefix.
    own: Option<Prefix>,
    /// Paths that are left out whatever the patterns say, by their last name.
    paths: HashMap<Vec<u8>, Vec<Vec<u8>>>,
    /// A directory whose contents are left out.
    emptied: Option<Vec<u8>>,
    /// The rules in their order: the first that matches decides.
    rules: Vec<Rule>,
    /// Those whose matches have one last name, by that name.
    named: HashMap<Vec<u8>, Vec<usize>>,
    /// The others.
    wild: Vec<usize>,
    /// How many of the rules are built in: they come before the tags, which come before the user's.
    built_in: usize,
    /// What stays in directories whose other contents are left out, by their paths with a slash at the end.
    tagged: HashMap<Vec<u8>, Vec<Vec<u8>>>,
    /// What stays at the destination although the source does not have it.
    protected: Vec<Pattern>,
    is_exact: bool,
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: Pattern,
    excludes: bool,
}

/// A directory of the source.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Its path from the root, with a slash at the end; empty for the root.
    path: Vec<u8>,
}

impl Default for LeftOut {
    /// Nothing is left out.
    fn default() -> Self {
        Self {
            own: None,
            paths: HashMap::new(),
            emptied: None,
            rules: Vec::new(),
            named: HashMap::new(),
            wild: Vec::new(),
            built_in: 0,
            tagged: HashMap::new(),
            protected: Vec::new(),
            is_exact: true,
        }
    }
}

impl LeftOut {
    /// What a clone with these rules leaves out. `destination` is the path of a destination inside the source, and
    /// whether only what is in that directory is left out.
    #[must_use]
    pub fn of(rules: &Rules, prefix: &Prefix, destination: Option<(&OsStr, bool)>) -> Self {
        let mut left_out = Self { own: Some(prefix.clone()), ..Self::default() };
        match destination {
            Some((path, true)) => left_out.emptied = Some([path.as_bytes(), b"/"].concat()),
            Some((path, false)) => left_out.add_path(path.as_bytes()),
            None => {}
        }
        let paths = rules.left_out.iter().chain(&rules.apart).chain(&rules.generated);
        paths.for_each(|path| left_out.add_path(path.as_bytes()));
        let protected = rules.ours.iter().filter_map(|rule| rule.as_bytes().strip_prefix(b"P "));
        left_out.protected = protected.map(Pattern::new).collect();
        rules.built_in.iter().for_each(|pattern| left_out.add_rule(pattern.as_bytes(), true));
        left_out.built_in = left_out.rules.len();
        for tagged in &rules.tagged {
            let kept = tagged.kept.iter().map(|name| name.as_bytes().to_vec()).collect();
            left_out.tagged.insert([tagged.dir.as_os_str().as_bytes(), b"/"].concat(), kept);
        }
        for line in rules::lines(rules.users.as_deref().unwrap_or_default()) {
            if line.len() > LONGEST_LINE {
                left_out.is_exact = false;
                continue;
            }
            match line {
                [b'+', b' ', pattern @ ..] => left_out.add_rule(pattern, false),
                [b'-', b' ', pattern @ ..] | pattern => left_out.add_rule(pattern, true),
            }
        }
        left_out
    }

    /// Whether every rule is applied.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.is_exact
    }

    fn add_path(&mut self, path: &[u8]) {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        self.paths.entry(name.to_vec()).or_default().push(path.to_vec());
    }

    fn add_rule(&mut self, pattern: &[u8], excludes: bool) {
        let (number, pattern) = (self.rules.len(), Pattern::new(pattern));
        match pattern.last_name() {
            Some(name) => self.named.entry(name.to_vec()).or_default().push(number),
            None => self.wild.push(number),
        }
        self.rules.push(Rule { pattern, excludes });
    }

    /// The source's root.
    #[must_use]
    pub fn top(&self) -> Place {
        Place::default()
    }

    /// Whether the entry of this name in `place` is left out, with all that is in it.
    #[must_use]
    pub fn has(&self, place: &Place, name: &[u8], is_dir: bool) -> bool {
        let is_ours = || {
            let hides = |prefix| hides(prefix, OsStr::from_bytes(name));
            place.path.is_empty() && self.own.as_ref().is_some_and(hides)
        };
        let is_path =
            |paths: &Vec<Vec<u8>>| paths.iter().any(|path| path.strip_suffix(name) == Some(&*place.path));
        is_ours()
            || self.paths.get(name).is_some_and(is_path)
            || self.emptied.as_ref() == Some(&place.path)
            || self.is_excluded(place, name, is_dir)
    }

    /// Whether the destination keeps the entry of this name in `place` if the source does not have it.
    #[must_use]
    pub fn protects(&self, place: &Place, name: &[u8], is_dir: bool) -> bool {
        if self.protected.is_empty() {
            return false;
        }
        let path = [&*place.path, name].concat();
        self.protected.iter().any(|pattern| pattern.matches(&path, is_dir))
    }

    fn is_excluded(&self, place: &Place, name: &[u8], is_dir: bool) -> bool {
        // Most rules need a name alone.
        let mut path = Vec::new();
        let mut is_match = |number: &&usize| {
            let pattern = &self.rules[**number].pattern;
            if pattern.is_of_names() {
                return pattern.matches(name, is_dir);
            }
            if place.path.first().or(name.first()).is_some_and(|first| pattern.excludes_start(*first)) {
                return false;
            }
            if path.is_empty() {
                path = [&*place.path, name].concat();
            }
            pattern.matches(&path, is_dir)
        };
        let named = if self.named.is_empty() { None } else { self.named.get(name) };
        let named = named.and_then(|numbers| numbers.iter().find(&mut is_match)).copied();
        let before = named.unwrap_or(usize::MAX);
        let first = self.wild.iter().take_while(|number| **number < before).find(&mut is_match).copied();
        let decides = first.or(named);
        let tagged = if self.tagged.is_empty() { None } else { self.tagged.get(&place.path) };
        match tagged {
            Some(kept) if decides.is_none_or(|number| number >= self.built_in) => {
                !kept.iter().any(|kept| kept == name)
            }
            Some(_) | None => decides.is_some_and(|number| self.rules[number].excludes),
        }
    }
}

impl Place {
    /// The directory of this name in it.
    #[must_use]
    pub fn below(&self, name: &[u8]) -> Self {
        Self { path: [&*self.path, name, b"/"].concat() }
    }
}

#[cfg(test)]
mod tests {
    use super::{LeftOut, Rules};
    use crate::marker::Prefix;
    use crate::rsync::filter::rules::Tagged;
    use crate::{linux, macos};
    use std::ffi::OsStr;

    fn of(users: &str) -> LeftOut {
        let rules = Rules { users: Some(users.into()), ..Rules::default() };
        LeftOut::of(&rules, &Prefix::default(), None)
    }

    /// Whether a path, a directory if it ends with a slash, is left out, by itself or with a directory above it.
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
    fn the_first_rule_that_matches_decides() {
        assert!(!has(&of("+ /a\n/a"), "a") && has(&of("/a\n+ /a"), "a"));
        assert!(!has(&of("+ *.keep\n*"), "x.keep") && has(&of("+ *.keep\n*"), "x.gone"));
        assert!(has(&of("+ /*/\n*"), "d/x") && !has(&of("+ /*/\n*"), "d/"));
    }

    #[test]
    fn wildcards_are_read_as_rsync_reads_them() {
        for (pattern, out, kept) in [
            ("a?", &["ab", "x/ab"][..], &["a", "abc"][..]),
            ("[ab]", &["a", "x/b"], &["c", "ab"]),
            ("[!ab]", &["c"], &["a"]),
            ("[a-c]x", &["bx"], &["dx", "-x"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("[[:digit:]]", &["1"], &["a", ":"]),
            ("[a", &[], &["a", "[a"]),
            ("a\\*", &["a*"], &["a\\", "ab"]),
            ("a\\**", &["a*", "a*b"], &["a\\b"]),
            ("x/y", &["x/y", "w/x/y"], &["x/z", "y"]),
            ("x/*/z", &["x/y/z", "w/x/y/z"], &["x/y/y/z"]),
            ("/x/*", &["x/y"], &["x/", "w/x/y"]),
            ("/a/***", &["a/", "a/b"], &["a", "b/a/"]),
            ("/a/**", &["a/b", "a/b/c"], &["a/"]),
            ("**/b", &["b", "a/b"], &["ab"]),
            ("a**b", &["ab", "a/x/b", "c/a/b"], &["ac/d"]),
            ("*/", &["x/"], &["x"]),
            ("/", &[], &["a", "a/"]),
            ("//", &[], &["a/"]),
        ] {
            let left_out = of(pattern);
            assert!(left_out.is_exact());
            for path in out {
                assert!(has(&left_out, path), "{pattern} {path}");
            }
            for path in kept {
                assert!(!has(&left_out, path), "{pattern} {path}");
            }
        }
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
    fn what_the_destination_protects_is_kept_at_its_place_only() {
        let mut rules = Rules { ours: super::rules::own_files(&Prefix::default()), ..Rules::default() };
        rules.set_apart(OsStr::new("a/b*"));
        rules.ours.push(super::rules::protect("/lost+found"));
        let left_out = LeftOut::of(&rules, &Prefix::default(), None);
        let protects = |place: &str, name: &str| {
            let place = super::Place { path: place.as_bytes().to_vec() };
            left_out.protects(&place, name.as_bytes(), true)
        };
        for (place, name) in [
            ("", ".me.jedda.counterpart.id"),
            ("", ".x.counterpart.safety-net"),
            ("", "lost+found"),
            ("a/", "b*"),
        ] {
            assert!(protects(place, name), "{place}{name}");
        }
        for (place, name) in [
            ("", ".x.counterpart.id"),
            ("a/", ".me.jedda.counterpart.id"),
            ("a/", "lost+found"),
            ("a/", "bc"),
        ] {
            assert!(!protects(place, name), "{place}{name}");
        }
    }

    #[test]
    fn paths_that_are_left_out_are_no_patterns() {
        let rules = Rules { left_out: vec!["var/s*p".into()], ..Rules::default() };
        let left_out = LeftOut::of(&rules, &Prefix::default(), None);
        assert!(left_out.is_exact() && has(&left_out, "var/s*p"));
        assert!(!has(&left_out, "var/swap") && !has(&left_out, "x/var/s*p"));
    }

    #[test]
    fn tags_come_after_the_built_in_patterns_and_before_the_users() {
        let tagged = Tagged { dir: "a/c*".into(), kept: vec!["TAG".into(), "dev".into()] };
        let rules = Rules {
            tagged: vec![tagged],
            built_in: vec!["/a/c*/dev"],
            users: Some(b"+ x\nTAG\n".to_vec()),
            ..Rules::default()
        };
        let left_out = LeftOut::of(&rules, &Prefix::default(), None);
        assert!(left_out.is_exact());
        for out in ["a/c*/x", "a/c*/d/", "a/c*/dev", "a/TAG", "a/cc/TAG"] {
            assert!(has(&left_out, out), "{out}");
        }
        for kept in ["a/c*/", "a/c*/TAG", "a/cc/x", "c*/x", "b/a/c*/x"] {
            assert!(!has(&left_out, kept), "{kept}");
        }
    }

    #[test]
    fn the_wider_of_two_patterns_holds() {
        assert!(has(&of("/a\n/a/"), "a") && has(&of("/a/\n/a"), "a") && has(&of("/a/b\n/a/"), "a/"));
    }

    #[test]
    fn a_line_that_rsync_may_skip_is_not_applied() {
        let long = |bytes: usize| "a".repeat(bytes);
        assert!(of(&long(4096)).is_exact() && has(&of(&long(4096)), &long(4096)));
        assert!(!of(&long(4097)).is_exact() && !has(&of(&long(4097)), &long(4097)));
    }

    #[test]
    fn stars_take_little_time() {
        let left_out = of(&format!("{}b\n/{}b\n", "*a".repeat(1000), "**a".repeat(1000)));
        assert!(!has(&left_out, &"a".repeat(4000)));
    }
}
