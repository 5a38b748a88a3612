//! `--keep-logs`: removes our own older logs, and nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use nix::unistd::{Gid, Uid, chown};

use crate::support::clock::clone_at;
use crate::support::disk::Tmpfs;
use crate::support::sandbox::{Sandbox, names_of};
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

/// A sandbox with logs of these seconds of a minute long ago.
fn sandbox(seconds: std::ops::Range<u32>) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let dir = sandbox.host().join("log");
    fs::create_dir(&dir).unwrap();
    for second in seconds {
        fs::write(dir.join(format!("Counterpart_20-01-02_03-04-{second:02}")), "an old log\n").unwrap();
    }
    (sandbox, dir)
}

/// Everything in the directory but lists of changes.
fn names(dir: &std::path::Path) -> Vec<String> {
    let mut names = all_names(dir);
    names.retain(|name| !name.ends_with(".changes"));
    names
}

fn all_names(dir: &std::path::Path) -> Vec<String> {
    names_of(dir).iter().map(|name| name.to_string_lossy().into_owned()).collect()
}

#[test]
fn the_newest_stay_this_runs_included() {
    let (sandbox, dir) = sandbox(0..5);
    fs::write(dir.join("Counterpart_20-01-02_03-04-04_2"), "").unwrap();
    fs::write(dir.join("Counterpart_20-01-02_03-04-04_10"), "").unwrap();
    sandbox.clone(&["--keep-logs", "3"]).assert_code(0).assert_err("").assert_no_warning();
    let left = names(&dir);
    assert_eq!(left[..2], ["Counterpart_20-01-02_03-04-04_10", "Counterpart_20-01-02_03-04-04_2"]);
    assert_eq!(left.len(), 3);
    sandbox.clone(&["--keep-logs", "1"]).assert_code(0).assert_err("");
    let left = names(&dir);
    assert!(left.len() == 1 && !left[0].starts_with("Counterpart_20-"), "{left:?}");
}

#[test]
fn sixty_stay_when_nothing_is_said_and_all_with_zero() {
    let (sandbox, dir) = sandbox(0..60);
    sandbox.clone(&["--keep-logs", "0"]).assert_code(0);
    assert_eq!(names(&dir).len(), 61);
    sandbox.clone(&[]).assert_code(0);
    let left = names(&dir);
    assert_eq!(left.len(), 60);
    assert_eq!(left[0], "Counterpart_20-01-02_03-04-02");
}

#[test]
fn what_is_not_a_log_of_ours_stays() {
    let (sandbox, dir) = sandbox(0..2);
    let outside = sandbox.path().join("outside");
    fs::write(&outside, "outside").unwrap();
    for name in
        ["Counterpart_20-01-02_03-04-00.gz", "Counterpart_20-01-02_03-04-00_1", "notes", "Counterpart_"]
    {
        fs::write(dir.join(name), "").unwrap();
    }
    symlink(&outside, dir.join("Counterpart_20-01-02_03-04-10")).unwrap();
    fs::create_dir(dir.join("Counterpart_20-01-02_03-04-11")).unwrap();
    let others = dir.join("Counterpart_20-01-02_03-04-12");
    fs::write(&others, "").unwrap();
    chown(&others, Some(Uid::from_raw(4711)), Some(Gid::from_raw(4711))).unwrap();
    sandbox.clone(&["--keep-logs", "1"]).assert_code(0).assert_err("").assert_no_warning();
    let left = names(&dir);
    assert_eq!(
        left[..7],
        [
            "Counterpart_",
            "Counterpart_20-01-02_03-04-00.gz",
            "Counterpart_20-01-02_03-04-00_1",
            "Counterpart_20-01-02_03-04-10",
            "Counterpart_20-01-02_03-04-11",
            "Counterpart_20-01-02_03-04-12",
            left[6].as_str(),
        ]
    );
    assert_eq!((left.len(), left[7].as_str()), (8, "notes"));
    assert_eq!(fs::read_to_string(outside).unwrap(), "outside");
}

#[test]
fn after_the_clock_was_set_back_this_runs_log_stays() {
    let (sandbox, dir) = sandbox(0..0);
    for year in [97, 98, 99] {
        fs::write(dir.join(format!("Counterpart_{year}-01-02_03-04-05")), "").unwrap();
    }
    let finished = sandbox.clone(&["--keep-logs", "2"]);
    finished.assert_code(0);
    let left = names(&dir);
    assert_eq!((left.len(), left[1].as_str()), (2, "Counterpart_99-01-02_03-04-05"));
    assert_eq!(fs::read_to_string(dir.join(&left[0])).unwrap(), finished.out);
}

#[test]
fn a_wrong_clock_changes_no_order() {
    let (sandbox, dir) = sandbox(0..0);
    let mut logs: Vec<String> = Vec::new();
    // Ahead, right, set back, and before there were logs; no day twice, since a name that was removed may come again.
    for clock in ["+3650d", "+0d", "-3650d", "-1d", "-20000d", "+1d", "+3651d"] {
        clone_at(&sandbox, clock, &["--keep-logs", "3"]).assert_code(0).assert_no_warning();
        let left = names(&dir);
        let new: Vec<&String> = left.iter().filter(|name| !logs.contains(name)).collect();
        assert_eq!(new.len(), 1, "{clock}: {left:?}");
        logs.push(new[0].clone());
        let mut newest = logs[logs.len().saturating_sub(3)..].to_vec();
        newest.sort();
        assert_eq!(left, newest, "{clock}");
    }
}

#[test]
fn logs_without_a_number_are_older_than_those_with_one() {
    let (sandbox, dir) = sandbox(0..0);
    for year in [98, 99] {
        fs::write(dir.join(format!("Counterpart_{year}-01-02_03-04-05")), "").unwrap();
    }
    // Somebody else's number counts for nothing.
    let others = dir.join("Counterpart_20-01-02_03-04-12");
    fs::write(&others, "").unwrap();
    xattr::set(&others, "user.counterpart.number", b"18446744073709551615").unwrap();
    chown(&others, Some(Uid::from_raw(4711)), Some(Gid::from_raw(4711))).unwrap();
    sandbox.clone(&["--keep-logs", "0"]).assert_code(0);
    let first = names(&dir)
        .into_iter()
        .find(|name| name.starts_with("Counterpart_2") && !others.ends_with(name))
        .unwrap();
    sandbox.clone(&["--keep-logs", "3"]).assert_code(0);
    let left = names(&dir);
    assert!(left.contains(&first) && left.contains(&"Counterpart_99-01-02_03-04-05".to_owned()), "{left:?}");
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn a_filesystem_without_attributes_keeps_the_order_of_the_names() {
    let (sandbox, dir) = sandbox(0..3);
    let disk = Tmpfs::without_attributes();
    let there = disk.path().join("log");
    fs::create_dir(&there).unwrap();
    for name in names(&dir) {
        fs::copy(dir.join(&name), there.join(&name)).unwrap();
    }
    let finished = sandbox.clone(&["--keep-logs", "2", "--log-dir", there.to_str().unwrap()]);
    finished.assert_code(0).assert_err("").assert_no_warning();
    let left = names(&there);
    assert_eq!((left.len(), left[0].as_str()), (2, "Counterpart_20-01-02_03-04-02"), "{left:?}");
}

#[test]
fn a_test_run_removes_none() {
    let (sandbox, dir) = sandbox(0..3);
    sandbox.clone(&["--keep-logs", "1", "-t"]).assert_code(70);
    let left = names(&dir);
    assert_eq!(left.len(), 4);
    for name in &left[..3] {
        assert_eq!(fs::read_to_string(dir.join(name)).unwrap(), "an old log\n");
    }
}

#[test]
fn a_run_that_ends_early_takes_no_place_from_the_others() {
    let (mut sandbox, dir) = sandbox(0..0);
    for _ in 0..2 {
        sandbox.clone(&["--keep-logs", "2"]).assert_code(0);
    }
    let good = names(&dir);
    let missing = sandbox.path().join("missing").into_os_string().into_string().unwrap();
    let destination = std::mem::replace(&mut sandbox.destination, missing.clone().into());
    sandbox.clone(&["--keep-logs", "2"]).assert_code(66);
    sandbox.clone(&["--keep-logs", "2", "--skip-if-missing"]).assert_code(0);
    sandbox.destination = destination;
    for (option, code) in [("-e", 67), ("-p", 68), ("-o", 69), ("--rsync", 85)] {
        sandbox.clone(&["--keep-logs", "2", option, &missing]).assert_code(code);
    }
    let after = names(&dir);
    assert!(good.iter().all(|log| after.contains(log)), "{good:?} {after:?}");
    let early: Vec<&String> = after.iter().filter(|log| !good.contains(log)).collect();
    assert_eq!(early.len(), 2, "{after:?}");
    // A name that was freed within the same second is used again, so names are not sorted by time.
    let mut ends: Vec<String> = early
        .iter()
        .map(|log| fs::read_to_string(dir.join(log)).unwrap().lines().last().unwrap().to_owned())
        .collect();
    ends.sort_by_key(|end| end.split("code ").last().unwrap().to_owned());
    assert!(ends[0].ends_with(" exited with code 69."), "{ends:?}");
    assert!(ends[1].ends_with(" exited with code 85."), "{ends:?}");
    // A test run's is like theirs; a good run makes room for itself, and leaves them.
    sandbox.clone(&["--keep-logs", "2", "-t"]).assert_code(70);
    sandbox.clone(&["--keep-logs", "2"]).assert_code(0);
    let last = names(&dir);
    assert_eq!(last.iter().filter(|log| good.contains(log)).collect::<Vec<_>>(), [&good[1]]);
    assert_eq!(last.len(), 4, "{last:?}");
    sandbox.clone(&["--keep-logs", "1"]).assert_code(0);
    assert_eq!(names(&dir).len(), 2);
}

#[test]
fn a_list_of_changes_goes_with_its_log() {
    let (sandbox, dir) = sandbox(0..0);
    sandbox.clone(&[]).assert_code(0);
    let first = sandbox.changes();
    assert!(first.exists());
    let lone = dir.join("Counterpart_20-01-02_03-04-05.changes");
    let others = dir.join("Counterpart_20-01-02_03-04-06.changes");
    let no_list = dir.join("notes.changes");
    for path in [&lone, &others, &no_list] {
        fs::write(path, "").unwrap();
    }
    chown(&others, Some(Uid::from_raw(4711)), Some(Gid::from_raw(4711))).unwrap();
    sandbox.write("more", "content");
    sandbox.clone(&["--keep-logs", "2"]).assert_code(0).assert_no_warning();
    assert!(first.exists() && sandbox.changes().exists() && !lone.exists());
    sandbox.clone(&["--keep-logs", "1"]).assert_code(0).assert_no_warning();
    let left = all_names(&dir);
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(others.exists() && no_list.exists());
}

#[test]
fn a_log_that_cannot_be_removed_is_a_warning() {
    let (sandbox, dir) = sandbox(0..1);
    let log = dir.join("Counterpart_20-01-02_03-04-00");
    let chattr = |flag: &str| {
        std::process::Command::new("chattr").arg(flag).arg(&log).status().is_ok_and(|status| status.success())
    };
    // A filesystem without that flag, such as tmpfs, cannot refuse root anything.
    if !chattr("+i") {
        return;
    }
    let finished = sandbox.clone(&["--keep-logs", "1"]);
    chattr("-i");
    finished.assert_code(0).assert_err("").assert_log(&format!(
        "Warning: the old log {} cannot be removed: Operation not permitted.",
        log.display()
    ));
}

#[test]
fn a_number_that_is_none_is_a_wrong_command_line() {
    let (sandbox, dir) = sandbox(0..1);
    let before = snapshot_with_ctime(&dir);
    for bad in ["", "-1", "many", "1.5"] {
        let finished = sandbox.clone(&[&format!("--keep-logs={bad}")]);
        assert_eq!((finished.code, finished.out.as_str()), (2, ""), "{finished}");
        assert!(finished.err.contains("--keep-logs <N>"), "{finished}");
    }
    assert_unchanged(&before, &snapshot_with_ctime(&dir));
}
