//! Hostile names for the source and destination themselves.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::audit::{Options, assert_same};
use crate::support::sandbox::{Finished, Sandbox, marks_of};

fn hostile() -> Vec<OsString> {
    let mut names: Vec<OsString> = [
        &b"two\nlines"[..],
        b"host:path",
        b"host::module",
        b"rsync:",
        b"-x",
        b"--delete",
        b"-",
        b"*",
        b"a*b?[c]",
        b"[",
        b"back\\slash",
        b"\\",
        b" space ",
        b"~",
        b"$HOME",
        b"'\"`;&|<>(){}!#%",
        b"\xff\xfe invalid",
        b"\xe2\x80\xaeright to left",
        b"\r\t\x1b[2J",
        b"...",
        b".hidden",
        b"lost+found",
        b"\\#012",
    ]
    .iter()
    .map(|bytes| OsString::from_vec(bytes.to_vec()))
    .collect();
    names.push(OsString::from("x".repeat(255)));
    names.push(OsString::from_vec([b'\n'; 255].to_vec()));
    names
}

fn fill(source: &Path) {
    fs::create_dir(source.join("directory")).unwrap();
    fs::write(source.join("directory/file"), "content").unwrap();
    symlink("directory/file", source.join("link")).unwrap();
    fs::hard_link(source.join("directory/file"), source.join("twin")).unwrap();
}

#[test]
fn as_source_and_as_destination() {
    for name in hostile() {
        let sandbox = Sandbox::new();
        let (source, destination) = (sandbox.source.join(&name), sandbox.destination.join(&name));
        fs::create_dir(&source).unwrap();
        fs::create_dir(&destination).unwrap();
        fill(&source);
        let arguments = [OsStr::new("-s"), source.as_os_str(), OsStr::new("-d"), destination.as_os_str()];
        for _ in 0..2 {
            let finished = sandbox.run(arguments);
            finished.assert_code(0).assert_err("");
            assert!(finished.out.lines().all(|line| line.contains(" Counterpart[")), "{finished}");
            assert!(!finished.out.contains('\x1b'), "{finished}");
        }
        assert_same(&source, &destination, &Options::default());
        assert_eq!(marks_of(&destination), ["completed", "id", "stats"]);
        assert_eq!(crate::support::sandbox::names_of(&sandbox.destination), [name], "nothing beside it");
    }
}

/// Clones with these arguments, typed in the sandbox's directory.
#[track_caller]
fn typed_in(sandbox: &Sandbox, arguments: &[&OsStr]) -> Finished {
    Finished::from(sandbox.command(arguments).current_dir(sandbox.path()).output().unwrap())
}

#[test]
fn relative_and_roundabout_paths() {
    for (source, destination) in [
        ("source", "destination"),
        ("./source", "./destination"),
        ("source/", "destination/"),
        ("source//", "destination///"),
        ("source/.", "destination/."),
        ("destination/../source", "source/../destination"),
        ("./source/./../source", "destination/../destination/./"),
        ("link", "destination"),
        ("link/", "destination/"),
    ] {
        let sandbox = Sandbox::new();
        fill(&sandbox.source);
        symlink("source", sandbox.path().join("link")).unwrap();
        let finished = typed_in(&sandbox, &["-s", source, "-d", destination].map(OsStr::new));
        finished.assert_code(0).assert_err("");
        assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    }
}

#[test]
fn a_leading_dash() {
    for ends in [
        ["-s", "./-x", "-d", "./-y"].as_slice(),
        &["--source=-x", "--destination=-y"],
        &["-s-x", "-d-y"],
        &["-s=-x", "-d=-y"],
    ] {
        let sandbox = Sandbox::new();
        let (source, destination) = (sandbox.path().join("-x"), sandbox.path().join("-y"));
        fs::rename(&sandbox.source, &source).unwrap();
        fs::rename(&sandbox.destination, &destination).unwrap();
        fill(&source);
        let arguments: Vec<&OsStr> = ends.iter().map(OsStr::new).collect();
        typed_in(&sandbox, &arguments).assert_code(0).assert_err("");
        assert_same(&source, &destination, &Options::default());
    }
}

#[test]
fn a_current_directory_at_either_end() {
    let sandbox = Sandbox::new();
    fill(&sandbox.source);
    let output =
        sandbox.command(["-s", ".", "-d", "../destination"]).current_dir(&sandbox.source).output().unwrap();
    Finished::from(output).assert_code(0).assert_err("");
    let output =
        sandbox.command(["-s", "../source", "-d", "."]).current_dir(&sandbox.destination).output().unwrap();
    Finished::from(output).assert_code(0).assert_err("");
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
}

#[test]
fn scripts_logs_and_rsync_of_hostile_names() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let dir = sandbox.path().join(OsStr::from_bytes(b"-a\n*\xff"));
    fs::create_dir(&dir).unwrap();
    let script = dir.join("$(x) ;");
    crate::support::sandbox::write_script(&script, "echo \"ran: $#\"");
    let rsync = dir.join("rs ync");
    symlink("/usr/bin/rsync", &rsync).unwrap();
    let log = dir.join("log: \r");
    let more = [
        "-p".as_ref(),
        script.as_os_str(),
        "--rsync".as_ref(),
        rsync.as_os_str(),
        "--log-dir".as_ref(),
        log.as_os_str(),
    ];
    let finished = sandbox.run(sandbox.arguments(more));
    finished.assert_code(0).assert_err("").assert_log("pre-clone script: ran: 0\n");
    assert!(finished.out.lines().all(|line| line.contains(" Counterpart[")), "{finished}");
    // With the list of changes.
    assert_eq!(fs::read_dir(log).unwrap().count(), 2);
}

/// A name with what shows as nothing looks like another one, which may be trusted.
#[test]
fn what_is_invisible_in_a_name_is_shown_wherever_it_is_told() {
    for (invisible, shown) in [
        ("\u{61c}", "\\#330\\#234"),
        ("\u{3164}", "\\#343\\#205\\#244"),
        ("\u{ad}", "\\#302\\#255"),
        ("\u{fe0f}", "\\#357\\#270\\#217"),
        ("\u{e0041}", "\\#363\\#240\\#201\\#201"),
    ] {
        let mut sandbox = Sandbox::new();
        let script =
            sandbox.script(&format!("evil{invisible}script"), &format!("echo 'said{invisible}'; exit 1"));
        let name = format!("evil{shown}script");
        sandbox.write("file", "content");
        sandbox.destination = sandbox.destination.join(format!("evil{invisible}disk"));
        fs::create_dir(&sandbox.destination).unwrap();
        let finished = sandbox.clone(&["--strict-scripts", "-p", script.to_str().unwrap()]);
        finished.assert_code(81).assert_log(&format!("]: pre-clone script: said{shown}\n"));
        let answer = sandbox.run([OsStr::new("check"), OsStr::new("-d"), sandbox.destination.as_os_str()]);
        let record = fs::read_to_string(sandbox.marker("stats.json")).unwrap();
        for text in [&finished.out, &finished.err, &sandbox.read_marker("error"), &record, &answer.out] {
            assert!(!text.contains(invisible), "{text}");
        }
        for text in [&finished.err, &sandbox.read_marker("error")] {
            assert!(text.contains(&name), "{text}");
        }
        assert!(record.contains(&name.replace('\\', "\\\\")), "{record}");
        assert!(answer.out.contains(&format!("evil{shown}")), "{answer}");
    }
}
