//! Every test named in SECURITY.md exists, and every weakness in the other documents is listed there, and vice versa.

use std::collections::BTreeSet;

use regex::Regex;

use crate::documents::{files_below, read};

#[test]
fn every_named_test_exists() {
    let text = read("SECURITY.md");
    let named = Regex::new("`([a-z_]+)::([a-z0-9_]+)`").unwrap();
    let files = files_below("tests");
    let mut seen = 0;
    for found in named.captures_iter(&text) {
        let (module, name) = (&found[1], &found[2]);
        let file = format!("{module}.rs");
        let definition = format!("fn {name}(");
        let exists = files
            .iter()
            .filter(|path| path.file_name().is_some_and(|name| name == file.as_str()))
            .any(|path| std::fs::read_to_string(path).unwrap().contains(&definition));
        assert!(exists, "SECURITY.md: there is no {module}::{name}");
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn every_promise_names_its_test() {
    let promises = crate::documents::section("SECURITY.md", "## What is promised");
    let items: Vec<&str> = promises.split("\n- ").skip(1).collect();
    assert!(items.len() > 12, "{}", items.len());
    for item in items {
        assert!(item.contains("(`") || item.contains("(tests/"), "{item}");
    }
}

/// The holes that a text names; `-53797` behind another one is short for one of the same year.
fn holes(text: &str) -> BTreeSet<String> {
    let full = Regex::new("CVE-[0-9]{4}-[0-9]+").unwrap();
    let short = Regex::new("[ ,]-([0-9]{5})").unwrap();
    let short = short.captures_iter(text).map(|found| format!("CVE-2026-{}", &found[1]));
    full.find_iter(text).map(|found| found.as_str().to_owned()).chain(short).collect()
}

#[test]
fn the_documents_tell_the_same_holes_of_rsync() {
    let table = crate::documents::table(&crate::documents::section("SECURITY.md", "## Holes of rsync"));
    let told: BTreeSet<String> = table.iter().map(|row| row[1].clone()).collect();
    assert_eq!(told, holes(&read("docs/rsync-versions.md")));
}
