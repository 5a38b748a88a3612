//! The order of the layers and other rules of the house, kept by reading the source.
#![allow(clippy::unwrap_used, reason = "a source that cannot be read has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The layers: a module imports only from the lines below its own.
const LAYERS: [&[&str]; 12] = [
    &["main"],
    &["lib"],
    &["check", "doctor", "exclusions", "generate", "pipeline", "restore", "schedule", "setpass"],
    &["cli"],
    &["phases"],
    &["rsync", "macos", "linux", "logging", "metrics", "stats_file"],
    &["host"],
    &["process"],
    &["outcome"],
    &["plan", "failure", "job", "record", "identity"],
    &["address", "secret"],
    &["exit_code", "shown"],
];

/// A file of the product: its path below `src`, and its code without comments and unit tests.
struct Source {
    path: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &mut found);
    assert!(found.len() > 30, "{} files", found.len());
    found
        .into_iter()
        .map(|file| {
            let path = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            Source { path, code: code(&fs::read_to_string(file).unwrap()) }
        })
        .collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Unit tests stand at a file's end; what follows `//` is taken for a comment, in a string as well.
fn code(text: &str) -> String {
    let without_tests = text.split("\n#[cfg(test)]\n").next().unwrap_or_default();
    let lines = without_tests.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

impl Source {
    /// The module of the crate's root that the file belongs to.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The modules of the crate's root that it names.
    fn imports(&self) -> Vec<&str> {
        let mut found = Vec::new();
        for (at, start) in self.code.match_indices("crate::") {
            let rest = &self.code[at + start.len()..];
            match rest.strip_prefix('{') {
                Some(list) => found.extend(heads(list)),
                None => found.push(head(rest)),
            }
        }
        found
    }
}

fn head(path: &str) -> &str {
    path.split(|character: char| !character.is_alphanumeric() && character != '_').next().unwrap_or_default()
}

/// The first names of a list such as `linux, host::{Host, lock}, shown}`.
fn heads(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(head(list[start..at].trim()));
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

#[test]
fn each_layer_imports_only_from_those_below() {
    for source in sources() {
        let module = source.module();
        let own = layer(module).unwrap_or_else(|| panic!("{module} has no place among the layers"));
        for import in source.imports() {
            let other =
                layer(import).unwrap_or_else(|| panic!("{}: crate::{import} is no module", source.path));
            assert!(module == import || own < other, "{} imports {import}", source.path);
        }
    }
}

#[test]
fn imports_are_told_from_the_code() {
    let of = |text: &str| {
        let source = Source { path: "phases/x.rs".to_owned(), code: code(text) };
        source.imports().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(of("use crate::plan::{Mark, Prefix};\nuse crate::shown;"), ["plan", "shown"]);
    assert_eq!(of("use crate::{linux, host::{Host, lock}, shown};"), ["linux", "host", "shown"]);
    assert_eq!(of("// crate::main\nlet x = crate::process::capture(y);"), ["process"]);
    assert_eq!(of("\n#[cfg(test)]\nmod tests { use crate::cli; }"), [] as [&str; 0]);
}

#[test]
fn no_path_climbs_out_of_its_module_by_super() {
    for source in sources() {
        // A file below a module's folder may name that module; two steps up would be the crate's root.
        let climbs = if source.path.contains('/') { "super::super::" } else { "super::" };
        assert!(!source.code.contains(climbs), "{}", source.path);
    }
}

/// Nothing outside the named files and folders matches.
fn only_in(pattern: &str, allowed: &[&str]) {
    let pattern = Regex::new(pattern).unwrap();
    let mut seen = 0;
    for source in sources() {
        let is_allowed = allowed.iter().any(|allowed| source.path.starts_with(allowed));
        if let Some(found) = pattern.find(&source.code) {
            seen += 1;
            assert!(is_allowed, "{}: {:?}", source.path, found.as_str());
        }
    }
    assert!(seen > 0 || allowed.is_empty(), "{pattern} is found nowhere");
}

#[test]
fn unsafe_code_stands_in_one_file() {
    only_in(r"(?-u:\b)unsafe(?-u:\b)", &["process/sys.rs"]);
}

#[test]
fn one_door_starts_programs() {
    only_in(r"(?-u:\b)std::process::(Command|\{[^}]*(?-u:\b)Command(?-u:\b))", &["process.rs", "process/"]);
    only_in(r"(?-u:\b)(execv|execve|posix_spawn) *\(", &[]);
    // A process that may be left hanging in a dead disk becomes no other program.
    only_in(r"(?-u:\b)fork *\(", &["process/sys.rs"]);
}

#[test]
fn the_compiler_is_asked_for_the_system_only_where_system_calls_differ() {
    only_in(
        r"(?-u:\b)cfg!?\(.*(?-u:\b)target_os(?-u:\b)",
        &["host.rs", "host/", "process/sys.rs", "phases/mounts.rs", "phases/view.rs"],
    );
}

#[test]
fn nothing_panics_on_purpose_and_nothing_prints_past_the_log() {
    only_in(r"\.unwrap\(\)|\.expect\(|(?-u:\b)(panic|todo|unimplemented|unreachable)!", &[]);
    // These panic when the output is closed.
    only_in(r"(?-u:\b)(e?println|e?print|dbg)!", &[]);
}
