//! Shared helpers for the tests of the plugin.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::sandbox::{Finished, STEM, Sandbox, names_of};
use crate::support::tree::set_mtime;

/// A sandbox with one file in its source.
pub fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox
}

/// A sandbox with a clone of a moment ago.
pub fn cloned() -> Sandbox {
    let sandbox = sandbox();
    sandbox.clone(&[]).assert_code(0);
    sandbox
}

/// Runs `check -d DESTINATION` and more.
pub fn check(sandbox: &Sandbox, more: &[&str]) -> Finished {
    let start = [OsStr::new("check"), OsStr::new("-d"), sandbox.destination.as_os_str()];
    sandbox.run(start.into_iter().chain(more.iter().map(OsStr::new)))
}

/// Asserts code and first line's start; the words must be on that line, in the part for people. Standard error is
/// empty.
#[track_caller]
pub fn assert_answer(run: &Finished, code: i32, words: &[&str]) {
    let status = ["OK", "WARNING", "CRITICAL", "UNKNOWN"][usize::try_from(code).unwrap()];
    assert_eq!((run.code, run.err.as_str()), (code, ""), "{run}");
    let line = first(run).split(" | ").next().unwrap();
    assert!(line.starts_with(&format!("CLONE {status} - ")), "{run}");
    for word in words {
        assert!(line.contains(word), "{word:?} is not on the first line: {run}");
    }
    assert_eq!(run.out.matches('|').count(), usize::from(first(run).contains(" | ")), "{run}");
}

/// The first line.
pub fn first(run: &Finished) -> &str {
    run.out.lines().next().unwrap_or_default()
}

/// The performance data: `value;warning;critical;minimum` by label.
pub fn performance(run: &Finished) -> BTreeMap<String, String> {
    let data = first(run).split_once(" | ").map_or("", |(_, data)| data);
    data.split_whitespace()
        .map(|datum| datum.split_once('=').unwrap())
        .map(|(label, value)| (label.to_owned(), value.to_owned()))
        .collect()
}

pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Makes everything that is known of the clone so many seconds older: markers and memory.
pub fn age(sandbox: &Sandbox, seconds: i64) {
    for marker in sandbox.markers() {
        let path = sandbox.marker(&marker);
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let at = i64::try_from(modified.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        set_mtime(&path, at - seconds, 0);
    }
    age_statistics(&sandbox.marker("stats"), seconds);
    if sandbox.marker("stats.json").exists() {
        age_json(&sandbox.marker("stats.json"), "", seconds);
    }
    age_memory(sandbox, seconds);
}

fn age_statistics(path: &Path, seconds: i64) {
    let older = |line: &str| match line.split_once(": ") {
        Some((label, time)) if label.starts_with("Clone ") => {
            format!("{label}: {}\n", time.parse::<i64>().unwrap() - seconds)
        }
        _ => format!("{line}\n"),
    };
    let text: String = fs::read_to_string(path).unwrap().lines().map(older).collect();
    rewrite(path, &text);
}

/// Makes a run older that stands at this place.
fn age_json(path: &Path, place: &str, seconds: i64) {
    let mut state: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    for moment in ["started", "ended"] {
        if let Some(epoch) = state.pointer_mut(&format!("{place}/{moment}/epoch")) {
            *epoch = Value::from(epoch.as_i64().unwrap() - seconds);
        }
    }
    rewrite(path, &state.to_string());
}

/// Changes a file's content and nothing else.
fn rewrite(path: &Path, content: &str) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, content).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

/// Makes what the machine remembers so many seconds older.
pub fn age_memory(sandbox: &Sandbox, seconds: i64) {
    for path in memories(sandbox) {
        for run in ["/last", "/last_success"] {
            age_json(&path, run, seconds);
        }
    }
}

/// The files of what the machine remembers.
pub fn memories(sandbox: &Sandbox) -> Vec<PathBuf> {
    let dir = sandbox.host().join("state");
    if !dir.exists() {
        return Vec::new();
    }
    names_of(&dir).iter().map(|name| dir.join(name)).collect()
}

/// Makes the machine forget everything.
pub fn forget(sandbox: &Sandbox) {
    fs::remove_dir_all(sandbox.host().join("state")).unwrap();
}

/// Puts a file of ours into a directory, of so many seconds ago.
pub fn plant(dir: &Path, suffix: &str, content: &str, ago: i64) {
    let path = dir.join(format!("{STEM}{suffix}"));
    fs::write(&path, content).unwrap();
    set_mtime(&path, now() - ago, 0);
}
