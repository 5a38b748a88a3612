//! The files at the destination's root.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::fakes;
use crate::support::sandbox::{STEM, Sandbox, names_of};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox
}

/// `LABEL: NUMBER` with this label; the number.
#[track_caller]
fn number(line: &str, label: &str) -> u64 {
    line.strip_prefix(label)
        .and_then(|rest| rest.strip_prefix(": "))
        .and_then(|rest| rest.parse().ok())
        .unwrap_or_else(|| panic!("{line:?} is not {label:?}"))
}

#[test]
fn the_statistics_begin_with_the_originals_lines() {
    let sandbox = fakes::sandbox("statistics");
    let began = now();
    sandbox.clone(&[]).assert_code(0);
    let text = sandbox.read_marker("stats");
    let lines: Vec<&str> = text.lines().collect();
    let started = number(lines[0], "Clone Started");
    assert_eq!(lines[1], "Number of files: 1507");
    assert_eq!(lines[2], "Number of files transferred: 1501");
    assert_eq!(lines[3], "Total file size: 24697752 bytes");
    assert_eq!(lines[4], "Total transferred file size: 12352071 bytes");
    let completed = number(lines[5], "Clone Completed");
    assert!(began <= started && started <= completed && completed <= now(), "{text}");
    assert_eq!(
        lines[6..],
        [
            "Number of created files: 1506",
            "Number of deleted files: 1",
            "Literal data: 12352071 bytes",
            "Matched data: 0 bytes",
            "Exit Code: 0",
            "File Contents: 7 bytes"
        ]
    );
    assert!(text.ends_with('\n'));
}

#[test]
fn the_real_rsyncs_numbers_are_right() {
    let sandbox = Sandbox::new();
    sandbox.write("a", &"x".repeat(1_234_567));
    sandbox.write("directory/b", "four");
    sandbox.clone(&[]).assert_code(0);
    let text = sandbox.read_marker("stats");
    for line in [
        "Number of files: 4",
        "Number of files transferred: 2",
        "Total file size: 1234571 bytes",
        "Total transferred file size: 1234571 bytes",
        "Number of created files: 3",
        "Number of deleted files: 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    fs::remove_file(sandbox.source.join("a")).unwrap();
    sandbox.clone(&[]).assert_code(0);
    let text = sandbox.read_marker("stats");
    for line in ["Number of files: 3", "Number of files transferred: 0", "Number of deleted files: 1"] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn an_older_rsyncs_statistics_give_the_same_file() {
    let block = "Number of files: 1507\nNumber of files transferred: 1501\nTotal file size: 24697752 bytes\n\
        Total transferred file size: 12352071 bytes\nLiteral data: 12352071 bytes\nMatched data: 0 bytes\n\
        File list size: 35\nTotal bytes sent: 12444423\nTotal bytes received: 28574\n";
    let sandbox = fakes::sandbox(&format!("printf '{}'", block.replace('\n', "\\n")));
    sandbox.clone(&[]).assert_code(0);
    let text = sandbox.read_marker("stats");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[1..5],
        [
            "Number of files: 1507",
            "Number of files transferred: 1501",
            "Total file size: 24697752 bytes",
            "Total transferred file size: 12352071 bytes"
        ]
    );
    assert_eq!(
        lines[6..],
        ["Literal data: 12352071 bytes", "Matched data: 0 bytes", "Exit Code: 0", "File Contents: 7 bytes"]
    );
}

#[test]
fn statistics_are_written_after_these_codes_only() {
    for (code, kept) in [
        (11, true),
        (12, true),
        (23, true),
        (24, true),
        (30, true),
        (3, false),
        (10, false),
        (20, false),
        (25, false),
    ] {
        let sandbox = fakes::sandbox(&format!("statistics; exit {code}"));
        sandbox.clone(&[]).assert_code(code);
        let expected: &[&str] = if kept { &["error", "id", "stats"] } else { &["error", "id"] };
        assert_eq!(sandbox.markers(), expected, "{code}");
        if kept {
            let text = sandbox.read_marker("stats");
            assert!(text.contains("\nTotal transferred file size: 12352071 bytes\n"), "{text}");
            assert!(!text.contains("Completed"), "{text}");
            assert!(text.contains(&format!("\nExit Code: {code}\n")), "{text}");
        }
    }
}

#[test]
fn the_completion_is_empty_and_fresh() {
    let sandbox = sandbox();
    for _ in 0..2 {
        let began = SystemTime::now() - Duration::from_millis(20);
        sandbox.clone(&[]).assert_code(0);
        let metadata = fs::symlink_metadata(sandbox.marker("completed")).unwrap();
        assert!(metadata.is_file());
        assert_eq!((metadata.len(), metadata.mode() & 0o7777, metadata.nlink()), (0, 0o644, 1));
        assert!(metadata.modified().unwrap() >= began);
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn everybody_may_read_the_markers() {
    let sandbox = fakes::sandbox("statistics; exit 23");
    sandbox.clone(&[]).assert_code(23);
    for suffix in ["error", "id", "stats"] {
        assert_eq!(
            fs::metadata(sandbox.marker(suffix)).unwrap().permissions().mode() & 0o7777,
            0o644,
            "{suffix}"
        );
    }
}

#[test]
fn the_identity_is_written_once() {
    let sandbox = sandbox();
    sandbox.clone(&[]).assert_code(0);
    let id = sandbox.read_marker("id");
    let (first, rest) = id.split_once('\n').unwrap();
    assert_eq!(first.len(), 32);
    assert!(first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let source = format!("Source: testhost:{}\nSource Mount Point: /", sandbox.source.display());
    assert!(rest.starts_with(&source), "{id}");
    let before = fs::metadata(sandbox.marker("id")).unwrap();
    sandbox.clone(&[]).assert_code(0);
    let after = fs::metadata(sandbox.marker("id")).unwrap();
    assert_eq!(sandbox.read_marker("id"), id);
    assert_eq!((before.ino(), before.ctime_nsec()), (after.ino(), after.ctime_nsec()));
}

#[test]
fn a_source_that_is_a_clone_does_not_give_its_identity() {
    let sandbox = sandbox();
    sandbox.clone(&[]).assert_code(0);
    let second = sandbox.path().join("second");
    fs::create_dir(&second).unwrap();
    let finished = sandbox.run(["-s", sandbox.destination.to_str().unwrap(), "-d", second.to_str().unwrap()]);
    finished.assert_code(0);
    let id = fs::read_to_string(second.join(format!("{STEM}id"))).unwrap();
    assert_ne!(id, sandbox.read_marker("id"));
}

#[test]
fn the_error_is_exactly_one_line() {
    let sandbox = sandbox();
    let missing = sandbox.path().join("two\nlines\x1b[2J");
    let finished =
        sandbox.run(["-s", missing.to_str().unwrap(), "-d", sandbox.destination.to_str().unwrap()]);
    finished.assert_code(65);
    let text = sandbox.read_marker("error");
    assert_eq!(
        text,
        format!(
            "The source {}/two\\#012lines\\#033[2J cannot be read: No such file or directory. Check -s; is the volume \
             mounted?\n",
            sandbox.path().display()
        )
    );
    assert_eq!(finished.err, format!("counterpart: {text}"));
    // After rsync has run the reserve is used, which is larger than the reason.
    let sandbox = fakes::sandbox("exit 12");
    sandbox.clone(&[]).assert_code(12);
    assert_eq!(
        sandbox.read_marker("error"),
        "rsync ended with code 12: error in the protocol's data stream. The failing paths are in the log.\n"
    );
    assert_eq!(
        fs::metadata(sandbox.marker("error")).unwrap().len(),
        sandbox.read_marker("error").len() as u64
    );
}

#[test]
fn success_takes_the_old_error_away_and_failure_the_old_completion() {
    let sandbox = sandbox();
    sandbox.clone(&[]).assert_code(0);
    fakes::rsync(&sandbox, "exit 12");
    sandbox.clone(&[]).assert_code(12);
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    fs::remove_file(sandbox.host().join("rsync/rsync")).unwrap();
    sandbox.clone(&[]).assert_code(0);
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    fakes::rsync(&sandbox, "exit 12");
    sandbox.clone(&[]).assert_code(12);
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
}

/// Nothing at the destination changes before the arguments are right.
#[test]
fn a_mistyped_argument_takes_nothing_from_a_good_clone() {
    let sandbox = sandbox();
    sandbox.clone(&[]).assert_code(0);
    let kept = || {
        let names = names_of(&sandbox.destination);
        let of = |name: &OsString| fs::symlink_metadata(sandbox.destination.join(name)).unwrap();
        let times: Vec<(i64, i64)> =
            names.iter().map(|name| (of(name).ctime(), of(name).ctime_nsec())).collect();
        (names, times)
    };
    let before = kept();
    for (arguments, code) in [
        (["-e", "/nonexistent"], 67),
        (["-p", "/nonexistent"], 68),
        (["-o", "/nonexistent"], 69),
        (["--on-error", "/nonexistent"], 2),
        (["--rsync", "/nonexistent"], 85),
        (["--rsync", "/bin/true"], 86),
    ] {
        sandbox.clone(&arguments).assert_code(code);
        assert_eq!(kept(), before, "{arguments:?}");
    }
    // Nor is a source that this is no clone of.
    let ends =
        [OsStr::new("-s"), OsStr::new("/nonexistent"), OsStr::new("-d"), sandbox.destination.as_os_str()];
    sandbox.run(ends).assert_code(65);
    assert_eq!(kept(), before);
    assert_eq!(sandbox.record().unwrap()["exit_code"], 0);
}

#[test]
fn while_rsync_runs_the_clone_is_ours_and_not_complete() {
    let sandbox = sandbox();
    sandbox.clone(&[]).assert_code(0);
    sandbox.write_destination(format!("{STEM}error.tmp-0123abcd"), "left by a killed run");
    let seen = sandbox.path().join("seen");
    fakes::rsync(
        &sandbox,
        &format!("ls -A '{}' >'{}'; statistics", sandbox.destination.display(), seen.display()),
    );
    sandbox.clone(&[]).assert_code(0);
    let seen = fs::read_to_string(seen).unwrap();
    let seen: Vec<&str> = seen.lines().collect();
    assert!(seen.contains(&".me.jedda.counterpart.id"), "{seen:?}");
    assert!(!seen.iter().any(|name| name.contains("completed")), "{seen:?}");
    assert!(!seen.iter().any(|name| name.contains("0123abcd")), "{seen:?}");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    assert_eq!(sandbox.names(), ["file"]);
}

#[test]
fn the_first_clone_has_its_identity_before_rsync_runs() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let seen = sandbox.path().join("seen");
    fakes::rsync(
        &sandbox,
        &format!("cat '{}' >'{}'; statistics", sandbox.marker("id").display(), seen.display()),
    );
    sandbox.clone(&[]).assert_code(0);
    assert_eq!(fs::read_to_string(seen).unwrap(), sandbox.read_marker("id"));
}

#[test]
fn the_roots_time_is_the_sources() {
    let sandbox = sandbox();
    crate::support::tree::set_mtime(&sandbox.source, 1_234_567_890, 123_456_789);
    for _ in 0..2 {
        sandbox.clone(&[]).assert_code(0);
        let root = fs::metadata(&sandbox.destination).unwrap();
        assert_eq!((root.mtime(), root.mtime_nsec()), (1_234_567_890, 123_456_789));
    }
}

#[test]
fn another_prefix_names_other_files() {
    let sandbox = sandbox();
    sandbox.clone(&["-g", "org.example-1_x"]).assert_code(0);
    let stem = ".org.example-1_x.counterpart.";
    let marks_and_file = |markers: [&str; 4]| {
        let names = markers.map(|marker| OsString::from(format!("{stem}{marker}")));
        [names.to_vec(), vec!["file".into()]].concat()
    };
    let names = names_of(&sandbox.destination);
    assert_eq!(names, marks_and_file(["completed", "id", "stats", "stats.json"]));
    fakes::rsync(&sandbox, "exit 12");
    sandbox.clone(&["-g", "org.example-1_x"]).assert_code(12);
    fs::remove_file(sandbox.host().join("rsync/rsync")).unwrap();
    let names = names_of(&sandbox.destination);
    assert_eq!(names, marks_and_file(["error", "id", "stats", "stats.json"]));
    let long = "x".repeat(100);
    sandbox.clone(&["--organisation-prefix", &long, "--adopt"]).assert_code(0);
    assert!(sandbox.destination.join(format!(".{long}.counterpart.completed")).exists());
}

/// A failure after the clone was complete: nothing says so any more before anything else is changed.
#[test]
fn a_success_that_is_withdrawn_stops_looking_complete_first() {
    let sandbox = sandbox();
    let script = sandbox.script("script", "exit 3");
    let trace = sandbox.path().join("trace");
    let plain = sandbox.command(sandbox.arguments(["--strict-scripts", "-o", script.to_str().unwrap()]));
    let output = std::process::Command::new("/usr/bin/strace")
        .args(["-f", "-qq", "-e", "trace=unlinkat,renameat,renameat2", "-o"])
        .arg(&trace)
        .arg(plain.get_program())
        .args(plain.get_args())
        .env("COUNTERPART_FAKE_HOST", sandbox.host())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(82), "{output:?}");
    let calls = fs::read_to_string(trace).unwrap();
    // A rename ends with the name, a removal with flags behind it.
    let of = |call: &str, marker: &str| {
        let ends = ["", ", 0"].map(|flags| format!("\"{STEM}{marker}\"{flags}) = 0"));
        let is_it = |line: &str| line.contains(call) && ends.iter().any(|end| line.ends_with(end));
        calls.lines().enumerate().filter(|(_, line)| is_it(line)).map(|(at, _)| at).collect::<Vec<_>>()
    };
    let completed = *of("renameat", "completed").last().unwrap();
    let forgotten = of("unlinkat", "completed").into_iter().find(|at| *at > completed);
    let after = |call| of(call, "stats").into_iter().find(|at| *at > completed);
    let (removed, rewritten) = (after("unlinkat"), after("renameat"));
    assert!(forgotten.is_some() && removed.is_some() && rewritten.is_some(), "{calls}");
    assert!(forgotten < removed && removed < rewritten, "{calls}");
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
}

/// Whoever may write to the destination's root could put another file of root's in the place of the room that is kept for the
/// reason of a failure.
#[test]
fn another_file_is_not_overwritten_with_the_reason() {
    let sandbox = sandbox();
    let planted = sandbox.destination.join(format!("{STEM}error.tmp-00000000"));
    sandbox.rsync(&format!(
        "case \" $* \" in *' --stats '*) rm -f '{0}/{STEM}error.tmp-'*; head -c 4096 /dev/zero >'{1}'; exit 12 ;; esac\n\
         exec /usr/bin/rsync \"$@\"",
        sandbox.destination.display(),
        planted.display()
    ));
    sandbox.clone(&[]).assert_code(12);
    assert!(sandbox.read_marker("error").starts_with("rsync ended with code 12: "));
    assert_eq!(fs::read(&planted).unwrap(), [0; 4096]);
    // What looks like a leftover of ours goes with the next run.
    sandbox.rsync("exec /usr/bin/rsync \"$@\"");
    sandbox.clone(&[]).assert_code(0);
    assert!(!planted.exists());
}

#[test]
fn planted_links_and_directories_are_replaced_and_never_followed() {
    let sandbox = sandbox();
    let target = sandbox.path().join("target");
    for suffix in ["id", "completed", "stats", "error"] {
        fs::write(&target, "precious").unwrap();
        symlink(&target, sandbox.marker(suffix)).unwrap();
    }
    sandbox.clone(&["--adopt"]).assert_code(0).assert_err("");
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    for suffix in ["id", "completed", "stats"] {
        assert!(fs::symlink_metadata(sandbox.marker(suffix)).unwrap().is_file(), "{suffix}");
        fs::remove_file(sandbox.marker(suffix)).unwrap();
    }
    for suffix in ["id", "completed", "stats", "error"] {
        fs::create_dir(sandbox.marker(suffix)).unwrap();
        symlink(&sandbox.source, sandbox.marker(suffix).join("link")).unwrap();
    }
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    fs::remove_file(sandbox.marker("completed")).unwrap();
    symlink(&target, sandbox.marker("error")).unwrap();
    fakes::rsync(&sandbox, "exit 12");
    sandbox.clone(&[]).assert_code(12);
    assert!(fs::symlink_metadata(sandbox.marker("error")).unwrap().is_file());
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert_eq!(fs::read_to_string(sandbox.source.join("file")).unwrap(), "content");
}
