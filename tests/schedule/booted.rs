//! A system that is really booted, in a container: its timers fire, its services clone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::sandbox::PRODUCT;

/// What the script in the container wrote.
struct Results(PathBuf);

impl Results {
    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Asserts how a command ended and returns what it printed, on standard output or else on standard error.
    #[track_caller]
    fn of(&self, name: &str, code: &str) -> String {
        let [ended, out, err] = ["code", "out", "err"].map(|kind| self.text(&format!("{name}.{kind}")));
        assert_eq!(ended.trim(), code, "{name}: {out}{err}");
        if out.is_empty() { err } else { out }
    }
}

/// Boots this machine's own system above a layer in memory and runs a script in it.
fn boot(dir: &Path, inside: &str) -> Results {
    fs::write(dir.join("inside.sh"), inside).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schedule/boot.sh");
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "300", "unshare", "--mount", "bash"]).arg(script).arg(dir).arg(PRODUCT);
    let output = command.output().unwrap();
    let results = Results(dir.join("results"));
    let log = fs::read_to_string(results.0.join("inside.log")).unwrap_or_default();
    let told = format!(
        "{}{}\n{log}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(results.0.join("done").exists(), "the container (root and systemd-container are needed): {told}");
    assert!(!results.0.join("gave-up").exists(), "{}: {told}", results.text("gave-up"));
    results
}

#[test]
fn timers_fire_and_their_clones_are_made() {
    let dir = tempfile::Builder::new().prefix("counterpart-test-").tempdir().unwrap();
    let results = boot(dir.path(), include_str!("inside.sh"));
    assert_eq!(results.of("none", "0"), "No clone is scheduled.\n");

    // It fired by itself, the disk was mounted by it, and every odd character of the paths arrived.
    assert!(
        results.of("minute", "0").starts_with("The clone minute is scheduled: every minute.\nNext run:    ")
    );
    assert_eq!(results.text("minute.err"), "");
    let markers = ["completed", "id", "stats", "stats.json"]
        .map(|marker| format!(".me.jedda.counterpart.{marker}\n"))
        .concat();
    assert_eq!(results.text("cloned"), format!("{markers}sub\nsub/file\n"));
    assert!(results.of("again", "1").contains("There is a schedule minute already."));

    // A run that was missed is made up for; the machine is kept awake meanwhile, and the clone gives way.
    results.of("missed", "0");
    let inhibitors = results.text("inhibitors");
    let held = |line: &str| {
        line.starts_with("Counterpart ") && line.contains(" sleep:idle ") && line.ends_with(" block")
    };
    assert!(inhibitors.lines().any(held), "{inhibitors}");
    assert_eq!(results.text("priority"), "Nice=10\nIOSchedulingClass=3\nCPUSchedulingPolicy=3\n");
    let running = results.of("running", "0");
    assert!(
        running.lines().any(|line| line.starts_with("missed ") && line.contains("  running since ")),
        "{running}"
    );
    for name in ["remove-running", "run-running"] {
        assert!(results.of(name, "1").contains("The clone missed is running at the moment."));
    }

    let list = results.of("list", "0");
    for name in ["minute ", "missed "] {
        assert!(
            list.lines().any(|line| line.starts_with(name) && line.contains(" UTC  success, ")),
            "{list}"
        );
    }
    assert!(results.of("show", "0").contains("\nLast result: success, "));
    let timers = results.of("timers", "0");
    assert!(
        timers.contains("counterpart-minute.timer") && timers.contains("counterpart-missed.timer"),
        "{timers}"
    );
    assert!(results.of("replace", "0").contains("every Sun at 03:30"));
    assert!(results.of("replaced", "0").contains("OnCalendar=Sun *-*-* 03:30:00 ;"));

    // Without its disk nothing is written below the mount point, and that can be seen.
    results.of("run", "0");
    let no_disk = results.of("no-disk", "0");
    assert!(
        no_disk.lines().any(|line| line.starts_with("minute ") && line.contains("failed with code 88, "))
    );
    assert_eq!(results.text("mount-point"), "");
    results.of("run-bad", "0");
    assert!(
        results
            .of("bad", "0")
            .lines()
            .any(|line| line.starts_with("missed ") && line.contains("failed with code 68, "))
    );

    // A run that is skipped on battery is no failure, and the last result is still known.
    for name in ["on-ac", "run-ac", "run-skipped", "remove-ac"] {
        results.of(name, "0");
    }
    assert_eq!(results.of("is-failed", "1"), "inactive\n");
    let skipped = results.of("skipped", "0");
    let has_both =
        |line: &str| line.contains("  skipped (condition not met), ") && line.contains("; before: success, ");
    assert!(skipped.lines().any(|line| line.starts_with("ac ") && has_both(line)), "{skipped}");
    assert!(!results.text("ac").contains("completed"), "{}", results.text("ac"));

    assert!(results.of("mine", "1").contains("counterpart-mine.service is left alone"));
    assert!(
        results
            .of("else", "1")
            .contains("/run/systemd/system/counterpart-else.service is already a unit of that name.")
    );

    // Nothing is left of what was removed.
    for name in ["remove-minute", "remove-missed"] {
        results.of(name, "0");
    }
    assert_eq!(results.of("empty", "0"), "No clone is scheduled.\n");
    let left = results.text("left");
    assert!(left.contains("counterpart-mine.service"), "{left}");
    assert!(!left.contains("minute") && !left.contains("missed"), "{left}");
    assert_eq!((results.text("stamps").as_str(), results.text("units").as_str()), ("", ""));
}

/// The same steps that `packaging/test.sh` takes with the package.
#[test]
fn a_new_user_is_told_by_mail_what_to_do() {
    let dir = tempfile::Builder::new().prefix("counterpart-test-").tempdir().unwrap();
    let inside = [
        "exec >/results/steps 2>&1",
        "mkdir -p /usr/share/doc/counterpart/examples",
        "cat >/usr/share/doc/counterpart/examples/notify.sh <<'NOTIFY'",
        include_str!("../../examples/notify.sh").trim_end(),
        "NOTIFY",
        "cat >/new-user.sh <<'STEPS'",
        include_str!("../../packaging/new-user.sh").trim_end(),
        "STEPS",
        "bash /new-user.sh || cp /results/steps /results/gave-up",
        "touch /results/done",
    ];
    let results = boot(dir.path(), &(inside.join("\n") + "\n"));
    let mails = results.text("mail");
    assert!(mails.contains("\nWhat to do: make room at the destination"), "{mails}");
    assert!(results.text("screen").contains("The clone is complete, after "));
}
