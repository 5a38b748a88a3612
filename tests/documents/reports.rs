//! The documented record, metrics and script variables match what a real run leaves.

use counterpart::fs::location::Location;
use counterpart::marker::Prefix;
use counterpart::record::{Moment, Proof};
use counterpart::state::Store;
use counterpart::state::reading::{Counts, Extent, Reading};
use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::documents::{read, section, table};
use crate::support::sandbox::Sandbox;

/// The words between backquotes in the first cells of a table.
fn first_cells(text: &str) -> BTreeSet<String> {
    let cells: Vec<String> = table(text).into_iter().map(|row| row[0].clone()).collect();
    cells.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}

#[test]
fn the_fields_of_the_record_are_told_and_described() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    let record = sandbox.record().unwrap();
    let keys: BTreeSet<String> = record.as_object().unwrap().keys().cloned().collect();
    assert_eq!(first_cells(&section("docs/files.md", "## The record")), keys);
    let schema: Value = serde_json::from_str(&read("examples/stats.schema.json")).unwrap();
    let described: BTreeSet<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(described, keys);
    for (name, field) in schema["properties"].as_object().unwrap() {
        assert!(field["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
    }
}

#[test]
fn the_metrics_are_told() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let file = sandbox.path().join("clone.prom");
    sandbox.clone(&[]).assert_code(0);
    // Some are known only once the clone was proven and read again.
    let store = Store::new(&sandbox.host().join("state"));
    let mut state = store.all().unwrap().remove(0).1.unwrap();
    state.prove(Proof {
        at: Moment { rfc3339: String::new(), epoch: 1_795_741_323 },
        booted: true,
        reason: None,
        compared: true,
        firmware: "BIOS".to_owned(),
        kernel: None,
        seconds: 1.0,
    });
    let at = Moment { rfc3339: String::new(), epoch: 1_795_741_323 };
    let id = state.disks[0].id.clone();
    state.read(&id, Reading::after(None, Extent::All, &at, Counts::default()));
    store.save(&Location::of(&sandbox.destination), &Prefix::default(), &state).unwrap();
    sandbox.clone(&["--metrics-file", file.to_str().unwrap()]).assert_code(0);
    let text = fs::read_to_string(file).unwrap();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" gauge"));
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    assert!(names.len() > 12, "{text}");
    assert_eq!(first_cells(&section("docs/files.md", "## Metrics")), names);
    let told = section("docs/monitoring.md", "## Prometheus");
    // The alert uses names that exist.
    let alert = told.lines().find(|line| line.contains("time() - ")).expect("no alert");
    let words = alert.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    assert_eq!(words.filter(|word| word.starts_with("counterpart_") && names.contains(*word)).count(), 2);
}

#[test]
fn the_variables_of_scripts_are_told() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let seen = |script: &str| {
        let text = fs::read_to_string(sandbox.path().join(script)).unwrap_or_default();
        let names = text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.to_owned());
        names.filter(|name| name.starts_with("COUNTERPART_")).collect::<BTreeSet<String>>()
    };
    let script = |name: &str| {
        let path = sandbox.path().join(name);
        sandbox.script(&format!("{name}.sh"), &format!("env >'{}'", path.display())).display().to_string()
    };
    let (pre, post, error) = (script("pre"), script("post"), script("error"));
    sandbox.clone(&["-p", &pre, "-o", &post]).assert_code(0);
    sandbox.write("more", "content");
    sandbox.clone(&["--on-error", &error, "-o", "/bin/false", "--strict-scripts"]).assert_code(82);
    let rows = table(&section("docs/guide.md", "## Scripts"));
    for (column, name) in [(2, "pre"), (3, "post"), (4, "error")] {
        let told = rows.iter().filter(|row| row[column] == "yes");
        let told: BTreeSet<String> = told.map(|row| row[0].trim_matches('`').to_owned()).collect();
        assert_eq!(told, seen(name), "{name}");
    }
}
