//! A clone that is to be verified.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::status::scene::valid;
use crate::support::sandbox::{Finished, Sandbox, wait_until};
use crate::support::tree::set_mtime;

/// What is wrong with each damaged entry, by its path.
pub type Damages = BTreeMap<String, Vec<String>>;

/// Clones what is in the source, which is older than the clone by then.
pub fn cloned(sandbox: &Sandbox, more: &[&str]) {
    next_second();
    let finished = sandbox.clone(more);
    assert_eq!(finished.code, 0, "{finished}");
}

/// Waits until the clock shows another second: the clone's start is known to the second.
pub fn next_second() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let before = now();
    assert!(wait_until(|| now() > before));
}

/// `counterpart verify -d DESTINATION` and more.
pub fn verify(sandbox: &Sandbox, more: &[&str]) -> Finished {
    let destination = sandbox.destination.to_str().unwrap();
    sandbox.run(["verify", "-d", destination].iter().chain(more))
}

/// The result as JSON, after it was validated.
#[track_caller]
pub fn found(sandbox: &Sandbox, more: &[&str]) -> Value {
    let finished = verify(sandbox, &[&["--json"], more].concat());
    let document = valid("verify.schema.json", &finished);
    assert_eq!(document["exit_code"], finished.code, "{finished}");
    // A source that cannot be read is warned of too.
    let is_warning = |line: &str| line.starts_with("counterpart: Warning: ");
    assert!(finished.err.lines().all(is_warning), "{finished}");
    document
}

/// What is damaged.
#[track_caller]
pub fn damages(document: &Value) -> Damages {
    let damages = document["damages"].as_array().unwrap();
    assert_eq!(document["damaged"], damages.len());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    damages
        .iter()
        .map(|damage| (text(&damage["path"]), damage["flaws"].as_array().unwrap().iter().map(text).collect()))
        .collect()
}

/// Asserts that these entries are damaged, each in this way, and nothing else is.
#[track_caller]
pub fn assert_damages(sandbox: &Sandbox, expected: &[(&str, &[&str])]) -> Value {
    let document = found(sandbox, &[]);
    let expected: Damages = expected
        .iter()
        .map(|(path, flaws)| ((*path).to_owned(), flaws.iter().map(ToString::to_string).collect()))
        .collect();
    assert_eq!(damages(&document), expected, "{document:#}");
    let code = if expected.is_empty() { 0 } else { 75 };
    assert_eq!(document["exit_code"], code, "{document:#}");
    document
}

/// Does something to an entry and leaves no other trace of it: its time and its directory's are as before.
pub fn silently(path: &Path, act: impl FnOnce(&Path)) {
    let times: Vec<(PathBuf, i64, i64)> = [path, path.parent().unwrap()]
        .iter()
        .filter_map(|path| {
            let found = fs::symlink_metadata(path).ok()?;
            Some((path.to_path_buf(), found.mtime(), found.mtime_nsec()))
        })
        .collect();
    act(path);
    for (path, seconds, nanoseconds) in times {
        if path.symlink_metadata().is_ok() {
            set_mtime(&path, seconds, nanoseconds);
        }
    }
}

/// Changes bytes of a file without a trace.
pub fn flip(path: &Path, range: std::ops::Range<usize>) {
    silently(path, |path| {
        let mut contents = fs::read(path).unwrap();
        contents[range].iter_mut().for_each(|byte| *byte ^= 0xff);
        fs::write(path, contents).unwrap();
    });
}
