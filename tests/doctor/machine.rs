//! Privileges, rsync, and the directories for our own files.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown};

use crate::doctor::patient::{Told, answering, ask, ask_for, assert_foretold, doctor, healthy};
use crate::support::mounted::Mounted;
use crate::support::nobody;

#[test]
fn a_healthy_machine_is_told_so_from_the_first_line_to_the_last() {
    let sandbox = healthy();
    let told = ask(&sandbox, &[]);
    told.assert_code(0);
    let mut lines: Vec<&str> = told.lines.iter().map(String::as_str).collect();
    let room = lines.iter().position(|line| line.contains("free space: ")).unwrap();
    assert!(lines[room].starts_with("OK    free space: the source holds 2 entries, "), "{lines:?}");
    lines.remove(room);
    assert_eq!(
        lines,
        [
            "OK    rights: root.",
            "OK    log: @/host/log does not exist and can be created.",
            "OK    rsync: @/host/rsync/rsync is version 3.5.1 and has every option that a clone uses.",
            "OK    source: @/source can be read and is a directory of data.",
            "OK    destination: @/destination can be written.",
            "OK    ownership: the destination preserves file ownership.",
            "OK    both ends: neither lies inside the other, and no other Counterpart is cloning to the destination.",
            "OK    private view: rsync will see source and destination as they are now, whatever is mounted or \
             unmounted.",
            "OK    other filesystems: none is mounted below the source that its clone would leave out.",
            "OK    exclusions: 0 built-in patterns and 0 of yours are in force.",
            "OK    password: no server backup was requested, so none is needed (none is stored in \
             @/host/credstore.encrypted/me.jedda.counterpart or @/host/credstore/me.jedda.counterpart).",
            "OK    first clone: the destination holds nothing that could be lost.",
            "OK    server backup: none was requested, and none is needed: no server was found here.",
            "        No PostgreSQL server runs here.",
            "        OpenLDAP is skipped: there is no @/host/tools/slapcat.",
            "        No MariaDB or MySQL server runs here.",
            "OK    state: @/host/state does not exist and can be created.",
            "OK    last run: this machine has no record of a run to this destination.",
            "WARN  schedule: no scheduled clone was found.",
            "      To do: Have the clone made every night: counterpart schedule install -- -s SOURCE -d DESTINATION",
            "OK    starting from the clone: this is a clone of data, not of a system.",
            "17 OK, 1 WARN, 0 FAIL: nothing was found that would stop a clone.",
        ]
    );
    sandbox.clone(&[]).assert_code(0);
}

#[test]
fn without_ends_only_the_machine_is_told_of() {
    let sandbox = healthy();
    let told = ask_for(&sandbox, [""; 0]);
    told.assert_code(0);
    let topics: Vec<&str> = told
        .lines
        .iter()
        .filter(|line| !line.starts_with("  "))
        .map(|line| line[6..].split(':').next().unwrap())
        .collect();
    assert_eq!(topics[..6], ["rights", "log", "rsync", "password", "server backup", "state"]);
    assert_eq!(topics.len(), 8, "{topics:?}");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let sandbox = healthy();
    for arguments in [&["-x"][..], &["-s"], &["-s", ""], &["-g", ".x"], &["-b", "x", "-B"], &["word"]] {
        let finished = sandbox.run(doctor(arguments));
        assert_eq!((finished.code, finished.out.as_str()), (2, ""), "{arguments:?}: {finished}");
    }
}

#[test]
fn without_root_it_is_1_unless_allowed() {
    let sandbox = healthy();
    nobody::give(&sandbox.source);
    nobody::give(&sandbox.destination);
    let told = Told::of(&sandbox, &nobody::run(&sandbox, doctor(sandbox.arguments([""; 0]))));
    told.assert_code(1).assert(
        "rights",
        &[
            "FAIL  rights: Counterpart must be run as root. Use sudo, or --allow-non-root for a clone without owners and \
             special files. (1)",
            "      To do: Run the doctor with sudo too, or with --allow-non-root: what follows is what this user meets.",
        ],
    );
    assert_eq!(told.lines.last().unwrap(), "15 OK, 2 WARN, 1 FAIL: a clone would end with code 1.");
    let told = Told::of(&sandbox, &nobody::run(&sandbox, doctor(sandbox.arguments(["--allow-non-root"]))));
    told.assert_code(0).assert(
        "rights",
        &[
            "WARN  rights: not root: ownership and special files (devices, FIFOs, sockets) are not cloned.",
            "      To do: For a complete clone, run it as root, without --allow-non-root.",
        ],
    );
}

#[test]
fn what_a_version_does_to_access_times_is_told() {
    const DIRS: &str =
        "        With this version access times of directories at the source change; those of files do not.";
    const ALL: &str = "        With this version access times at the source change, although this rsync takes --open-noatime.";
    for (version, expected) in [
        ("3.3.0", Some(DIRS)),
        ("3.4.0", Some(ALL)),
        ("3.4.1", Some(ALL)),
        ("3.4.2", Some(DIRS)),
        ("3.5.0", Some(DIRS)),
        ("3.5.1", None),
    ] {
        let sandbox = healthy();
        sandbox.rsync(&format!(
            "case \"$*\" in --version) echo 'rsync  version {version}  protocol version 31' ;; *) exit 0 ;; esac"
        ));
        let told = ask(&sandbox, &[]);
        told.assert_code(0);
        let line = told.of_topic("rsync").get(1).map(|line| (*line).to_owned());
        let line = line.filter(|line| line.starts_with("        With"));
        assert_eq!(line.as_deref(), expected, "{version}");
    }
}

#[test]
fn an_old_rsync_is_told_with_all_that_it_lacks() {
    let sandbox = healthy();
    sandbox.rsync(
        "case \"$*\" in\n\
         --version) echo 'rsync  version 3.1.2  protocol version 31' ;;\n\
         *--open-noatime*|*--acls*|*xsr*) exit 1 ;;\n\
         *) exit 0 ;;\n\
         esac",
    );
    let newer = "      To do: Use rsync 3.5.1, built with access control lists and extended attributes; INSTALL.md, \
                 \"Which rsync\".";
    let told = ask(&sandbox, &[]);
    told.assert_code(0).assert_well_but_for(&["rsync", "schedule"]).assert(
        "rsync",
        &[
            "OK    rsync: @/host/rsync/rsync is version 3.1.2.",
            "WARN  rsync: this rsync lacks --modify-window=-1: a file changed twice within one second, without a change of \
             size, may not be copied again.",
            newer,
            "WARN  rsync: this rsync lacks --open-noatime: access times at the source change.",
            newer,
            "WARN  rsync: this rsync lacks --acls: access control lists are not cloned.",
            newer,
            "WARN  rsync: this rsync lacks --filter=-xsr system.*: access control lists on XFS may be lost by the second \
             clone.",
            newer,
            "WARN  rsync: this rsync loses times: fractions of a second are not corrected where the seconds are the same.",
            newer,
            "WARN  rsync: this rsync loses the capabilities of files that do not belong to root.",
            newer,
            "WARN  rsync: rsync 3.1.2 has known holes when root clones files of hostile users. Use 3.5.0 or later, unless \
             your distribution has fixed this one.",
            "      To do: Update rsync: CVE-2026-53796, -53797, -53799, -53801, -53802 and -53803 are fixed in 3.5.0, \
             CVE-2024-12747 in 3.4.0. Ask your distribution whether it has fixed them in this one; INSTALL.md, \"Which \
             rsync\".",
        ],
    );
}

#[test]
fn an_rsync_between_the_two_mended_ones_has_the_later_holes_alone() {
    let sandbox = healthy();
    answering(&sandbox, "rsync  version 3.4.4  protocol version 32");
    let told = ask(&sandbox, &[]);
    let remedy = told.of_topic("rsync").pop().unwrap().to_owned();
    assert!(remedy.contains("-53803 are fixed in 3.5.0. Ask your distribution"), "{remedy}");
}

#[test]
fn a_missing_or_wrong_rsync_is_what_a_clone_meets() {
    let sandbox = healthy();
    assert_foretold(&sandbox, &["--rsync", "/nonexistent/rsync"], 85).assert(
        "rsync",
        &[
            "FAIL  rsync: rsync was not found (searched: /nonexistent/rsync). Install one with: apt-get install rsync \
             (Debian, Ubuntu) or: dnf install rsync (Fedora). (85)",
            "      To do: install rsync (see INSTALL.md), or name it with `--rsync`",
        ],
    );
    let apple = sandbox
        .script("openrsync", "echo 'openrsync: protocol version 29'; echo 'rsync version 2.6.9 compatible'");
    assert_foretold(&sandbox, &["--rsync", apple.to_str().unwrap()], 86);
}

#[test]
fn a_hanging_rsync_is_interrupted_like_a_clone() {
    let sandbox = healthy();
    let started = sandbox.path().join("started");
    sandbox.rsync(&format!("echo >'{}'; sleep 300", started.display()));
    let arguments = doctor(sandbox.arguments([""; 0]));
    let child = sandbox
        .command(arguments)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    assert!(crate::support::sandbox::wait_until(|| started.exists()));
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    let finished = crate::support::sandbox::Finished::from(child.wait_with_output().unwrap());
    assert_eq!(finished.code, 20, "{finished}");
    assert_eq!(finished.err, "counterpart: The examination was interrupted (SIGTERM).\n");
    assert!(finished.out.lines().all(|line| line.starts_with("OK  ")), "{finished}");
}

#[test]
fn directories_of_ours_that_cannot_be_written_are_warned_of() {
    let sandbox = healthy();
    fs::write(sandbox.host().join("log"), "a file").unwrap();
    fs::write(sandbox.host().join("state"), "a file").unwrap();
    ask(&sandbox, &[]).assert_code(88);
    ask(&sandbox, &["--adopt"])
        .assert_code(0)
        .assert(
            "log",
            &[
                "WARN  log: @/host/log cannot be written: @/host/log is not a directory.",
                "      To do: The clone would continue without a log file. Free some space, or choose another --log-dir.",
            ],
        )
        .assert(
            "state",
            &[
                "WARN  state: @/host/state cannot be written: @/host/state is not a directory.",
                "      To do: The clone would continue, but later runs could not recognise that the destination is not mounted.",
            ],
        )
        .assert_well_but_for(&["log", "state", "both ends", "last run", "schedule"]);
    let other = sandbox.path().join("logs");
    fs::create_dir(&other).unwrap();
    ask(&sandbox, &["--log-dir", other.to_str().unwrap()])
        .assert("log", &["OK    log: @/logs can be written."]);
}

#[test]
fn a_log_directory_without_room_is_warned_of() {
    let sandbox = healthy();
    let dir = sandbox.host().join("log");
    fs::create_dir(&dir).unwrap();
    let _mounted = Mounted::tmpfs(&dir);
    let told = ask(&sandbox, &[]);
    told.assert_code(0).assert("log", &["OK    log: @/host/log can be written."]);
    assert_eq!(
        told.of_topic("free space")[..2],
        [
            "WARN  free space: the disk of the log directory @/host/log has only 16.00 MiB left of 16.00 MiB.",
            "      To do: Make room there, or exclude more with -e.",
        ]
    );
    let told = ask_for(&sandbox, [""; 0]);
    assert_eq!(told.of_topic("free space").len(), 2, "{told:?}");
}

#[test]
fn a_read_only_disk_of_logs_is_warned_of() {
    let sandbox = healthy();
    let dir = sandbox.host().join("log");
    fs::create_dir(&dir).unwrap();
    let _mounted = Mounted::bind_read_only(&dir, &dir);
    let told = ask(&sandbox, &[]);
    told.assert_code(0);
    assert_eq!(told.of_topic("log")[0], "WARN  log: @/host/log cannot be written: Read-only file system.");
}

#[test]
fn a_lock_directory_of_somebody_else_is_what_a_clone_meets() {
    let sandbox = healthy();
    let dir = sandbox.host().join("lock");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    ask(&sandbox, &[]).assert_code(0);
    lchown(&dir, Some(nobody::NOBODY), Some(nobody::NOBODY)).unwrap();
    assert_foretold(&sandbox, &[], 1);
}

#[test]
fn no_name_drives_the_terminal() {
    let sandbox = healthy();
    let missing = sandbox.path().join("two\nlines\x1b[2J");
    let arguments = ["-s", missing.to_str().unwrap(), "-d", sandbox.destination.to_str().unwrap()];
    let told = ask_for(&sandbox, arguments);
    told.assert_code(65);
    assert_eq!(
        told.of_topic("source")[0],
        "FAIL  source: The source @/two\\#012lines\\#033[2J cannot be read: No such file or directory. Check -s; is the \
         volume mounted? (65)"
    );
    assert!(told.lines.iter().all(|line| !line.contains('\x1b')));
}
