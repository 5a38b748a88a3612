//! Schedules of a clone whose destination is named by what it is.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::named::scene::{label, uuid};
use crate::support::disk::BareDisk;
use crate::support::sandbox::{Finished, Sandbox};

/// A machine with a systemd that keeps a ledger.
fn machine() -> Sandbox {
    let sandbox = crate::named::scene::sandbox();
    fs::create_dir(sandbox.host().join("jobs")).unwrap();
    let script =
        format!("DIRECTORY='{}'\n{}", sandbox.path().display(), include_str!("../schedule/systemctl.sh"));
    sandbox.tool("systemctl", &script);
    sandbox
}

fn install(sandbox: &Sandbox, options: &[&str], destination: &str, more: &[&str]) -> Finished {
    let source = sandbox.source.to_str().unwrap();
    let clone = ["--", "-s", source, "-d", destination];
    sandbox.run([&["schedule", "install"], options, &clone, more].concat())
}

fn unit(sandbox: &Sandbox, name: &str) -> String {
    fs::read_to_string(sandbox.host().join("jobs").join(name)).unwrap()
}

/// What systemd was told since this was last asked, without the questions.
fn ledger(sandbox: &Sandbox) -> Vec<String> {
    let file = sandbox.path().join("ledger");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, "").unwrap();
    text.lines().filter(|line| !line.starts_with("show ")).map(str::to_owned).collect()
}

fn verify(sandbox: &Sandbox) {
    let units =
        ["service", "timer"].map(|kind| sandbox.host().join(format!("jobs/counterpart-clone.{kind}")));
    let mut command = Command::new("systemd-analyze");
    let output = command.args(["verify", "--man=no", "--recursive-errors=no"]).args(units).output().unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !complaints.contains("counterpart"), "{complaints}");
}

/// The device unit of a path, by systemd's own tool.
fn device(path: &str) -> String {
    let output = Command::new("systemd-escape").args(["--path", "--suffix=device", path]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_units_wait_for_no_mount() {
    let sandbox = machine();
    let disk = BareDisk::new("ext4", &[]);
    let finished = install(&sandbox, &[], &uuid(&disk), &[]);
    assert_eq!(finished.code, 0, "{finished}");
    let service = unit(&sandbox, "counterpart-clone.service");
    assert!(
        !service.contains("Wants=") && !service.contains("After=") && !service.contains("[Install]"),
        "{service}"
    );
    assert!(service.contains(&format!("--destination {}\n", uuid(&disk))), "{service}");
    assert_eq!(
        ledger(&sandbox),
        ["daemon-reload", "enable counterpart-clone.timer", "restart counterpart-clone.timer"]
    );
    verify(&sandbox);
    assert!(disk.is_free());
}

#[test]
fn the_disk_starts_it_when_it_is_plugged_in() {
    let sandbox = machine();
    let label = format!("{} x", label());
    let disk = BareDisk::new("ext4", &["-L", &label]);
    let tag = format!("LABEL={label}");
    let finished = install(&sandbox, &["--when-plugged-in"], &tag, &["--skip-if-missing"]);
    assert_eq!(finished.code, 0, "{finished}");
    assert!(
        finished.out.starts_with(
            "The clone clone is scheduled: every day at 03:30, and when its disk is plugged in.\n"
        )
    );
    let service = unit(&sandbox, "counterpart-clone.service");
    let link = format!("/dev/disk/by-label/{}", label.replace(' ', "\\x20"));
    assert!(service.ends_with(&format!("WantedBy={}\n", device(&link))), "{service}");
    assert_eq!(
        ledger(&sandbox),
        [
            "daemon-reload",
            "enable counterpart-clone.timer",
            "enable counterpart-clone.service",
            "restart counterpart-clone.timer"
        ]
    );
    verify(&sandbox);
    // Another disk takes its place, and then none.
    let by_uuid = uuid(&disk);
    let finished = install(&sandbox, &["--when-plugged-in", "--replace"], &by_uuid, &[]);
    assert_eq!(finished.code, 0, "{finished}");
    assert_eq!(ledger(&sandbox)[0], "disable counterpart-clone.service");
    let link = format!("/dev/disk/by-uuid/{}", disk.tag("UUID"));
    assert!(unit(&sandbox, "counterpart-clone.service").ends_with(&format!("WantedBy={}\n", device(&link))));
    let finished = sandbox.run(["schedule", "remove", "clone"]);
    assert_eq!(finished.code, 0, "{finished}");
    let told = ledger(&sandbox);
    assert!(told.contains(&"disable counterpart-clone.service".to_owned()), "{told:?}");
    assert!(!Path::new(&sandbox.host().join("jobs/counterpart-clone.service")).exists());
}

#[test]
fn a_path_has_no_disk_that_could_be_plugged_in() {
    let sandbox = machine();
    let destination = sandbox.destination.to_str().unwrap().to_owned();
    let finished = install(&sandbox, &["--when-plugged-in"], &destination, &[]);
    assert_eq!(finished.code, 2, "{finished}");
    assert!(finished.err.contains("needs a destination that is named by what it is"), "{finished}");
}

#[test]
fn a_disk_that_is_away_is_a_warning_and_two_are_a_refusal() {
    let sandbox = machine();
    let label = label();
    let tag = format!("LABEL={label}");
    let finished = install(&sandbox, &[], &tag, &[]);
    assert_eq!(finished.code, 0, "{finished}");
    assert!(finished.err.contains(&format!("the destination {tag} is not there now")), "{finished}");
    let _disks = [BareDisk::new("ext4", &["-L", &label]), BareDisk::new("ext4", &["-L", &label])];
    let finished = install(&sandbox, &["--replace"], &tag, &[]);
    assert_eq!(finished.code, 66, "{finished}");
    assert!(finished.err.contains("2 devices have this name"), "{finished}");
}

#[test]
fn launchd_starts_it_at_every_mount_so_that_it_has_to_skip_other_disks() {
    let sandbox = Sandbox::mac("14.5");
    sandbox.write("file", "content");
    let with = install(&sandbox, &["--when-plugged-in", "--print"], "LABEL=Clone", &["--skip-if-missing"]);
    assert_eq!(with.code, 0, "{with}");
    let words: String = with.out.split_whitespace().collect();
    assert!(words.contains("<key>StartOnMount</key><true/>"), "{with}");
    let without = install(&sandbox, &["--when-plugged-in", "--print"], "LABEL=Clone", &[]);
    assert_eq!(without.code, 2, "{without}");
    assert!(without.err.contains("give --skip-if-missing to the clone"), "{without}");
    let plain = install(&sandbox, &["--print"], "LABEL=Clone", &[]);
    assert!(!plain.out.contains("StartOnMount"), "{plain}");
}
