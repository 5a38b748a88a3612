//! Shared helpers: what status shows, and what a validator says of JSON.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::sandbox::{Finished, Sandbox};

const VALIDATE: &str = "
import json, sys
from jsonschema import Draft202012Validator, FormatChecker
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
errors = list(Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(json.load(sys.stdin)))
print('\\n'.join(f'{list(error.path)}: {error.message}' for error in errors))
";

/// What an independent validator objects to in a document, a line each.
pub fn objections(schema: &str, document: &str) -> String {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(schema);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("document");
    fs::write(&file, document).unwrap();
    let mut command = Command::new("python3");
    command.args(["-c", VALIDATE]).arg(schema).stdin(fs::File::open(file).unwrap());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The JSON that was printed, after it was validated.
#[track_caller]
pub fn valid(schema: &str, finished: &Finished) -> Value {
    let objections = objections(schema, &finished.out);
    assert_eq!(objections, "", "{finished}");
    serde_json::from_str(&finished.out).unwrap()
}

/// Asserts that a schema needs every field of a document's top, and refuses each of these changes.
#[track_caller]
pub fn assert_strict(schema: &str, document: &Value, changes: &[(&str, Value)]) {
    for name in document.as_object().unwrap().keys() {
        let mut without = document.clone();
        without.as_object_mut().unwrap().remove(name);
        let objections = objections(schema, &without.to_string());
        assert!(objections.contains("is a required property"), "{name}: {objections}");
    }
    for (pointer, value) in changes {
        let mut wrong = document.clone();
        *wrong.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value.clone();
        assert_ne!(objections(schema, &wrong.to_string()), "", "{pointer} = {value}");
    }
}

/// `counterpart status` with more arguments; it can be shown.
#[track_caller]
pub fn status(sandbox: &Sandbox, more: &[&str]) -> Finished {
    let finished = sandbox.run(["status"].iter().chain(more));
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
    finished
}

/// The JSON of status, after it was validated.
#[track_caller]
pub fn shown(sandbox: &Sandbox, more: &[&str]) -> Value {
    valid("status.schema.json", &status(sandbox, &[&["--json"], more].concat()))
}

/// The only clone that it shows.
#[track_caller]
pub fn only(sandbox: &Sandbox) -> Value {
    let shown = shown(sandbox, &[]);
    let clones = shown["clones"].as_array().unwrap();
    assert_eq!(clones.len(), 1, "{shown:#}");
    clones[0].clone()
}

/// `counterpart forget -d DESTINATION` with more arguments.
pub fn forget(sandbox: &Sandbox, destination: impl AsRef<OsStr>, more: &[&str]) -> Finished {
    let start = [OsStr::new("forget"), OsStr::new("-d"), destination.as_ref()];
    sandbox.run(start.into_iter().chain(more.iter().map(OsStr::new)))
}

/// Asserts a refusal: this code, these words on standard error, nothing on standard output.
#[track_caller]
pub fn refused(finished: &Finished, code: i32, words: &[&str]) {
    assert_eq!((finished.code, finished.out.as_str()), (code, ""), "{finished}");
    assert!(finished.err.starts_with("counterpart: "), "{finished}");
    for word in words {
        assert!(finished.err.contains(word), "{word:?} is not in {finished}");
    }
}
