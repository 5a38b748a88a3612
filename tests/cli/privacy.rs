//! World-readable files contain no names of files below the source or the destination.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::support::nobody;
use crate::support::sandbox::Sandbox;

/// A name that nobody may learn.
const SECRET: &str = "affair-of-the-boss";

/// Every regular file below that everybody may read, whatever directories are above it.
fn public_files(below: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            public_files(&path, found);
        } else if metadata.is_file() && metadata.mode() & 0o004 != 0 {
            found.push(path);
        }
    }
}

/// A sandbox whose rsync says this and ends so; what is public afterwards holds the name nowhere.
#[track_caller]
fn tells_nobody(says: &str, code: i32, more: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    let says = says.replace("SOURCE", sandbox.source.to_str().unwrap());
    sandbox.rsync(&format!(
        "case \" $* \" in *' --stats '*) /usr/bin/rsync \"$@\" || exit; {says} ;; *) exec /usr/bin/rsync \"$@\" ;; esac"
    ));
    let metrics = sandbox.path().join("run.prom");
    let run = sandbox.clone(&[&["--metrics-file", metrics.to_str().unwrap()], more].concat());
    run.assert_code(code).assert_log(SECRET);
    assert!(fs::read_to_string(&sandbox.logs()[1]).unwrap().contains(SECRET), "the log has it");
    let mut public = Vec::new();
    for below in [&sandbox.destination, &sandbox.host(), &metrics.parent().unwrap().to_owned()] {
        public_files(below, &mut public);
    }
    public.retain(|path| !path.starts_with(sandbox.host().join("rsync")));
    assert!(public.iter().any(|path| path.starts_with(sandbox.host().join("state"))), "{public:?}");
    assert!(public.contains(&metrics));
    for path in public {
        let content = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        assert!(!content.contains(SECRET), "{}: {content}", path.display());
    }
    sandbox
}

#[track_caller]
fn check_says(sandbox: &Sandbox, code: i32, words: &str) {
    // For everybody, this machine's memory is root's.
    let (own, system) = (sandbox.host().join("state"), sandbox.host().join("system-state"));
    fs::rename(&own, &system).unwrap();
    let run = nobody::run(sandbox, ["check".as_ref(), "-d".as_ref(), sandbox.destination.as_os_str()]);
    assert_eq!(run.code, code, "{run}");
    assert!(run.out.contains(words) && !run.out.contains(SECRET), "{run}");
}

#[test]
fn failing_paths_are_for_root_alone() {
    let says = format!(
        "echo 'rsync: [sender] send_files failed to open \"/s/{SECRET}\": Permission denied (13)' >&2; exit 23"
    );
    let sandbox = tells_nobody(&says, 23, &[]);
    let record = sandbox.record().unwrap();
    assert_eq!(record["failing_paths"]["first"][0], format!("/s/{SECRET}"));
    assert_eq!(fs::metadata(sandbox.marker("stats.json")).unwrap().mode() & 0o777, 0o600);
    check_says(&sandbox, 2, "rsync ended with code 23");
}

#[test]
fn the_reason_of_a_full_disk_names_no_file_to_everybody() {
    let says = format!(
        "echo 'rsync: [receiver] write failed on \"/d/{SECRET}\": No space left on device (28)' >&2; exit 11"
    );
    let sandbox = tells_nobody(&says, 74, &[]);
    assert!(
        sandbox
            .read_marker("error")
            .ends_with(" is full. Make room there, exclude more, or use a larger disk.\n")
    );
    assert!(sandbox.record().unwrap()["reason"].as_str().unwrap().contains(SECRET));
    check_says(&sandbox, 2, " is full. Make room there");
}

#[test]
fn a_missing_user_is_told_without_the_file() {
    let says = format!(
        "echo 'rsync: [sender] get_acl: unpack_smb_acl(s/{SECRET}): Undefined error: 0 (0)' >&2; exit 23"
    );
    let sandbox = tells_nobody(&says, 73, &[]);
    assert!(sandbox.read_marker("error").contains("names a user that no longer exists. Remove it"));
    check_says(&sandbox, 2, "names a user that no longer exists. Remove it");
}

#[test]
fn files_that_vanished_are_for_root_alone() {
    let says = format!("echo 'file has vanished: \"SOURCE/{SECRET}\"' >&2; exit 24");
    let sandbox = tells_nobody(&says, 24, &[]);
    check_says(&sandbox, 1, "with warnings: files vanished from the source");
    // On another machine, which remembers nothing, the numbers tell it.
    fs::remove_dir_all(sandbox.host().join("system-state")).unwrap();
    fs::create_dir(sandbox.host().join("state")).unwrap();
    check_says(&sandbox, 1, "with a warning: files vanished");
    let sandbox = tells_nobody(&says, 0, &["--vanished-ok"]);
    fs::remove_dir_all(sandbox.host().join("state")).unwrap();
    fs::create_dir(sandbox.host().join("state")).unwrap();
    check_says(&sandbox, 1, "with warnings that only root may read");
}

#[test]
fn what_names_no_file_stays_for_everybody() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let script = sandbox.script("script", "exit 3");
    sandbox.clone(&["-o", script.to_str().unwrap()]).assert_code(0);
    assert_eq!(fs::metadata(sandbox.marker("stats.json")).unwrap().mode() & 0o777, 0o644);
    check_says(&sandbox, 1, "with warnings: The post-clone script ");
}
