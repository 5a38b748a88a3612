//! What is detected before anything is installed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::schedule::machine::{Machine, done, refused};
use crate::support::nobody;
use crate::support::sandbox::Finished;
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

/// Refused before the scheduler was told anything, and nothing was written.
#[track_caller]
fn untouched(machine: &Machine, finished: &Finished, code: i32, text: &str) {
    refused(finished, code, text);
    assert_eq!(machine.ledger(), [] as [&str; 0]);
    assert_eq!(machine.jobs(), [] as [&str; 0]);
}

#[test]
fn a_typo_is_found_now() {
    let machine = Machine::linux();
    for (clone, text) in [
        (vec!["--exlude", "x"], "unexpected argument '--exlude'"),
        (vec!["word"], "unexpected argument 'word'"),
        (vec!["-g", "a/b"], "letters, digits"),
        (vec!["--keep-logs", "many"], "--keep-logs <N>"),
        (vec!["-s", "/"], "cannot be used multiple times"),
        (vec!["-B", "-b", "open-sesame"], "cannot be used with"),
    ] {
        untouched(&machine, &machine.install(&[], &clone), 2, text);
    }
    untouched(&machine, &machine.schedule(&["install"]), 2, "<ARGUMENTS>");
    untouched(&machine, &machine.schedule(&["install", "--"]), 2, "<ARGUMENTS>");
    untouched(&machine, &machine.schedule(&["install", "--", "-s", "/"]), 2, "--destination <DIR|TAG>");
    untouched(&machine, &machine.schedule(&["install", "--", "setpass"]), 2, "the arguments of a clone");
    untouched(
        &machine,
        &machine.schedule(&["install", "--", "schedule", "list"]),
        2,
        "the arguments of a clone",
    );
    untouched(&machine, &machine.schedule(&[]), 2, "schedule <COMMAND>");
}

#[test]
fn wrong_times_and_names_are_told() {
    let machine = Machine::linux();
    for (options, text) in [
        (vec!["--daily", "25:00"], "--daily: a time is written HH:MM"),
        (vec!["--weekly", "Caturday", "3:30"], "--weekly: a day is written Mon"),
        (vec!["--weekly", "Mon", "3"], "--weekly: a time is written HH:MM"),
        (vec!["--weekly", "Mon"], "2 values required"),
        (vec!["--every", "5h"], "--every: an interval is 1h, 2h"),
        (vec!["--every", "2h", "--daily", "3:30"], "cannot be used with"),
        (vec!["--name", "../x"], "a name has 1 to 64 letters"),
        (vec!["--name", "a b"], "a name has 1 to 64 letters"),
    ] {
        untouched(&machine, &machine.install(&options, &[]), 2, text);
    }
    for verb in ["run", "remove"] {
        untouched(&machine, &machine.schedule(&[verb]), 2, "<NAME>");
        untouched(&machine, &machine.schedule(&[verb, "../x"]), 2, "a name has 1 to 64 letters");
    }
}

#[test]
fn a_password_never_reaches_a_file() {
    let machine = Machine::linux();
    for options in [vec![], vec!["--print"]] {
        let finished = machine.install(&options, &["-b", "open-sesame"]);
        untouched(&machine, &finished, 2, "use -B");
        assert!(!finished.err.contains("open-sesame"), "{finished}");
    }
    let finished = machine.install(&[], &["-t"]);
    untouched(&machine, &finished, 2, "-t cannot be scheduled");
}

#[test]
fn what_would_make_each_night_fail_has_the_clones_own_code() {
    let machine = Machine::linux();
    let sandbox = &machine.sandbox;
    let missing = sandbox.path().join("missing");
    let missing = missing.to_str().unwrap();
    let plain = sandbox.path().join("plain");
    fs::write(&plain, "no script").unwrap();
    let plain = plain.to_str().unwrap();
    let before = snapshot_with_ctime(&sandbox.destination);
    for (clone, code) in [
        (vec!["-e", missing], 67),
        (vec!["-e", sandbox.path().to_str().unwrap()], 67),
        (vec!["-p", missing], 68),
        (vec!["-p", plain], 68),
        (vec!["-o", plain], 69),
        (vec!["--rsync", missing], 85),
        (vec!["--rsync", "/bin/true"], 86),
        (vec!["-B"], 92),
    ] {
        untouched(&machine, &machine.install(&[], &clone), code, "counterpart: ");
    }
    let (source, destination) = (sandbox.source.to_str().unwrap(), sandbox.destination.to_str().unwrap());
    let link = sandbox.path().join("link");
    symlink(&sandbox.destination, &link).unwrap();
    for (from, to, code) in [
        (missing, destination, 65),
        (missing, missing, 65),
        (destination, missing, 65),
        (source, plain, 66),
        (source, link.to_str().unwrap(), 66),
        (source, source, 87),
        (source, sandbox.path().to_str().unwrap(), 87),
    ] {
        let finished = machine.schedule(&["install", "--", "-s", from, "-d", to]);
        untouched(&machine, &finished, code, "counterpart: ");
    }
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
    assert!(sandbox.logs().is_empty());
}

#[test]
fn a_path_that_cannot_stand_in_a_file_is_refused() {
    let machine = Machine::linux();
    let source = machine.sandbox.source.as_os_str();
    for name in [b"/mnt/a\nExecStart=/bin/evil".as_slice(), b"/mnt/a\xff", b"/mnt/a\x1b"] {
        let words = ["schedule", "install", "--", "-d"].map(OsStr::new);
        let finished =
            machine.sandbox.run(words.into_iter().chain([OsStr::from_bytes(name), OsStr::new("-s"), source]));
        untouched(&machine, &finished, 2, "cannot be used in a job's file");
        assert_eq!(
            finished.err.lines().filter(|line| line.contains("ExecStart")).count(),
            usize::from(name.contains(&b'\n'))
        );
    }
}

#[test]
fn a_disk_that_is_away_is_a_warning() {
    let machine = Machine::linux();
    let missing = machine.sandbox.path().join("away");
    let source = machine.sandbox.source.to_str().unwrap();
    let finished = machine.schedule(&["install", "--", "-s", source, "-d", missing.to_str().unwrap()]);
    assert_eq!(finished.code, 0, "{finished}");
    let warning = format!("counterpart: Warning: the destination {} is not there now.", missing.display());
    assert!(finished.err.contains(&warning), "{finished}");
    assert!(!missing.exists());
}

#[test]
fn what_speaks_against_a_job_without_making_it_impossible_is_told() {
    let machine = Machine::linux();
    let sandbox = &machine.sandbox;
    sandbox.write_destination("strangers", "content");
    let finished = machine.install(&[], &[]);
    assert_eq!(finished.code, 0, "{finished}");
    assert!(
        finished
            .err
            .contains("has no Counterpart marker. If a clone would delete any of it, the job fails with 76")
    );
    let script = sandbox.script("pre", "true");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o777)).unwrap();
    let finished = machine.install(&["--replace"], &["--adopt", "-p", script.to_str().unwrap()]);
    assert_eq!(finished.code, 0, "{finished}");
    assert!(
        !finished.err.contains("bears no mark") && finished.err.contains("--adopt in a job"),
        "{finished}"
    );
    let told = format!("{0} can be changed by users other than root ({0})", script.display());
    assert!(finished.err.contains(&told), "{finished}");
    assert!(sandbox.markers().is_empty() && sandbox.logs().is_empty());
}

#[test]
fn who_is_not_root_may_look_only() {
    let machine = Machine::linux();
    done(&machine.install(&[], &[]));
    machine.ledger();
    // Whoever looks writes no ledger.
    machine.sandbox.tool("systemctl", "echo LoadState=loaded; echo ActiveState=active; echo Result=success");
    let run = |arguments: &[&str]| nobody::run(&machine.sandbox, ["schedule"].iter().chain(arguments));
    let ends = machine.sandbox.arguments([] as [&str; 0]);
    let ends: Vec<&str> = ends.iter().map(|word| word.to_str().unwrap()).collect();
    let install = |option: &str| run(&[&["install", "--name", "other", option, "--"], &ends[..]].concat());
    refused(
        &install("--replace"),
        1,
        "schedule install must be run as root; --print shows the files without it.",
    );
    refused(&run(&["run", "clone"]), 1, "schedule run must be run as root.");
    refused(&run(&["remove", "clone"]), 1, "schedule remove must be run as root.");
    assert!(done(&install("--print")).contains("counterpart-other.service"));
    assert!(done(&run(&["list"])).contains("\nclone "));
    assert!(done(&run(&["show"])).contains("ExecStart="));
    assert_eq!(machine.jobs(), ["counterpart-clone.service", "counterpart-clone.timer"]);
}
