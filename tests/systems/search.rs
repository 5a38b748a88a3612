//! Which rsync is used, and what is reported if none is suitable.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::sandbox::{Finished, Sandbox, write_script};
use crate::systems::fakes::{FakeRsync, Record, SINCE_3_2_3};

const OPENRSYNC: &str = "openrsync: protocol version 29\nrsync version 2.6.9 compatible";
const HOW_ON_MAC: &str = "Install one with: brew install rsync (Homebrew) or: port install rsync (MacPorts).";
const HOW_ON_LINUX: &str =
    "Install one with: apt-get install rsync (Debian, Ubuntu) or: dnf install rsync (Fedora).";

fn mac() -> Sandbox {
    let sandbox = Sandbox::mac("15.1");
    sandbox.write("file", "content");
    sandbox
}

fn dir(sandbox: &Sandbox, name: &str) -> PathBuf {
    let path = sandbox.path().join(name);
    fs::create_dir_all(&path).unwrap();
    path
}

/// A program that answers `--version` in this way and takes nothing else, as Apple's refuses `--acls`.
fn prints(dir: &Path, out: &str, err: &str) {
    let body = format!(
        "if [ \"$*\" != --version ]; then echo 'rsync: unrecognized option' >&2; exit 1; fi\n\
         printf '%s' '{out}'; printf '%s' '{err}' >&2"
    );
    write_script(&dir.join("rsync"), &body);
}

fn good(dir: &Path) -> Record {
    let record = Record(dir.join("record"));
    FakeRsync::new("3.5.1", &[SINCE_3_2_3]).install(&dir.join("rsync"), &record.0);
    record
}

fn with_path<'a>(sandbox: &Sandbox, path: impl IntoIterator<Item = &'a Path>) -> Finished {
    let path = std::env::join_paths(path).unwrap();
    Finished::from(sandbox.command(sandbox.arguments([""; 0])).env("PATH", path).output().unwrap())
}

#[test]
fn the_directories_of_homebrew_come_before_path() {
    let sandbox = mac();
    let (homebrew, in_path) = (sandbox.host().join("rsync"), dir(&sandbox, "bin"));
    let (first, second) = (good(&homebrew), good(&in_path));
    let finished = with_path(&sandbox, [in_path.as_path()]);
    finished.assert_code(0).assert_log(&format!("rsync: {}/rsync, version 3.5.1.", homebrew.display()));
    assert!(!first.of_clone().is_empty() && second.of_clone().is_empty());
}

#[test]
fn apples_openrsync_is_named_with_the_way_out() {
    for (out, err) in [(OPENRSYNC, ""), ("", "openrsync: protocol version 27\n")] {
        let (sandbox, err) = (mac(), err.to_owned());
        let bin = dir(&sandbox, "bin");
        prints(&bin, out, &err);
        let finished = with_path(&sandbox, [bin.as_path()]);
        finished.assert_code(86).assert_err(&format!(
            "counterpart: {}/rsync is openrsync; Counterpart needs Samba's rsync 3.0.9 or later. {HOW_ON_MAC}\n",
            bin.display()
        ));
    }
}

#[test]
fn an_rsync_that_is_too_old_or_none_at_all_is_refused() {
    for (printed, found) in [
        ("rsync  version 2.6.9  protocol version 29\n", "rsync 2.6.9"),
        ("rsync  version 3.0.8  protocol version 30\n", "rsync 3.0.8"),
        ("protocol version 31\n", "not a recognised rsync"),
        ("", "not a recognised rsync"),
    ] {
        let sandbox = mac();
        let bin = dir(&sandbox, "bin");
        prints(&bin, printed, "");
        let finished = with_path(&sandbox, [bin.as_path()]);
        finished.assert_code(86);
        assert!(finished.err.contains(&format!("is {found}; ")), "{finished}");
        assert!(finished.err.contains(HOW_ON_MAC), "{finished}");
    }
}

#[test]
fn a_good_rsync_behind_a_wrong_one_is_used() {
    let sandbox = mac();
    let (apple, old, right) = (dir(&sandbox, "apple"), dir(&sandbox, "old"), dir(&sandbox, "right"));
    prints(&apple, OPENRSYNC, "");
    prints(&old, "rsync  version 2.6.9  protocol version 29\n", "");
    let record = good(&right);
    let finished = with_path(&sandbox, [apple.as_path(), &old, &right]);
    finished.assert_code(0).assert_log(&format!("rsync: {}/rsync, version 3.5.1.", right.display()));
    assert!(!record.of_clone().is_empty());
}

#[test]
fn the_first_wrong_one_is_the_one_that_is_told() {
    let sandbox = mac();
    let (apple, old) = (dir(&sandbox, "apple"), dir(&sandbox, "old"));
    prints(&apple, OPENRSYNC, "");
    prints(&old, "rsync  version 2.6.9  protocol version 29\n", "");
    let finished = with_path(&sandbox, [apple.as_path(), &old]);
    finished.assert_code(86);
    assert!(finished.err.contains("apple/rsync is openrsync"), "{finished}");
}

#[test]
fn relative_entries_of_path_are_ignored() {
    let sandbox = mac();
    let here = dir(&sandbox, "here");
    let record = good(&dir(&sandbox, "here/bin"));
    let of_here = good(&here);
    for path in ["bin", ".", "", ":bin:.", "./bin"] {
        let mut command = sandbox.command(sandbox.arguments([""; 0]));
        let finished = Finished::from(command.env("PATH", path).current_dir(&here).output().unwrap());
        finished.assert_code(85);
        assert!(finished.err.contains("rsync was not found (searched: "), "{finished}");
    }
    assert!(record.of_clone().is_empty() && of_here.of_clone().is_empty());
}

#[test]
fn without_any_rsync_it_is_told_where_it_was_looked_for() {
    for (sandbox, how) in [(mac(), HOW_ON_MAC), (Sandbox::new(), HOW_ON_LINUX)] {
        let empty = dir(&sandbox, "empty");
        let finished = with_path(&sandbox, [empty.as_path()]);
        finished.assert_code(85).assert_err(&format!(
            "counterpart: rsync was not found (searched: {}, {}). {how}\n",
            sandbox.host().join("rsync").display(),
            empty.display()
        ));
    }
}

#[test]
fn the_rsync_that_was_asked_for_is_the_only_one() {
    let sandbox = mac();
    good(&sandbox.host().join("rsync"));
    let not_executable = sandbox.path().join("plain");
    fs::write(&not_executable, "#!/bin/sh\n").unwrap();
    for (rsync, code) in
        [(sandbox.path().join("missing"), 85), (not_executable, 85), (sandbox.source.clone(), 85)]
    {
        let finished = sandbox.run(sandbox.arguments([OsStr::new("--rsync"), rsync.as_os_str()]));
        finished.assert_code(code);
        assert!(finished.err.contains(&format!("(searched: {})", rsync.display())), "{finished}");
    }
    let apple = dir(&sandbox, "apple");
    prints(&apple, OPENRSYNC, "");
    let asked: [OsString; 2] = ["--rsync".into(), apple.join("rsync").into()];
    sandbox.run(sandbox.arguments(asked)).assert_code(86);
    assert!(sandbox.names().is_empty());
}

#[test]
fn an_rsync_that_is_no_program_is_refused() {
    let sandbox = mac();
    // Executable by its mode, and for no system.
    let bin = dir(&sandbox, "bin");
    prints(&bin, "", "");
    fs::write(bin.join("rsync"), "\u{7f}ELF and nothing else").unwrap();
    with_path(&sandbox, [bin.as_path()]).assert_code(86);
}
