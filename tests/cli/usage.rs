//! The command line: what is rejected before anything is touched, and what help and version print.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use crate::support::sandbox::{Finished, PRODUCT, Sandbox};
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

/// Runs with these arguments; the code must be 2, standard output empty, and nothing may have changed anywhere.
#[track_caller]
fn refused<A: AsRef<OsStr>>(sandbox: &Sandbox, arguments: impl IntoIterator<Item = A>, sentence: &str) {
    let before = snapshot_with_ctime(sandbox.path());
    let finished = sandbox.run(arguments);
    assert_eq!((finished.code, finished.out.as_str()), (2, ""), "{finished}");
    assert!(finished.err.contains(sentence), "{sentence:?}: {finished}");
    assert!(finished.err.starts_with("error: "), "{finished}");
    assert_unchanged(&before, &snapshot_with_ctime(sandbox.path()));
}

#[test]
fn a_missing_source_or_destination_is_a_wrong_command_line() {
    let sandbox = Sandbox::new();
    let (source, destination) = (sandbox.source.as_os_str(), sandbox.destination.as_os_str());
    refused(&sandbox, [] as [&str; 0], "-s");
    refused(&sandbox, [OsStr::new("-s"), source], "--destination <DIR|TAG>");
    refused(&sandbox, [OsStr::new("-d"), destination], "--source <DIR>");
    refused(&sandbox, [OsStr::new("-t")], "--source <DIR>");
    refused(&sandbox, [OsStr::new("-d"), destination, OsStr::new("-s")], "a value is required");
    refused(&sandbox, [OsStr::new("-s"), source, OsStr::new("-s"), source], "cannot be used multiple times");
}

#[test]
fn an_unknown_option_or_argument_is_a_wrong_command_line() {
    let sandbox = Sandbox::new();
    refused(&sandbox, sandbox.arguments(["--nonsense"]), "--nonsense");
    refused(&sandbox, sandbox.arguments(["-z"]), "-z");
    refused(&sandbox, sandbox.arguments(["word"]), "word");
    refused(&sandbox, sandbox.arguments(["--test-run=yes"]), "--test-run");
}

#[test]
fn each_kind_of_bad_prefix_is_told() {
    let sandbox = Sandbox::new();
    let refuse = |prefix: &OsStr, sentence: &str| {
        let arguments = sandbox.arguments([OsStr::new("-g"), prefix]);
        refused(&sandbox, arguments, sentence);
    };
    refuse(OsStr::new(""), "the prefix is empty");
    refuse(OsStr::new(".hidden"), "the prefix begins with a dot");
    refuse(OsStr::new(&"x".repeat(101)), "the prefix is longer than 100 bytes");
    for bad in ["a/b", "a/../x", "a b", "a*", "[a]", "ü", "a\nb", "a\\b", "a:b"] {
        refuse(OsStr::new(bad), "letters, digits");
    }
    refuse(OsStr::from_bytes(b"a\xff"), "invalid UTF-8");
}

#[test]
fn an_empty_path_is_a_wrong_command_line() {
    let sandbox = Sandbox::new();
    let source = sandbox.source.as_os_str();
    let destination = sandbox.destination.as_os_str();
    let empty = OsStr::new("");
    refused(&sandbox, [OsStr::new("-s"), empty, OsStr::new("-d"), destination], "--source");
    refused(&sandbox, [OsStr::new("-s"), source, OsStr::new("-d"), empty], "--destination");
    for option in ["--exclude-from", "--pre-script", "--post-script", "--rsync", "--log-dir"] {
        refused(&sandbox, sandbox.arguments([option, ""]), option);
    }
}

fn product(arguments: &[&str]) -> Finished {
    Finished::from(Command::new(PRODUCT).args(arguments).output().unwrap())
}

#[test]
fn help_names_every_option_and_every_exit_code() {
    let finished = product(&["--help"]);
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
    for option in [
        "-s, --source",
        "-d, --destination",
        "-e, --exclude-from",
        "-p, --pre-script",
        "-o, --post-script",
        "-g, --organisation-prefix",
        "-t, --test-run",
        "--rsync",
        "--log-dir",
        "--adopt",
        "--strict-scripts",
        "--allow-non-root",
        "-h, --help",
        "-V, --version",
    ] {
        assert!(finished.out.contains(option), "{option}: {finished}");
    }
    for code in [
        "0", "1", "2", "3–35", "65", "66", "67", "68", "69", "70", "71", "72", "73", "74", "76", "80", "81",
        "82", "85", "86", "87", "90", "91", "128+N",
    ] {
        let row = format!("  {code:<6} ");
        assert!(finished.out.lines().any(|line| line.starts_with(&row)), "{code}: {finished}");
    }
    for file in [".PREFIX.counterpart.*", "counterpart-files(5)", "/var/log/counterpart"] {
        assert!(finished.out.contains(file), "{file}: {finished}");
    }
}

#[test]
fn help_wins_over_what_is_missing_or_wrong_beside_it() {
    let sandbox = Sandbox::new();
    let before = snapshot_with_ctime(sandbox.path());
    let finished = sandbox.run(sandbox.arguments(["--help"]));
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
    assert_unchanged(&before, &snapshot_with_ctime(sandbox.path()));
}

#[test]
fn the_version_is_the_manifests() {
    let finished = product(&["-V"]);
    assert_eq!((finished.code, finished.out.as_str(), finished.err.as_str()), (0, "counterpart 2.0.0\n", ""));
    // The commit is known to a package and to a source tree that git exported, and not to a working tree.
    let finished = product(&["--version"]);
    let printed =
        regex::Regex::new(r"^counterpart 2\.0\.0 \(([0-9a-f]{12} )?[a-z0-9_]+(-[a-z0-9_]+){2,3}\)\n$")
            .unwrap();
    assert!(printed.is_match(&finished.out), "{finished}");
    assert_eq!((finished.code, finished.err.as_str()), (0, ""));
}

#[test]
fn options_may_be_typed_in_every_usual_way() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let joined = |option: &str, value: &OsStr| {
        let mut argument = OsString::from(option);
        argument.push(value);
        argument
    };
    let (source, destination) = (sandbox.source.as_os_str(), sandbox.destination.as_os_str());
    sandbox.run([joined("-s", source), joined("-d", destination)]).assert_code(0).assert_err("");
    sandbox
        .run([joined("--destination=", destination), joined("--source=", source)])
        .assert_code(0)
        .assert_err("");
}

#[test]
fn another_machine_is_neither_source_nor_destination() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let before = snapshot_with_ctime(sandbox.path());
    let (source, destination) = (sandbox.source.as_os_str(), sandbox.destination.as_os_str());
    for place in ["root@host:/path", "rsync://host/module", "host:directory", "host::module"] {
        for (from, to, option) in
            [(source, OsStr::new(place), "--destination"), (OsStr::new(place), destination, "--source")]
        {
            let run = sandbox.run([OsStr::new("-s"), from, OsStr::new("-d"), to]);
            let sentence = format!(
                "error: {option} {place}: another machine can be neither source nor destination. Mount it here, or run \
                 Counterpart there. (A directory by this name in the current one is ./{place})\n"
            );
            assert_eq!((run.code, &*run.out), (2, ""), "{place}: {run}");
            assert!(run.err.starts_with(&sentence), "{place}: {run}");
        }
    }
    assert_unchanged(&before, &snapshot_with_ctime(sandbox.path()));
    // What there is by such a name is meant.
    std::fs::create_dir(sandbox.path().join("host:directory")).unwrap();
    for name in ["host:directory", "./host:directory"] {
        let mut command = sandbox.command([OsStr::new("-s"), source, OsStr::new("-d"), OsStr::new(name)]);
        let run = Finished::from(command.current_dir(sandbox.path()).output().unwrap());
        assert_eq!(run.code, 0, "{run}");
    }
}

#[test]
fn a_mistyped_command_is_named_and_its_help_can_be_asked_for() {
    for (word, hint) in [
        ("chekc", "did you mean check?"),
        ("staus", "did you mean status?"),
        ("restor", "did you mean restore?"),
        // A hidden command is not named, and what resembles none is the rest of a path.
        ("looks", "a path that holds blanks needs quotes"),
        ("Disk", "a path that holds blanks needs quotes"),
    ] {
        let run = product(&[word]);
        assert_eq!((run.code, &*run.out), (2, ""), "{run}");
        assert!(run.err.starts_with(&format!("error: unexpected argument '{word}'; {hint}\n")), "{run}");
    }
    let (asked, shown) = (product(&["help", "check"]), product(&["check", "--help"]));
    assert_eq!((asked.code, asked.out), (0, shown.out));
}

#[test]
fn a_dry_run_is_a_test_run() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.clone(&["--dry-run"]).assert_code(70);
    assert_eq!(sandbox.names(), [] as [&str; 0]);
}
