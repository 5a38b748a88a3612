//! Every promise of SECURITY.md has its tests in tests/promises.md, and they exist.

use regex::Regex;

use crate::documents::{files_below, read, root};

#[test]
fn every_named_test_exists() {
    let text = read("SECURITY.md") + &read("tests/promises.md");
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
        assert!(exists, "there is no {module}::{name}");
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn every_promise_has_its_tests() {
    let promises = crate::documents::section("SECURITY.md", "## What is promised");
    let item = Regex::new(r"(?m)^([0-9]+)\. +([^\n]*(?:\n +[^\n]+)*)").unwrap();
    let flat = |text: &str| text.replace('*', "").split_whitespace().collect::<Vec<_>>().join(" ");
    let promises: Vec<(String, String)> =
        item.captures_iter(&promises).map(|found| (found[1].to_owned(), flat(&found[2]))).collect();
    assert!(promises.len() > 30, "{}", promises.len());
    let table = crate::documents::table(&read("tests/promises.md"));
    let numbers = |all: Vec<&String>| all.into_iter().cloned().collect::<Vec<_>>();
    let expected: Vec<String> = (1..=promises.len()).map(|number| number.to_string()).collect();
    assert_eq!(numbers(promises.iter().map(|(number, _)| number).collect()), expected);
    assert_eq!(numbers(table.iter().map(|row| &row[0]).collect()), expected);
    for (row, (number, promise)) in table.iter().zip(&promises) {
        let begins = row[1].strip_suffix(" …").unwrap_or_else(|| panic!("{row:?}"));
        assert!(promise.starts_with(begins), "{number}: {promise}");
        assert!(!row[2].is_empty(), "{number}");
        for test in row[2].split(", ") {
            let is_file = test.strip_prefix("tests/").is_some_and(|_| root().join(test).exists());
            assert!(is_file || test.starts_with('`'), "{number}: {test}");
        }
    }
}
