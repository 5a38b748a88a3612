//! Every available rsync: the doctor warns about what the clone warns about.

use std::path::{Path, PathBuf};

use crate::doctor::patient::{ask, healthy};
use crate::support::sandbox::write_script;

/// The rsyncs that `tests/other-rsyncs.sh` has fetched: version and program.
fn fetched() -> Vec<(String, PathBuf)> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map_or("/root".into(), PathBuf::from);
    let dir = cache.unwrap_or_else(|| home().join(".cache")).join("counterpart-tests/rsync");
    let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
    let mut found: Vec<(String, PathBuf)> = entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path().join("rsync")))
        .filter(|(_, rsync)| rsync.is_file())
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no other rsync in {}: run tests/other-rsyncs.sh", dir.display());
    found
}

fn warned(program: &Path) -> (Vec<String>, Vec<String>, String) {
    let sandbox = healthy();
    // By its own path: some of them find their libraries from there.
    write_script(&sandbox.host().join("rsync/rsync"), &format!("exec '{}' \"$@\"", program.display()));
    let told = ask(&sandbox, &[]);
    told.assert_code(0);
    let lines = told.of_topic("rsync");
    let of_doctor =
        lines.iter().filter_map(|line| line.strip_prefix("WARN  rsync: ")).map(str::to_owned).collect();
    let finished = sandbox.clone(&[]);
    finished.assert_code(0);
    let messages = finished.messages();
    let of_clone =
        messages.iter().filter_map(|line| line.strip_prefix("Warning: ")).map(str::to_owned).collect();
    (of_doctor, of_clone, lines[0].to_owned())
}

#[test]
fn each_version_is_warned_of_as_the_clone_warns() {
    for (version, program) in fetched() {
        let (of_doctor, of_clone, first) = warned(&program);
        assert_eq!(of_doctor, of_clone, "{version}");
        assert!(
            first.starts_with(&format!("OK    rsync: @/host/rsync/rsync is version {version}")),
            "{first}"
        );
        let numbers: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
        let has_holes = of_doctor.iter().any(|warning| warning.contains("has known holes"));
        assert_eq!(has_holes, numbers < vec![3, 5, 0], "{version}: {of_doctor:?}");
    }
}
