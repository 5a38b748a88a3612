//! Every supported rsync: real ones, and the captured output of those that are not available.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::support::audit::{self, audit};
use crate::support::other_rsyncs::{fetched, is_before, with_each};
use crate::support::sandbox::{Finished, Sandbox};
use crate::support::tree;
use crate::systems::fakes::{FIXTURES, FakeRsync, SINCE_3_1_0, SINCE_3_1_3};

/// The value of a line of the statistics, which has to be of plain digits.
#[track_caller]
fn count(sandbox: &Sandbox, label: &str) -> u64 {
    let statistics = sandbox.read_marker("stats");
    let line = statistics.lines().find_map(|line| line.strip_prefix(&format!("{label}: ")));
    let line = line.unwrap_or_else(|| panic!("no {label} in {statistics}"));
    let digits = line.strip_suffix(" bytes").unwrap_or(line);
    assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{statistics}");
    digits.parse().unwrap()
}

#[test]
fn a_hostile_tree_is_cloned_exactly_and_once() {
    with_each(|sandbox, version| {
        tree::hostile_tree(&sandbox.source);
        sandbox.clone(&[]).assert_code(0).assert_err("").assert_log(&format!("rsync, version {version}."));
        let coarse = is_before(version, "3.1.3");
        let options = audit::Options { nanoseconds: !coarse, ..audit::Options::default() };
        audit::assert_same(&sandbox.source, &sandbox.destination, &options);
        assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
        let files = count(sandbox, "Number of files");
        assert!(files > 200 && count(sandbox, "Number of files transferred") > 100);

        let before = tree::snapshot_with_ctime(&sandbox.destination.join("contents"));
        sandbox.clone(&[]).assert_code(0);
        assert_eq!(count(sandbox, "Number of files"), files);
        for nothing in ["Number of files transferred", "Total transferred file size", "Literal data"] {
            assert_eq!(count(sandbox, nothing), 0, "{nothing}");
        }
        if !is_before(version, "3.1.0") {
            assert_eq!(count(sandbox, "Number of created files"), 0);
            assert_eq!(count(sandbox, "Number of deleted files"), 0);
        }
        tree::assert_unchanged(&before, &tree::snapshot_with_ctime(&sandbox.destination.join("contents")));
        audit::assert_same(&sandbox.source, &sandbox.destination, &options);
    });
}

/// What is said of times is what becomes of them, with every rsync that is here.
#[test]
fn a_version_that_loses_times_says_so() {
    const SECONDS: i64 = 1_500_000_000;
    let nanoseconds = |path: &Path| fs::symlink_metadata(path).unwrap().mtime_nsec();
    with_each(|sandbox, version| {
        std::os::unix::fs::symlink("nowhere", sandbox.source.join("link")).unwrap();
        sandbox.write("file", "content");
        for name in ["link", "file"] {
            tree::set_mtime(&sandbox.source.join(name), SECONDS, 1);
        }
        let run = sandbox.clone(&[]);
        run.assert_code(0);
        let is_lost = |name: &str| {
            [sandbox.source.join(name), sandbox.destination.join(name)].map(|path| nanoseconds(&path))
        };
        let [source, clone] = is_lost("file");
        assert_eq!(source != clone, is_before(version, "3.1.0"), "{version}");
        for name in ["link", "file"] {
            tree::set_mtime(&sandbox.source.join(name), SECONDS, 2);
        }
        let run = sandbox.clone(&[]);
        run.assert_code(0);
        for (name, until) in [("file", "3.1.3"), ("link", "3.2.0")] {
            let [source, clone] = is_lost(name);
            assert_eq!(source != clone, is_before(version, until), "{version} {name}");
        }
        if is_before(version, "3.2.0") {
            run.assert_log("Warning: this rsync loses times: ");
        } else {
            run.assert_no_log("loses times");
        }
    });
}

#[test]
fn what_the_source_lost_is_deleted_and_what_it_changed_is_copied() {
    with_each(|sandbox, version| {
        for name in ["kept", "changed", "gone", "directory/gone", "becomes a directory", "edited"] {
            sandbox.write(name, "content");
        }
        sandbox.clone(&[]).assert_code(0);
        for name in ["gone", "becomes a directory"] {
            fs::remove_file(sandbox.source.join(name)).unwrap();
        }
        fs::remove_dir_all(sandbox.source.join("directory")).unwrap();
        sandbox.write("becomes a directory/file", "content");
        sandbox.write("changed", "other content");
        sandbox.write_destination("not ours/file", "extra");
        tree::edit_in_the_same_second(&sandbox.source.join("edited"));
        sandbox.clone(&[]).assert_code(0);
        let edited = fs::read(sandbox.destination.join("edited")).unwrap();
        if is_before(version, "3.1.3") {
            // Told in the log of every run as what this rsync lacks.
            assert_eq!(edited, b"content");
            fs::write(sandbox.destination.join("edited"), fs::read(sandbox.source.join("edited")).unwrap())
                .unwrap();
        }
        let options = audit::Options {
            nanoseconds: false,
            skip: vec!["edited".into()],
            root_mtime: false,
            ..audit::Options::default()
        };
        assert_eq!(audit(&sandbox.source, &sandbox.destination, &options), []);
        assert_eq!(
            fs::read(sandbox.destination.join("edited")).unwrap(),
            fs::read(sandbox.source.join("edited")).unwrap()
        );
        assert!(sandbox.read_marker("stats").contains("Exit Code: 0\n"));
    });
}

#[test]
fn a_test_run_tells_what_the_clone_then_does() {
    with_each(|sandbox, _| {
        sandbox.write("new\nname", "content");
        sandbox.write("changed", "other content");
        sandbox.write_destination("changed", "content");
        sandbox.write_destination("extra", "content");
        // Far enough apart for a version that compares whole seconds.
        tree::set_mtime(&sandbox.source, 1_500_000_000, 1);
        let before = tree::snapshot_with_ctime(&sandbox.destination);
        sandbox
            .clone(&["--test-run"])
            .assert_code(70)
            .assert_log("Would create new\\#012name")
            .assert_log("Would change changed (")
            .assert_log("Would delete extra")
            .assert_log("Warning: a real run would be refused with code 76.")
            .assert_log(
                "would create 1, change 2 and delete 1 entries, and write 20 B. Nothing was changed.",
            );
        tree::assert_unchanged(&before, &tree::snapshot_with_ctime(&sandbox.destination));
        sandbox.clone(&[]).assert_code(76).assert_log("would delete or overwrite 2 files and 0 directories");
        tree::assert_unchanged(&before, &tree::snapshot_with_ctime(&sandbox.destination));
        sandbox.clone(&["--adopt"]).assert_code(0);
        assert_eq!(sandbox.names(), ["changed", "new\nname"]);
    });
}

#[test]
fn a_lone_marker_in_the_users_file_does_not_uncover_our_files() {
    with_each(|sandbox, _| {
        for name in ["kept", "left out", "a/left out", "back/again"] {
            sandbox.write(name, "content");
        }
        let stem = crate::support::sandbox::STEM;
        sandbox.write(format!("{stem}completed"), "from the source");
        sandbox.write(".org.other.counterpart.stats", "from the source");
        let patterns = sandbox.path().join("patterns");
        fs::write(&patterns, "back\n!\nleft out\n# a comment\n\n+ .me.jedda.counterpart.*").unwrap();
        let arguments = ["--exclude-from", patterns.to_str().unwrap()];
        for _ in 0..2 {
            sandbox
                .clone(&arguments)
                .assert_code(0)
                .assert_log("Warning: the excludes file holds a lone \"!\"");
            assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
            assert_eq!(fs::metadata(sandbox.marker("completed")).unwrap().size(), 0);
            assert_eq!(sandbox.names(), ["a", "back", "kept"]);
            assert!(fs::read_dir(sandbox.destination.join("a")).unwrap().next().is_none());
            assert!(sandbox.destination.join("back/again").exists());
        }
    });
}

#[test]
fn an_error_marker_survives_the_clone_that_fails() {
    with_each(|sandbox, _| {
        sandbox.write("file", "content");
        sandbox.clone(&[]).assert_code(0);
        let id = sandbox.read_marker("id");
        // A directory that no system call can reach in one piece makes every rsync end with 23.
        tree::over_long_path(&sandbox.source);
        sandbox.clone(&[]).assert_code(23).assert_log("Failing paths:");
        assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
        assert_eq!(sandbox.read_marker("id"), id);
        assert!(sandbox.read_marker("error").starts_with("rsync ended with code 23: "));
        tree::remove_tree(&sandbox.source.join("over-long"));
        sandbox.clone(&[]).assert_code(0);
        assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    });
}

#[test]
fn a_version_with_known_holes_is_warned_of() {
    with_each(|sandbox, version| {
        sandbox.write("file", "content");
        let finished = sandbox.clone(&[]);
        let warning =
            format!("Warning: rsync {version} has known holes when root clones files of hostile users.");
        if is_before(version, "3.5.0") {
            finished.assert_code(0).assert_log(&warning);
        } else {
            finished.assert_code(0).assert_no_log("known holes");
        }
    });
}

/// The rules for the names of extended attributes, which 3.1.0 and older do not know.
const XATTR_RULES: &str = "--filter=-xsr system.*";

/// The old versions: number, what they have beyond 3.0.9, what they lack on Linux, and the code for a full disk.
const OLD: [(&str, &[&str], &[&str], i32); 3] = [
    (
        "3.0.9",
        &[],
        &[
            "--modify-window=-1",
            XATTR_RULES,
            "--open-noatime",
            "--outbuf=L",
            "--info=progress2",
            "--info=mount",
        ],
        12,
    ),
    ("3.1.0", SINCE_3_1_0, &["--modify-window=-1", XATTR_RULES, "--open-noatime"], 11),
    ("3.1.3", SINCE_3_1_3, &["--open-noatime"], 11),
];

fn old<'a>(sandbox: &Sandbox, version: &'a str, options: &[&'a str]) -> FakeRsync<'a> {
    sandbox.write("file", "content");
    let mut rsync = FakeRsync::new(version, &[options]);
    rsync.out = fixture(version, "statistics.out");
    rsync
}

fn fixture(version: &str, name: &str) -> PathBuf {
    Path::new(FIXTURES).join(version).join(name)
}

#[test]
fn old_versions_are_asked_only_for_what_they_have() {
    for (version, options, lacks, _) in OLD {
        let sandbox = Sandbox::new();
        let record = old(&sandbox, version, options).install_first(&sandbox);
        let finished = sandbox.clone(&[]);
        finished.assert_code(0).assert_log(&format!(", version {version}.")).assert_log("has known holes");
        let told: Vec<&str> = finished
            .messages()
            .into_iter()
            .filter_map(|message| message.strip_prefix("Warning: this rsync lacks "))
            .filter_map(|rest| rest.split_once(": ").map(|(option, _)| option))
            .collect();
        assert_eq!(told, lacks, "{version}");
        finished.assert_log("Warning: this rsync loses times: ");
        let is_oldest = finished.out.contains("it keeps whole seconds only: fractions of a second are lost.");
        assert_eq!(is_oldest, version == "3.0.9");
        let arguments = record.of_clone();
        assert!(lacks.iter().all(|lacking| !arguments.contains(&(*lacking).to_owned())), "{arguments:#?}");
    }
}

/// Puts a program before an rsync that notes how it is started; returns how often it was asked for its version since.
fn counted(sandbox: &Sandbox, rsync: &Path) -> impl Fn() -> usize + use<> {
    let record = sandbox.path().join("starts");
    sandbox.rsync(&format!("echo \"$*\" >>'{}'; exec '{}' \"$@\"", record.display(), rsync.display()));
    move || {
        let starts = fs::read_to_string(&record).unwrap();
        starts.lines().filter(|line| line.ends_with("--version")).count()
    }
}

#[test]
fn an_rsync_is_asked_once_and_an_old_one_three_times() {
    for (version, rsync) in fetched() {
        let sandbox = Sandbox::new();
        sandbox.write("file", "content");
        let asked = counted(&sandbox, &rsync);
        sandbox.clone(&[]).assert_code(0).assert_log(&format!(", version {version}."));
        assert_eq!(asked(), 1, "{version}");
    }
    for (version, options, _, _) in OLD {
        let sandbox = Sandbox::new();
        let rsync = sandbox.path().join("old-rsync");
        old(&sandbox, version, options).install(&rsync, &sandbox.path().join("record"));
        let asked = counted(&sandbox, &rsync);
        sandbox.clone(&[]).assert_code(0).assert_log(&format!(", version {version}."));
        assert_eq!(asked(), 3, "{version}");
    }
}

#[test]
fn statistics_of_old_versions_come_out_as_the_original_wrote_them() {
    for (version, options, _, _) in OLD {
        let sandbox = Sandbox::new();
        old(&sandbox, version, options).install_first(&sandbox);
        sandbox.clone(&[]).assert_code(0);
        let statistics = sandbox.read_marker("stats");
        let lines: Vec<&str> = statistics.lines().collect();
        assert!(
            lines[0].starts_with("Clone Started: ") && lines[5].starts_with("Clone Completed: "),
            "{statistics}"
        );
        assert_eq!(
            lines[1..5],
            [
                "Number of files: 1507",
                "Number of files transferred: 1502",
                "Total file size: 12359585 bytes",
                "Total transferred file size: 12359584 bytes"
            ],
            "{version}"
        );
    }
}

#[test]
fn digits_in_groups_come_out_plain() {
    let sandbox = Sandbox::new();
    let mut rsync = old(&sandbox, "3.1.3", SINCE_3_1_0);
    rsync.out = fixture("3.1.3", "statistics-grouped.out");
    rsync.install_first(&sandbox);
    sandbox.clone(&[]).assert_code(0);
    assert_eq!(count(&sandbox, "Number of files"), 1503);
    assert_eq!(count(&sandbox, "Number of files transferred"), 1502);
}

fn play(version: &'static str, options: &[&'static str], case: &str, code: i32) -> (Sandbox, Finished) {
    let sandbox = Sandbox::new();
    let mut rsync = old(&sandbox, version, options);
    let existing = |name: String| Some(fixture(version, &name)).filter(|path| path.exists());
    rsync.out = existing(format!("{case}.out")).unwrap_or_else(|| "/dev/null".into());
    rsync.err = existing(format!("{case}.err")).unwrap_or_else(|| "/dev/null".into());
    if case == "vanished" {
        // What vanishes lies below the source.
        let told = fs::read_to_string(&rsync.err).unwrap();
        rsync.err = sandbox.path().join("vanished.err");
        fs::write(&rsync.err, told.replace("/clones/vs", sandbox.source.to_str().unwrap())).unwrap();
    }
    rsync.code = code;
    rsync.install_first(&sandbox);
    let finished = sandbox.clone(&[]);
    (sandbox, finished)
}

#[test]
fn a_full_disk_is_told_as_that_whatever_code_an_old_version_gives() {
    for (version, options, _, code) in OLD {
        if version == "3.1.0" {
            continue;
        }
        let (sandbox, finished) = play(version, options, "no-space", code);
        finished.assert_code(74);
        assert!(
            finished.err.contains("write failed on \"/clones/full/d/f146\": No space left on device (28)")
        );
        assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
        let (_, finished) = play(version, options, "no-inodes", 23);
        finished.assert_code(74).assert_log("  and 20 more.");
    }
}

#[test]
fn failures_of_an_old_version_keep_their_code() {
    for (version, options) in [("3.0.9", &[][..]), ("3.1.3", SINCE_3_1_3)] {
        for case in ["denied", "refused", "read-only", "immutable"] {
            let (sandbox, finished) = play(version, options, case, 23);
            finished.assert_code(23).assert_log("Failing paths:");
            assert_eq!(sandbox.markers(), ["error", "id", "stats"], "{version} {case}");
        }
        let (sandbox, finished) = play(version, options, "vanished", 24);
        finished.assert_code(24).assert_log("Failing paths:").assert_log("The clone is complete.");
        assert_eq!(sandbox.markers(), ["completed", "id", "stats"], "{version}");
    }
}

/// 3.0.9 and 3.1.0 end with 0 although something that is gone from the source stayed at the destination.
#[test]
fn a_failed_deletion_that_an_old_version_conceals_is_told() {
    for version in ["3.0.9", "3.1.0"] {
        let (sandbox, finished) =
            play(version, if version == "3.0.9" { &[] } else { SINCE_3_1_0 }, "immutable", 0);
        finished.assert_code(23).assert_log("Failing paths:").assert_log("  im \"m\"");
        assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
        assert!(sandbox.read_marker("stats").contains("Exit Code: 23\n"));
    }
}

/// A list reads the whole source, which takes long and on an empty disk tells nothing.
#[test]
fn what_a_disk_would_lose_is_known_without_rsync() {
    for (name, code) in [
        (None, 0),
        (Some("lost+found/"), 0),
        (Some("lost+found/file"), 0),
        (Some("other"), 76),
        (Some("directory/"), 76),
    ] {
        let sandbox = Sandbox::new();
        let record = old(&sandbox, "3.1.3", SINCE_3_1_0).install_first(&sandbox);
        match name {
            Some(name) if name.ends_with('/') => fs::create_dir(sandbox.destination.join(name)).unwrap(),
            Some(name) => sandbox.write_destination(name, "content"),
            None => {}
        }
        sandbox.clone(&[]).assert_code(code);
        assert!(record.lines("argv.list").is_empty(), "{name:?}");
    }
}
