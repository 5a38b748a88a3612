//! The order of the layers and other rules of the code base, checked by reading the source.
#![allow(clippy::unwrap_used, reason = "a source that cannot be read has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The layers, as `src/README.md` shows them: a module imports only from its own line and from those below.
const LAYERS: [&[&str]; 11] = [
    &["main"],
    &["lib"],
    &[
        "check",
        "doctor",
        "exclusions",
        "forget",
        "generate",
        "job",
        "pipeline",
        "prepare",
        "prove",
        "restore",
        "schedule",
        "setpass",
        "status",
        "verify",
    ],
    &["cli"],
    &["phases"],
    &["run", "tree", "volume", "password_store"],
    &["rsync", "servers", "linux", "macos"],
    &["host", "state"],
    &["plan", "outcome"],
    &["process", "logging", "marker", "failure"],
    &["fs", "record", "secret", "exit_code", "display", "sys"],
];

/// A module's path from the crate's root, which itself is empty.
type Module = Vec<String>;

/// A file of the product: its path below `src`, and its code without comments and unit tests.
struct Source {
    path: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &mut found);
    found.sort();
    assert!(found.len() > 30, "{} files", found.len());
    let read = |file: PathBuf| {
        let path = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        Source { path, code: code(&fs::read_to_string(file).unwrap()) }
    };
    found.into_iter().map(read).collect()
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
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
    fn module(&self) -> Module {
        let path = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
    }

    /// Every path that the code names from the crate's root, from a module above, or from one of its own.
    fn paths(&self, files: &BTreeSet<Module>) -> Vec<Module> {
        let imports = Regex::new(r"(?-u:\b)use[ \n]+([^;]+);").unwrap();
        let mut found: Vec<Module> =
            imports.captures_iter(&self.code).flat_map(|import| leaves(&import[1])).collect();
        let rest = imports.replace_all(&self.code, "");
        let inline = Regex::new(r"(?-u:\b)[a-z_][A-Za-z0-9_]*(::[A-Za-z0-9_]+)+").unwrap();
        found.extend(
            inline.find_iter(&rest).map(|path| path.as_str().split("::").map(str::to_owned).collect()),
        );
        found.into_iter().filter_map(|path| self.absolute(&path, files)).collect()
    }

    fn absolute(&self, path: &[String], files: &BTreeSet<Module>) -> Option<Module> {
        let mut base = self.module();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" | "counterpart" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            child => {
                let below = [base.as_slice(), &[child.to_owned()]].concat();
                if !files.contains(&below) {
                    return None;
                }
            }
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }
}

/// The single paths of an import such as `crate::{linux, host::{Host, tools as t}}`.
fn leaves(import: &str) -> Vec<Module> {
    let import = import.trim();
    let Some((head, list)) = import.split_once('{') else {
        let path = import.split(" as ").next().unwrap_or_default();
        return vec![path.split("::").map(|part| part.trim().to_owned()).collect()];
    };
    let head: Module =
        head.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let list = list.rsplit_once('}').map_or(list, |(list, _)| list);
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&list[start..]);
    let items = items.into_iter().filter(|item| !item.trim().is_empty());
    items
        .flat_map(leaves)
        .map(|leaf| {
            let own = leaf.into_iter().filter(|part| part != "self");
            head.iter().cloned().chain(own).collect()
        })
        .collect()
}

/// Which files each file imports from.
fn graph(sources: &[Source]) -> BTreeMap<Module, BTreeSet<Module>> {
    let files: BTreeSet<Module> =
        sources.iter().filter(|source| source.path != "main.rs").map(Source::module).collect();
    let file_of = |path: Module| {
        (0..=path.len()).rev().map(|length| path[..length].to_vec()).find(|part| files.contains(part))
    };
    let edges = |source: &Source| {
        let own = source.module();
        let named = source.paths(&files).into_iter().filter_map(file_of);
        (own.clone(), named.filter(|module| *module != own).collect())
    };
    sources.iter().map(edges).collect()
}

fn shown(module: &Module) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("::") }
}

fn layer(module: &Module) -> usize {
    let name = module.first().map_or("lib", String::as_str);
    let place = LAYERS.iter().position(|layer| layer.contains(&name));
    place.unwrap_or_else(|| panic!("{name} has no place among the layers"))
}

#[test]
fn each_layer_imports_only_from_its_own_and_those_below() {
    let graph = graph(&sources());
    let pairs = graph.iter().flat_map(|(module, imports)| imports.iter().map(move |import| (module, import)));
    let upward: Vec<String> = pairs
        .filter(|(module, import)| layer(import) < layer(module))
        .map(|(module, import)| format!("{} imports {}", shown(module), shown(import)))
        .collect();
    assert!(upward.is_empty(), "imports from a layer above:\n{}", upward.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut graph = graph(&sources());
    // What imports nothing that is left is in no circle; nor is what nothing imports.
    loop {
        let before = graph.len();
        let left: BTreeSet<Module> = graph.keys().cloned().collect();
        graph.retain(|_, imports| {
            imports.retain(|import| left.contains(import));
            !imports.is_empty()
        });
        let imported: BTreeSet<Module> = graph.values().flatten().cloned().collect();
        graph.retain(|module, _| imported.contains(module));
        if graph.len() == before {
            break;
        }
    }
    let left: Vec<String> = graph
        .iter()
        .map(|(module, imports)| {
            let imports: Vec<String> = imports.iter().map(shown).collect();
            format!("{} -> {}", shown(module), imports.join(", "))
        })
        .collect();
    assert!(left.is_empty(), "files that import each other in a circle:\n{}", left.join("\n"));
}

#[test]
fn imports_are_read_as_they_are_written() {
    let files = ["a", "a::b", "c"].map(|path| path.split("::").map(str::to_owned).collect()).into();
    let of = |text: &str| {
        let source = Source { path: "a.rs".to_owned(), code: code(text) };
        source.paths(&files).iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(
        of("use crate::plan::{Mark, Prefix};\nuse crate::shown;"),
        ["plan::Mark", "plan::Prefix", "shown"]
    );
    assert_eq!(of("use crate::{linux, host::{Host, lock as l}};"), ["linux", "host::Host", "host::lock"]);
    assert_eq!(of("// crate::main\nlet x = crate::process::capture(y);"), ["process::capture"]);
    assert_eq!(of("pub use b::X; let y = std::fs::read(z);"), ["a::b::X"]);
    assert_eq!(of("use super::c::{self, D};"), ["c", "c::D"]);
    assert_eq!(of("\n#[cfg(test)]\nmod tests { use crate::cli; }"), [] as [&str; 0]);
}

#[test]
fn the_layers_are_those_of_the_architecture_page() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/README.md")).unwrap();
    for layer in LAYERS {
        let line = layer.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ");
        assert!(page.contains(&line), "src/README.md does not have the layer {line}");
    }
}

#[test]
fn no_path_climbs_out_of_its_module_by_super() {
    for source in sources() {
        // A file below a module's directory may name that module; two steps up would be the crate's root.
        let climbs = if source.path.contains('/') { "super::super::" } else { "super::" };
        assert!(!source.code.contains(climbs), "{}", source.path);
    }
}

/// Nothing outside the named files and directories matches.
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
    only_in(r"(?-u:\b)unsafe(?-u:\b)", &["sys.rs"]);
}

#[test]
fn one_door_starts_programs() {
    only_in(
        r"(?-u:\b)std::process::(Command|\{[^}]*(?-u:\b)Command(?-u:\b))",
        &["process.rs", "process/", "sys.rs"],
    );
    only_in(r"(?-u:\b)(execv|execve|posix_spawn) *\(", &[]);
    // A process that may be left hanging in a dead disk becomes no other program.
    only_in(r"(?-u:\b)fork *\(", &["sys.rs"]);
}

#[test]
fn the_compiler_is_asked_for_the_system_only_where_system_calls_differ() {
    only_in(r"(?-u:\b)cfg!?\(.*(?-u:\b)target_os(?-u:\b)", &["fs/", "host.rs", "host/", "sys.rs", "volume/"]);
}

#[test]
fn nothing_panics_on_purpose_and_nothing_prints_past_the_log() {
    only_in(r"\.unwrap\(\)|\.expect\(|(?-u:\b)(panic|todo|unimplemented|unreachable)!", &[]);
    // These panic when the output is closed.
    only_in(r"(?-u:\b)(e?println|e?print|dbg)!", &[]);
}
