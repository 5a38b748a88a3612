//! The log.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;

use regex::Regex;

use crate::support::disk::Tmpfs;
use crate::support::fakes;
use crate::support::sandbox::{Finished, Sandbox};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox
}

#[test]
fn name_mode_and_lines_are_the_originals() {
    let sandbox = sandbox();
    let finished = sandbox.clone(&[]);
    finished.assert_code(0).assert_err("");
    let logs = sandbox.logs();
    assert_eq!(logs.len(), 1);
    let name = logs[0].file_name().unwrap().to_str().unwrap();
    assert!(
        Regex::new(r"^Counterpart_[0-9][0-9]-[0-9][0-9]-[0-9][0-9]_[0-9][0-9]-[0-9][0-9]-[0-9][0-9]$")
            .unwrap()
            .is_match(name),
        "{name}"
    );
    assert_eq!(fs::metadata(&logs[0]).unwrap().permissions().mode() & 0o7777, 0o600);
    let text = fs::read_to_string(&logs[0]).unwrap();
    assert_eq!(text, finished.out, "the screen shows the same");
    let line =
        Regex::new(r"^[A-Z][a-z]{2} [0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9] Counterpart\[[0-9]+\]: ")
            .unwrap();
    for found in text.lines() {
        assert!(line.is_match(found), "{found:?}");
    }
    assert!(text.lines().last().unwrap().ends_with("]: Counterpart exited with code 0."));
}

#[test]
fn the_introduction_names_what_matters() {
    let sandbox = sandbox();
    let real = which::which("rsync").unwrap();
    let finished = sandbox.clone(&["-g", "org.example", "--rsync", real.to_str().unwrap()]);
    finished.assert_code(0);
    let messages = finished.messages();
    assert_eq!(messages[0], "Counterpart 2.0.0 on testhost, Linux.");
    assert!(messages[1].starts_with(&format!("rsync: {}, version 3.", real.display())), "{finished}");
    assert_eq!(messages[2], format!("Source: {}", sandbox.source.display()));
    assert_eq!(messages[3], format!("Destination: {}", sandbox.destination.display()));
    assert_eq!(messages[4], "Prefix: org.example");
}

#[test]
fn what_an_rsync_lacks_is_told() {
    let sandbox = sandbox();
    sandbox.rsync(
        "case \" $* \" in\n\
         *--open-noatime*|*--acls*) exit 1;;\n\
         *' --version '*) echo 'rsync  version 3.1.2  protocol version 31'; exit;;\n\
         *' --dry-run '*) exit;;\n\
         esac\n\
         echo \"$*\" >&2; exit 12",
    );
    let finished = sandbox.clone(&[]);
    finished.assert_code(12);
    finished.assert_log("Warning: this rsync lacks --acls: access control lists are not cloned.\n");
    finished.assert_log("Warning: this rsync lacks --open-noatime: access times at the source change.\n");
    finished.assert_log("Warning: this rsync lacks --modify-window=-1: ");
    finished.assert_log("Warning: rsync 3.1.2 has known holes ");
    let options = finished.messages().into_iter().find(|message| message.starts_with("--archive")).unwrap();
    assert!(options.contains(" --xattrs "), "{options}");
    for option in ["--acls", "--open-noatime", "--modify-window"] {
        assert!(!options.contains(option), "{options}");
    }
}

#[test]
fn two_runs_within_a_second_get_two_logs() {
    let sandbox = sandbox();
    let runs: Vec<_> = (0..3)
        .map(|number| {
            let other = sandbox.path().join(format!("other{number}"));
            fs::create_dir(&other).unwrap();
            let mut arguments = sandbox.arguments([] as [&str; 0]);
            arguments[3] = other.into();
            sandbox.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut run in runs {
        assert_eq!(run.wait().unwrap().code(), Some(0));
    }
    let logs = sandbox.logs();
    assert_eq!(logs.len(), 3, "{logs:?}");
    let name = Regex::new(
        r"^Counterpart_[0-9][0-9]-[0-9][0-9]-[0-9][0-9]_[0-9][0-9]-[0-9][0-9]-[0-9][0-9](_[0-9]+)?$",
    )
    .unwrap();
    for log in logs {
        assert!(name.is_match(log.file_name().unwrap().to_str().unwrap()), "{log:?}");
        let text = fs::read_to_string(log).unwrap();
        assert_eq!(text.matches("Counterpart exited with code 0.").count(), 1, "{text}");
    }
}

#[test]
fn a_log_of_the_same_second_is_not_written_over() {
    let sandbox = sandbox();
    let dir = sandbox.host().join("log");
    fs::create_dir(&dir).unwrap();
    let now = chrono::Local::now();
    for second in 0..60 {
        let time = now + chrono::TimeDelta::seconds(second);
        fs::write(dir.join(time.format("Counterpart_%y-%m-%d_%H-%M-%S").to_string()), "another's").unwrap();
    }
    sandbox.clone(&["--keep-logs", "0"]).assert_code(0).assert_err("");
    let (others, ours): (Vec<_>, Vec<_>) =
        sandbox.logs().into_iter().partition(|log| fs::read_to_string(log).unwrap() == "another's");
    assert_eq!((others.len(), ours.len()), (60, 1));
    assert!(ours[0].to_str().unwrap().ends_with("_2"), "{ours:?}");
}

#[test]
fn the_log_directory_is_made() {
    let sandbox = sandbox();
    let directory = sandbox.path().join("deep/er/log");
    sandbox.clone(&["--log-dir", directory.to_str().unwrap()]).assert_code(0).assert_err("");
    // With the list of changes.
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
    assert!(sandbox.logs().is_empty());
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o022, 0);
}

/// The run goes on with one warning on standard error, and nothing is written behind this directory.
#[track_caller]
fn goes_on_without(sandbox: &Sandbox, directory: &Path, why: &str) {
    let finished = sandbox.clone(&["--log-dir", directory.to_str().unwrap()]);
    finished.assert_code(0).assert_err(&format!(
        "counterpart: The log in {} cannot be written: {why}. The run continues without it.\n",
        directory.display()
    ));
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    assert!(sandbox.logs().is_empty());
}

#[test]
fn a_log_that_cannot_be_written_does_not_stop_the_clone() {
    let sandbox = sandbox();
    let dir = sandbox.path();
    let (link, file, real) = (dir.join("link"), dir.join("file"), dir.join("real"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    fs::write(&file, "content").unwrap();
    goes_on_without(&sandbox, &link, "Not a directory");
    assert_eq!(fs::read_dir(&real).unwrap().count(), 0);
    goes_on_without(&sandbox, &file, "Not a directory");
    assert_eq!(fs::read_to_string(&file).unwrap(), "content");
    goes_on_without(&sandbox, &file.join("below"), "Not a directory");
    let disk = Tmpfs::new("size=1m");
    fs::create_dir(disk.path().join("log")).unwrap();
    disk.remount_read_only();
    goes_on_without(&sandbox, &disk.path().join("log"), "Read-only file system");
}

#[test]
fn a_log_that_fills_its_disk_does_not_stop_the_clone() {
    let sandbox = sandbox();
    let disk = Tmpfs::new("size=64k");
    let script = sandbox.script("pre", "yes 'a line of forty bytes, a line of forty by' | head -n 4000");
    let finished =
        sandbox.clone(&["-p", script.to_str().unwrap(), "--log-dir", disk.path().to_str().unwrap()]);
    finished.assert_code(0);
    assert_eq!(finished.err.lines().count(), 1, "{}", finished.err);
    assert!(finished.err.contains("cannot be written any more: No space left on device. The run continues."));
    assert_eq!(finished.out.matches("a line of forty").count(), 8000);
}

#[test]
fn a_closed_standard_output_does_not_stop_the_clone() {
    let sandbox = sandbox();
    let mut command = sandbox.command(sandbox.arguments([] as [&str; 0]));
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(run.stdout.take());
    let finished = Finished::from(run.wait_with_output().unwrap());
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
    assert!(fs::read_to_string(&sandbox.logs()[0]).unwrap().ends_with("Counterpart exited with code 0.\n"));
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = sandbox.command(sandbox.arguments([] as [&str; 0])).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_failure_is_logged_once_and_told_on_standard_error() {
    let sandbox =
        fakes::sandbox("echo 'rsync error: something (code 12) at main.c(1) [sender=3.5.0]' >&2; exit 12");
    let finished = sandbox.clone(&[]);
    let sentence =
        "rsync ended with code 12: error in the protocol's data stream. The failing paths are in the log.";
    finished.assert_code(12).assert_err(&format!("counterpart: {sentence}\n"));
    assert_eq!(finished.out.matches(sentence).count(), 1, "{finished}");
    finished.assert_log("rsync error: something (code 12)");
}
