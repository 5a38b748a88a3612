//! The last run and the jobs.

use std::fs;
use std::os::unix::fs::symlink;

use crate::doctor::patient::{ask, healthy};
use crate::support::sandbox::Sandbox;

#[test]
fn the_last_run_is_told() {
    let sandbox = healthy();
    let last = |sandbox: &Sandbox| ask(sandbox, &[]).of_topic("last run").join("\n");
    sandbox.clone(&[]).assert_code(0);
    let told = last(&sandbox);
    assert!(told.starts_with("OK    last run: it succeeded, 20"), "{told}");
    let script = sandbox.script("fail", "exit 3");
    sandbox.clone(&["-o", script.to_str().unwrap()]).assert_code(0);
    let told = last(&sandbox);
    assert!(told.starts_with("WARN  last run: it succeeded with warnings, 20"), "{told}");
    assert!(told.contains(", with code 0.\n      To do: Read @/host/log/Counterpart_"), "{told}");
    sandbox.clone(&["-e", "/nonexistent"]).assert_code(67);
    let told = last(&sandbox);
    assert!(told.starts_with("WARN  last run: it failed, 20"), "{told}");
    let reason = ", with code 67. The excludes file /nonexistent cannot be read: No such file or directory. Check -e.\n";
    assert!(told.contains(reason), "{told}");
    for entry in fs::read_dir(sandbox.host().join("state")).unwrap() {
        fs::write(entry.unwrap().path(), "{").unwrap();
    }
    let told = ask(&sandbox, &[]);
    told.assert_code(88);
    let last = told.of_topic("last run")[0].to_owned();
    assert!(
        last.starts_with("WARN  last run: this machine's record of this destination cannot be read: "),
        "{last}"
    );
    ask(&sandbox, &["--adopt"]).assert_code(0);
}

#[test]
fn jobs_of_systemd_are_found() {
    let sandbox = healthy();
    let units = sandbox.host().join("jobs");
    fs::create_dir_all(units.join("timers.target.wants")).unwrap();
    fs::write(units.join("counterpart.timer"), "").unwrap();
    fs::write(units.join("other.timer"), "").unwrap();
    let found = [
        "OK    schedule: there are jobs for Counterpart; whether they make this clone was not checked.",
        "        @/host/jobs/counterpart.timer",
    ];
    let idle = [
        "WARN  schedule: @/host/jobs/counterpart.timer is installed but not enabled.",
        "      To do: Enable it with systemctl enable --now, or remove it.",
    ];
    ask(&sandbox, &[]).assert_code(0).assert("schedule", &[idle, found].concat());
    symlink("../counterpart.timer", units.join("timers.target.wants/counterpart.timer")).unwrap();
    ask(&sandbox, &[]).assert_code(0).assert("schedule", &found).assert_well_but_for(&[]);
}

#[test]
fn jobs_of_cron_are_found() {
    let sandbox = healthy();
    let dir = sandbox.host().join("system-root/etc/cron.d");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("clone"), "# counterpart -s / -d /mnt\n").unwrap();
    ask(&sandbox, &[]).assert(
        "schedule",
        &[
            "WARN  schedule: no scheduled clone was found.",
            "      To do: Have the clone made every night: counterpart schedule install -- -s SOURCE -d DESTINATION",
        ],
    );
    fs::write(dir.join("clone"), "30 3 * * * root /usr/local/sbin/counterpart -s / -d /mnt\n").unwrap();
    ask(&sandbox, &[]).assert(
        "schedule",
        &[
            "OK    schedule: there are jobs for Counterpart; whether they make this clone was not checked.",
            "        @/host/system-root/etc/cron.d/clone",
        ],
    );
}
