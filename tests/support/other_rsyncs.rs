//! Real rsyncs of other versions, as fetched by `tests/other-rsyncs.sh`. Needs the sandbox beside it.
#![allow(dead_code, reason = "each test crate uses a part")]

use std::fs;
use std::path::{Path, PathBuf};

use super::sandbox::{Sandbox, write_script};

/// The versions, each with its program.
pub fn fetched() -> Vec<(String, PathBuf)> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .unwrap_or_else(|| "/root/.cache".into());
    let dir = cache.join("counterpart-tests/rsync");
    let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
    let mut found: Vec<(String, PathBuf)> = entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path().join("rsync")))
        .filter(|(_, rsync)| rsync.is_file())
        .collect();
    found.sort();
    assert!(
        !found.is_empty(),
        "there is no other rsync in {}: run tests/other-rsyncs.sh, as tests/run.sh does",
        dir.display()
    );
    found
}

/// Whether one version comes before another.
pub fn is_before(version: &str, other: &str) -> bool {
    let numbers = |version: &str| version.split('.').map(|part| part.parse().unwrap()).collect::<Vec<u32>>();
    numbers(version) < numbers(other)
}

/// Runs a test with each of them.
pub fn with_each(test: impl Fn(&mut Sandbox, &str)) {
    for (version, rsync) in fetched() {
        eprintln!("rsync {version}");
        let mut sandbox = Sandbox::new();
        // By its own path: some find their libraries relative to it.
        write_script(&sandbox.host().join("rsync/rsync"), &format!("exec '{}' \"$@\"", rsync.display()));
        test(&mut sandbox, &version);
    }
}
