//! An rsync that lies, babbles, stops short or is killed.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::fakes::{self, sandbox};
use crate::support::sandbox::Finished;

/// A clone by an rsync that runs this shell text ends with `code`, and is complete only if that is 0.
#[track_caller]
fn ends_with(body: &str, code: i32) -> Finished {
    let sandbox = sandbox(body);
    let finished = sandbox.clone(&[]);
    finished.assert_code(code);
    let has = |suffix: &str| sandbox.marker(suffix).exists();
    assert_eq!((has("completed"), has("error"), has("id")), (code == 0, code != 0, true), "{finished}");
    if code != 0 {
        // What everybody may read does not name the file.
        let public = match code {
            74 => Some(" is full. Make room there, exclude more, or use a larger disk.\n"),
            73 => Some(" names a user that no longer exists. Remove it "),
            _ => None,
        };
        let told = sandbox.read_marker("error");
        match public {
            Some(words) => assert!(told.contains(words), "{told}"),
            None => assert_eq!(finished.err, format!("counterpart: {told}")),
        }
    }
    finished
}

#[test]
fn success_without_statistics_is_13() {
    let missing = "counterpart: rsync ended with 0 but its statistics are missing, so it is not known what was copied.\n";
    ends_with("exit 0", 13).assert_err(missing);
    ends_with("statistics | head -n 5", 13).assert_err(missing);
    ends_with("statistics >&2", 13).assert_err(missing);
    ends_with("statistics | sed 's/[0-9]/x/g'", 13).assert_err(missing);
}

#[test]
fn statistics_do_not_make_a_success_of_a_failure() {
    ends_with("statistics; exit 1", 1)
        .assert_err("counterpart: rsync ended with code 1: syntax or usage error.\n");
    ends_with("statistics; exit 23", 23);
    ends_with("statistics; kill -9 $$", 137);
}

#[test]
fn rsyncs_own_codes_are_passed_on() {
    for code in [3, 4, 5, 10, 11, 12, 13, 14, 15, 16, 19, 20, 21, 22, 23, 24, 25, 30, 35] {
        let finished = ends_with(&format!("statistics; exit {code}"), code);
        assert!(
            finished.err.starts_with(&format!("counterpart: rsync ended with code {code}: ")),
            "{finished}"
        );
    }
    ends_with("statistics; exit 25", 25)
        .assert_log("rsync ended with code 25: the limit of deletions stopped further deletions.");
}

#[test]
fn codes_that_rsync_does_not_have_are_never_a_code_of_ours() {
    for code in [2, 36, 65, 70, 74, 76, 99, 124, 127, 255] {
        let finished = ends_with(&format!("statistics; exit {code}"), 86);
        assert!(
            finished.err.starts_with(&format!("counterpart: rsync ended with code {code}: ")),
            "{finished}"
        );
    }
}

#[test]
fn a_killed_rsync_is_128_and_the_signal() {
    for (signal, code) in [(9, 137), (11, 139), (6, 134), (15, 143)] {
        ends_with(&format!("ulimit -c 0; kill -{signal} $$"), code)
            .assert_err(&format!("counterpart: rsync was killed by signal {signal}.\n"));
    }
}

#[test]
fn an_rsync_that_closes_its_outputs_is_waited_for() {
    let sandbox = sandbox("statistics; exec >&- 2>&-; sleep 1; : >\"$0.done\"");
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert!(sandbox.host().join("rsync/rsync.done").exists());
    ends_with("exec >&- 2>&-; sleep 1", 13);
    ends_with("exec >&- 2>&-; sleep 1; exit 24", 24);
}

#[test]
fn statistics_are_read_wherever_they_stand() {
    ends_with("statistics; echo more; echo error >&2", 0).assert_log("]: more\n").assert_log("]: error\n");
    ends_with("statistics | tr -d '\\n' | head -c 0; statistics | sed 's/$/\\r/'", 0);
}

#[test]
fn a_process_that_rsync_leaves_behind_does_not_hold_the_run_up() {
    let started = Instant::now();
    ends_with("statistics; sleep 20 &", 0);
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// The most memory that a process has used so far, in KiB.
fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn endless_lines_are_cut_and_memory_is_bounded() {
    let endless = "head -c 50000000 /dev/zero | tr '\\0' x";
    let sandbox = sandbox(&format!("{endless} >&2; {endless}; echo; statistics"));
    let arguments = sandbox.arguments(["--log-dir", "/dev/null/none"]);
    let mut run = sandbox.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    let code = loop {
        if let Some(status) = run.try_wait().unwrap() {
            break status.code();
        }
        peak = peak_memory(run.id()).unwrap_or(peak).max(peak);
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(code, Some(0));
    assert!((1..65_536).contains(&peak), "{peak} KiB");
}

#[test]
fn a_hundred_thousand_failing_paths_are_counted_in_bounded_memory() {
    let finished = ends_with(
        "seq -f 'rsync: [sender] send_files failed to open \"/source/%.0f\": Permission denied (13)' 100000 >&2; exit 23",
        23,
    );
    let messages = finished.messages();
    let at = messages.iter().position(|message| *message == "Failing paths:").unwrap();
    assert_eq!(messages[at + 1], "  /source/1");
    assert_eq!(messages[at + 20], "  /source/20");
    assert_eq!(messages[at + 21], "  and 99980 more.");
}

#[test]
fn a_full_destination_is_74_whatever_the_code() {
    for code in [11, 12, 23, 30] {
        let message = "rsync: [receiver] write failed on \"/d/f\": No space left on device (28)";
        ends_with(&format!("echo '{message}' >&2; exit {code}"), 74).assert_log(message);
    }
    ends_with("echo 'rsync: mkstemp \"/d/.f.x\" failed: Disk quota exceeded (122)' >&2; exit 23", 74);
}

#[test]
fn a_name_that_looks_like_an_error_is_none() {
    for line in [
        "rsync: [sender] send_files failed to open \"/s/No space left on device (28)\": Permission denied (13)",
        "file has vanished: \"/s/write failed on \"x\": No space left on device (28)\"",
        "rsync: [generator] failed to set times on \"/d/x: No space left on device (28)\": Operation not permitted (1)",
        "rsync: [sender] send_files failed to open \"/s/unpack_smb_acl: sys_acl_get_info(): Undefined error: 0 (0)\": Permission denied (13)",
        "filename overflows max-path len by 12: /s/x/No space left on device (28)",
    ] {
        let finished = ends_with(&format!("cat >&2 <<'END'\n{line}\nEND\nexit 23"), 23);
        finished.assert_log(line);
    }
    // On standard output names stand alone.
    ends_with("echo 'write failed on \"x\": No space left on device (28)'; statistics; exit 23", 23);
}

#[test]
fn a_missing_user_is_73_for_both_generations_of_the_message() {
    let old = "rsync: unpack_smb_acl: sys_acl_get_info(): Undefined error: 0 (0)";
    ends_with(&format!("echo '{old}' >&2; exit 23"), 73).assert_err(
        "counterpart: An access control entry on the source names a user that no longer exists. Remove it (find it \
         with ls -le, remove it with chmod -a#) and run again.\n",
    );
    let new = "rsync: [sender] get_acl: unpack_smb_acl(Users/old home): Undefined error: 0 (0)";
    ends_with(&format!("echo '{new}' >&2; exit 23"), 73).assert_err(
        "counterpart: An access control entry on the source names a user that no longer exists: Users/old home. \
         Remove it (find it with ls -le, remove it with chmod -a#) and run again.\n",
    );
    ends_with(&format!("echo '{old}' >&2; echo '{new}' >&2; exit 23"), 73)
        .assert_log("exists: Users/old home.");
}

#[test]
fn a_vanished_source_is_71_and_a_vanished_destination_72() {
    let sandbox = sandbox("mv \"$(dirname \"$0\")/../../source\" \"$(dirname \"$0\")/../../moved\"; exit 23");
    let finished = sandbox.clone(&[]);
    finished.assert_code(71);
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    let sandbox = fakes::sandbox(
        "mv \"$(dirname \"$0\")/../../destination\" \"$(dirname \"$0\")/../../moved\"; exit 23",
    );
    let finished = sandbox.clone(&[]);
    finished.assert_code(72);
    assert!(!sandbox.destination.exists(), "nothing is made at a path that leads nowhere");
}

#[test]
fn a_destination_that_another_directory_replaces_is_72_in_spite_of_success() {
    let sandbox =
        sandbox("cd \"$(dirname \"$0\")/../..\"; mv destination moved; mkdir destination; statistics");
    sandbox.clone(&[]).assert_code(72);
    assert_eq!(fs::read_dir(&sandbox.destination).unwrap().count(), 0);
}

#[test]
fn an_rsync_that_cannot_tell_its_version_is_86() {
    for version in [
        "true",
        "echo 'rsync  version 2.6.9  protocol version 29'",
        "echo 'openrsync: protocol version 29'; echo 'rsync version 2.6.9 compatible'",
        "exit 5",
    ] {
        let sandbox = sandbox("true");
        let rsync = sandbox.rsync(version);
        let finished = sandbox.clone(&["--rsync", rsync.to_str().unwrap()]);
        finished.assert_code(86);
        assert!(finished.err.contains("needs Samba's rsync 3.0.9 or later"), "{finished}");
    }
}

#[test]
fn a_test_run_whose_rsync_fails_is_told() {
    let sandbox = sandbox("true");
    sandbox.rsync("case \" $* \" in *' --version '*) echo 'rsync  version 3.5.0  protocol version 32'; exit;; esac; exit 11");
    sandbox.clone(&["-t"]).assert_code(11);
    assert_eq!(sandbox.markers(), [""; 0]);
}
