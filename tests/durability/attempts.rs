//! `--retries`: another attempt after a possibly transient failure, and only then.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::audit::{Options, assert_same};
use crate::support::sandbox::{Finished, Sandbox, wait_until};

const RSYNC: &str = "/usr/bin/rsync";

/// Each transfer is counted in the ledger; `body` runs in its place and knows the attempt as `$n`.
fn sandbox(body: &str) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    sandbox.write("directory/file", "content");
    let ledger = sandbox.path().join("ledger");
    let count = format!("echo transfer >>'{0}'; n=$(wc -l <'{0}')", ledger.display());
    sandbox.rsync(&format!("case \" $* \" in *' --stats '*) {count}; {body} ;; esac\nexec {RSYNC} \"$@\""));
    (sandbox, ledger)
}

/// Whether the log says that the next attempt is waited for.
fn waits(sandbox: &Sandbox) -> bool {
    let said = |log: &PathBuf| fs::read_to_string(log).unwrap().contains(" The next begins in ");
    sandbox.logs().last().is_some_and(said)
}

fn transfers(ledger: &PathBuf) -> usize {
    fs::read_to_string(ledger).unwrap_or_default().lines().count()
}

#[test]
fn a_failure_that_passes_is_no_failure() {
    for code in [10, 12, 30, 35] {
        let (sandbox, ledger) = sandbox(&format!("[ $n -ge 3 ] || exit {code}"));
        let run = sandbox.clone(&["--retries", "2", "--retry-wait", "1ms"]);
        run.assert_code(0).assert_err("");
        assert_eq!(transfers(&ledger), 3, "{run}");
        assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
        assert!(sandbox.read_marker("stats").contains("\nExit Code: 0\n"));
        assert_same(&sandbox.source, &sandbox.destination, &Options::default());
        let told: Vec<&str> =
            run.messages().into_iter().filter(|message| message.starts_with("Attempt ")).collect();
        assert_eq!(told.len(), 4, "{run}");
        assert!(
            told[0].starts_with("Attempt 1 of 3: ") && told[0].ends_with(" The next begins in 1ms."),
            "{run}"
        );
        assert_eq!([told[1], told[3]], ["Attempt 2 of 3 begins.", "Attempt 3 of 3 begins."]);
    }
}

#[test]
fn the_attempts_come_to_an_end() {
    let (sandbox, ledger) = sandbox("exit 12");
    let run = sandbox.clone(&["--retries", "2", "--retry-wait", "1ms"]);
    run.assert_code(12);
    assert_eq!(transfers(&ledger), 3, "{run}");
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
}

#[test]
fn without_the_option_there_is_one_attempt() {
    let (sandbox, ledger) = sandbox("exit 30");
    sandbox.clone(&[]).assert_code(30).assert_no_log("Attempt ");
    assert_eq!(transfers(&ledger), 1);
}

#[test]
fn what_will_not_pass_is_not_tried_again() {
    let full = "echo 'rsync: [receiver] write failed on \"/x\": No space left on device (28)' >&2; exit 12";
    for (body, code) in
        [("exit 1", 1), ("exit 11", 11), ("exit 23", 23), ("exit 0", 13), ("kill -9 $$", 137), (full, 74)]
    {
        let (sandbox, ledger) = sandbox(body);
        let run = sandbox.clone(&["--retries", "5", "--retry-wait", "1ms"]);
        run.assert_code(code);
        assert_eq!(transfers(&ledger), 1, "{body}: {run}");
    }
}

#[test]
fn a_source_that_went_away_is_not_tried_again() {
    let (mut sandbox, ledger) = sandbox("mv \"$source\" \"$source.gone\"; exit 12");
    let script = fs::read_to_string(sandbox.host().join("rsync/rsync")).unwrap();
    sandbox.source = sandbox.path().join("source");
    let with_source = script.replacen('\n', &format!("\nsource='{}'\n", sandbox.source.display()), 1);
    fs::write(sandbox.host().join("rsync/rsync"), with_source).unwrap();
    let run = sandbox.clone(&["--retries", "5", "--retry-wait", "1ms"]);
    run.assert_code(71);
    assert_eq!(transfers(&ledger), 1, "{run}");
}

#[test]
fn a_destination_that_is_replaced_during_the_wait_is_72() {
    let (sandbox, ledger) = sandbox("exit 12");
    let mut child = sandbox.command(sandbox.arguments(["--retries", "1", "--retry-wait", "2s"]));
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Not before the first attempt has been checked, which looks at the destination too.
    assert!(wait_until(|| waits(&sandbox)));
    // The unmounting of a disk looks the same: another directory is at the path.
    fs::rename(&sandbox.destination, sandbox.path().join("aside")).unwrap();
    fs::create_dir(&sandbox.destination).unwrap();
    let run = Finished::from(child.wait_with_output().unwrap());
    run.assert_code(72);
    assert_eq!(transfers(&ledger), 1, "{run}");
    assert!(
        sandbox.names().is_empty() && sandbox.markers().is_empty(),
        "the other directory stays as it was: {run}"
    );
}

#[test]
fn a_signal_ends_the_wait() {
    let (sandbox, ledger) = sandbox("exit 12");
    let mut child = sandbox.command(sandbox.arguments(["--retries", "1", "--retry-wait", "1h"]));
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(wait_until(|| waits(&sandbox)));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let run = Finished::from(child.wait_with_output().unwrap());
    run.assert_code(20).assert_err("counterpart: The clone was interrupted (SIGTERM).\n");
    assert_eq!(transfers(&ledger), 1, "{run}");
}

#[test]
fn times_that_are_none_are_refused() {
    let (sandbox, ledger) = sandbox("exit 12");
    for bad in ["60", "", "-1s", "2 fortnights", "25h"] {
        let run = sandbox.clone(&["--retries", "1", &format!("--retry-wait={bad}")]);
        assert_eq!(run.code, 2, "{bad:?}: {run}");
    }
    assert_eq!(sandbox.clone(&["--retries", "101"]).code, 2);
    assert_eq!(transfers(&ledger), 0);
}

#[test]
fn a_stall_timeout_is_a_time_or_off() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    for good in ["0", "off", "0s", "90s", "2h"] {
        sandbox.clone(&["--stall-timeout", good]).assert_code(0);
    }
    for bad in ["soon", "-1", "1", ""] {
        let run = sandbox.clone(&[&format!("--stall-timeout={bad}")]);
        assert_eq!(run.code, 2, "{run}");
    }
}
