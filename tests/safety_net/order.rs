//! Which net is the newest, and how old each is, whatever the clock says.

use std::fs;

use crate::safety_net::scene::{AGES, Roomy, beside, make_net, nets, nets_dir, restore};
use crate::support::clock::clone_at;
use crate::support::sandbox::{Finished, Sandbox};

/// A clone of `file` with this text.
fn cloned(text: &str) -> Roomy {
    let sandbox = Roomy::new();
    sandbox.write("file", text);
    sandbox.clone(&[]).assert_code(0);
    sandbox
}

/// Restores `file` and returns its contents.
fn restored(sandbox: &Sandbox, more: &[&str]) -> String {
    let to = sandbox.path().join("to");
    if to.exists() {
        fs::remove_dir_all(&to).unwrap();
    }
    let to = beside(sandbox, "to");
    let run = restore(sandbox, ["--to", to.to_str().unwrap()].iter().chain(more).chain(&["file"]));
    assert_eq!(run.code, 0, "{run}");
    fs::read_to_string(to.join("file")).unwrap()
}

/// Clones with a net where it is so many hours later than in Greenwich.
fn clone_east_of_greenwich(sandbox: &Sandbox, hours: u32) -> Finished {
    let mut command = sandbox.command(sandbox.arguments(["--safety-net"]));
    Finished::from(command.env("TZ", format!("HERE-{hours}")).output().unwrap())
}

#[test]
fn the_end_of_daylight_saving_time_changes_no_order() {
    let sandbox = cloned("one");
    for (text, hours) in [("version two", 2), ("version three", 1)] {
        sandbox.write("file", text);
        clone_east_of_greenwich(&sandbox, hours).assert_code(0);
    }
    let nets = nets(&sandbox);
    assert_eq!(nets.iter().map(|name| &name[..7]).collect::<Vec<_>>(), ["000001_", "000002_"]);
    assert!(nets.iter().all(|name| name.ends_with('Z') && name.len() == 27), "{nets:?}");
    assert_eq!(restored(&sandbox, &[]), "version two");
    assert_eq!(restored(&sandbox, &["--at", "latest"]), "version two");
    for first in ["1", "000001", nets[0].as_str()] {
        assert_eq!(restored(&sandbox, &["--at", first]), "one", "{first}");
    }
}

#[test]
fn a_wrong_clock_and_another_host_change_no_order() {
    let sandbox = cloned("version 0");
    let clocks = ["+0d", "+3650d", "-1d", "-3650d", "+20000d", "+0d"];
    for (number, clock) in (1..).zip(clocks) {
        sandbox.write("file", &format!("version {number} of this file, and longer {}", "x".repeat(number)));
        clone_at(&sandbox, clock, &["--safety-net"]).assert_code(0);
        let expected = if number == 1 {
            "version 0".to_owned()
        } else {
            format!("version {} of this file, and longer {}", number - 1, "x".repeat(number - 1))
        };
        assert_eq!(restored(&sandbox, &[]), expected, "{clock}");
    }
    assert_eq!(nets(&sandbox).len(), clocks.len());
}

#[test]
fn nets_of_earlier_versions_are_older_and_are_still_read() {
    let sandbox = cloned("one");
    make_net(&sandbox, "2099-01-02_03-04-05");
    make_net(&sandbox, "2026-01-02_03-04-05");
    make_net(&sandbox, "2026-01-02_03-04-05_2");
    sandbox.write("file", "version two");
    sandbox.clone(&["--safety-net=36500"]).assert_code(0);
    let names = nets(&sandbox);
    assert_eq!(names.len(), 4);
    assert!(names[3].starts_with("000001_"), "{names:?}");
    assert_eq!(restored(&sandbox, &[]), "one");
    assert_eq!(restored(&sandbox, &["--at", "2026-01-02_03-04-05"]), "2026-01-02_03-04-05");
    let list = restore(&sandbox, ["--list"]);
    let lines: Vec<&str> = list.out.lines().collect();
    assert!(lines[0].starts_with("2026-01-02_03-04-05  1 entry"), "{list}");
    assert!(lines[2].starts_with("2099-01-02_03-04-05  1 entry"), "{list}");
    // The time of the new one is shown as it is here.
    assert!(lines[3].starts_with(&format!("{}  20", names[3])), "{list}");
    let local = lines[3].split("  ").nth(1).unwrap();
    assert_eq!(local.len(), "2026-11-20 02:30:00 +0100".len(), "{list}");
    let at = local[..19].replace(' ', "_").replace(':', "-");
    assert_eq!(restored(&sandbox, &["--at", &at]), "one");
}

#[test]
fn a_clock_in_2036_removes_no_net() {
    let sandbox = cloned("version 0");
    for number in 1..=3 {
        sandbox.write("file", &"x".repeat(number));
        sandbox.clone(&["--safety-net"]).assert_code(0);
    }
    let names = nets(&sandbox);
    // Night after night, and then it is right again.
    for clock in ["+3650d", "+3651d", "+3652d", "+0d", "+1d"] {
        clone_at(&sandbox, clock, &["--safety-net"]).assert_code(0);
        assert_eq!(nets(&sandbox), names, "{clock}");
    }
    let run = clone_at(&sandbox, "+3650d", &["--safety-net"]);
    run.assert_log("Warning: by this machine's clock the last clone with a safety net was made 36");
    assert_eq!(nets(&sandbox), names);
}

#[test]
fn nets_still_get_old_one_night_after_the_other() {
    let sandbox = cloned("version 0");
    for day in 0..7 {
        sandbox.write("file", &"x".repeat(day + 1));
        // Each a minute later than the day before.
        let finished = clone_at(&sandbox, &format!("+{}m", day * (24 * 60 + 1)), &["--safety-net=4"]);
        finished.assert_code(0).assert_no_warning();
    }
    // Those of the first three days are older than four days on the seventh, the last of them by some minutes.
    let names = nets(&sandbox);
    assert_eq!(
        names.iter().map(|name| &name[..6]).collect::<Vec<_>>(),
        ["000004", "000005", "000006", "000007"]
    );
}

#[test]
fn ages_that_cannot_be_read_remove_nothing() {
    let sandbox = cloned("version 0");
    for name in ["2001-01-02_03-04-05", "2001-01-03_03-04-05"] {
        make_net(&sandbox, name);
    }
    fs::write(nets_dir(&sandbox).join(AGES), "no JSON").unwrap();
    sandbox.clone(&["--safety-net"]).assert_code(0).assert_log("the ages of the safety nets cannot be read");
    assert_eq!(nets(&sandbox).len(), 2);
    let run = sandbox.clone(&["--safety-net"]);
    run.assert_code(0).assert_no_log("cannot be read");
}
