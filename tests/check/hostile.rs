//! Destinations that lie, hang or break. Needs root and FUSE.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use counterpart::fs::location::Location;
use counterpart::marker::Prefix;
use counterpart::record::{Record, Status};
use counterpart::state::{State, Store};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::check::rules::{NOW, record, state};
use crate::check::scene::{assert_answer, check, cloned, first, forget, now, plant};
use crate::support::disk::LoopDisk;
use crate::support::faulty::FaultyFuse;
use crate::support::sandbox::{Finished, STEM, Sandbox, wait_until};

/// Markers of a clone of an hour ago.
fn plant_clone(dir: &Path) {
    plant(dir, "completed", "", 3600);
    plant(
        dir,
        "stats",
        &format!("Clone Started: {}\nClone Completed: {}\nExit Code: 0\n", now() - 3700, now() - 3600),
        3600,
    );
    plant(dir, "id", "0123456789abcdef0123456789abcdef\n", 3600);
}

/// Lets the machine remember a run of an hour ago.
fn remember(sandbox: &Sandbox, destination: &Path, outcome: Status) {
    let mut run: Record = record(outcome, 3600);
    for moment in [&mut run.started, &mut run.ended] {
        moment.epoch += now() - NOW;
    }
    let prefix = Prefix::default();
    let known =
        State { destination: destination.display().to_string(), ..state(Some(run.clone()), Some(run)) };
    Store::new(&sandbox.host().join("state"))
        .save(&Location::unresolved(destination), &prefix, &known)
        .unwrap();
}

fn check_at(sandbox: &Sandbox, destination: &Path, more: &[&str]) -> Finished {
    let start = [OsStr::new("check"), OsStr::new("-d"), destination.as_os_str()];
    sandbox.run(start.into_iter().chain(more.iter().map(OsStr::new)))
}

/// The processes that have this among their arguments, and this word.
fn processes(path: &Path, word: &str) -> Vec<Pid> {
    let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let number: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let line = fs::read(format!("/proc/{number}/cmdline")).ok()?;
        let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let both = [word.as_bytes(), path.as_os_str().as_bytes()].iter().all(|part| arguments.contains(part));
        both.then_some(Pid::from_raw(number))
    });
    numbers.collect()
}

#[test]
fn planted_links_and_fifos_are_damage_and_are_never_followed() {
    for suffix in ["completed", "error", "stats", "stats.json"] {
        let sandbox = cloned();
        let marker = sandbox.marker(suffix);
        let told = format!("{STEM}{suffix} cannot be read: it is not a regular file");
        let target = sandbox.path().join("target");
        fs::write(&target, "secret").unwrap();
        let _ = fs::remove_file(&marker);
        symlink(&target, &marker).unwrap();
        let run = check(&sandbox, &[]);
        assert_answer(&run, 3, &[&told]);
        assert!(!run.out.contains("secret"), "{run}");
        fs::remove_file(&marker).unwrap();
        mkfifo(&marker, Mode::S_IRWXU).unwrap();
        assert_answer(&check(&sandbox, &[]), 3, &[&told]);
        fs::remove_file(&marker).unwrap();
        fs::create_dir(&marker).unwrap();
        assert_answer(&check(&sandbox, &[]), 3, &[&told]);
        forget(&sandbox);
        assert_answer(&check(&sandbox, &[]), 3, &[&told]);
    }
}

#[test]
fn a_marker_of_endless_size_is_damage() {
    let sandbox = cloned();
    for suffix in ["error", "stats", "stats.json"] {
        let kept = fs::read(sandbox.marker(suffix)).ok();
        fs::File::create(sandbox.marker(suffix)).unwrap().set_len(1 << 40).unwrap();
        assert_answer(
            &check(&sandbox, &[]),
            3,
            &[&format!("{STEM}{suffix} cannot be read: it has more than 1048576 bytes")],
        );
        match kept {
            Some(content) => fs::write(sandbox.marker(suffix), content).unwrap(),
            None => fs::remove_file(sandbox.marker(suffix)).unwrap(),
        }
    }
    assert_answer(&check(&sandbox, &[]), 0, &[]);
    fs::write(sandbox.marker("stats"), "\0\0\0\0").unwrap();
    assert_answer(&check(&sandbox, &[]), 3, &["stats cannot be read: it holds no statistics"]);
}

#[test]
fn a_reason_begins_neither_a_line_nor_performance_data() {
    let sandbox = cloned();
    forget(&sandbox);
    fs::remove_file(sandbox.marker("completed")).unwrap();
    plant(&sandbox.destination, "error", "no | age=0s \x1b[2J\u{202e}\nCLONE OK - all is well\n", 60);
    let run = check(&sandbox, &[]);
    assert_answer(&run, 2, &["no \\#174 age=0s \\#033[2J\\#342\\#200\\#256"]);
    assert!(!run.out.contains("all is well") && !run.out.contains('\u{1b}'), "{run}");
}

#[test]
fn a_destination_that_is_a_link_or_a_file_is_unknown() {
    let sandbox = cloned();
    let link = sandbox.path().join("link");
    symlink(&sandbox.destination, &link).unwrap();
    assert_answer(&check_at(&sandbox, &link, &[]), 3, &["it cannot be examined (it is a symbolic link)"]);
    let file = sandbox.source.join("file");
    assert_answer(&check_at(&sandbox, &file, &[]), 3, &["it cannot be examined (Not a directory)"]);
    // What is remembered is told, but a destination that is not as it should be is not well.
    let away = sandbox.path().join("away");
    fs::rename(&sandbox.destination, &away).unwrap();
    symlink(&away, &sandbox.destination).unwrap();
    assert_answer(
        &check(&sandbox, &[]),
        3,
        &["completed ", "cannot be examined (it is a symbolic link), according to"],
    );
}

#[test]
fn a_destination_that_hangs_is_unknown_when_the_time_is_over() {
    let sandbox = Sandbox::new();
    let fuse = FaultyFuse::new();
    plant_clone(&fuse.path());
    assert_answer(&check_at(&sandbox, &fuse.path(), &[]), 0, &["completed 1 h"]);
    fuse.tell(&format!("hang /{STEM}stats"));
    let began = Instant::now();
    let run = check_at(&sandbox, &fuse.path(), &["--timeout", "300ms"]);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_answer(
        &run,
        3,
        &["it did not answer within 0.3 s, and this machine has no record of a clone there"],
    );
    for (outcome, words) in [(Status::Success, "completed 1 h"), (Status::Failed, "failed 1 h")] {
        remember(&sandbox, &fuse.path(), outcome);
        let run = check_at(&sandbox, &fuse.path(), &["-t", "1"]);
        assert_answer(
            &run,
            3,
            &["the destination did not answer within 1 s; this machine's records say: ", words],
        );
    }
    // What was left behind ends as soon as it can.
    assert_ne!(processes(&fuse.path(), "look"), [], "nothing was left hanging");
    fuse.tell("");
    assert!(wait_until(|| processes(&fuse.path(), "look").is_empty()));
    forget(&sandbox);
    assert_answer(&check_at(&sandbox, &fuse.path(), &[]), 0, &["completed 1 h"]);
}

/// A process that goes on when this value ends.
struct Stopped(Vec<Pid>);

impl Stopped {
    fn new(processes: Vec<Pid>) -> Self {
        assert_ne!(processes, [], "nothing to stop");
        for id in &processes {
            kill(*id, Signal::SIGSTOP).unwrap();
        }
        Self(processes)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for id in &self.0 {
            let _ = kill(*id, Signal::SIGCONT);
        }
    }
}

#[test]
fn a_filesystem_without_its_server_is_unknown_and_the_other_clones_are_judged() {
    let sandbox = cloned();
    let fuse = FaultyFuse::new();
    plant_clone(&fuse.path());
    remember(&sandbox, &fuse.path(), Status::Success);
    assert_answer(&sandbox.run(["check"]), 0, &["2 clones: 2 OK"]);
    let stopped = Stopped::new(processes(&fuse.path(), "/usr/bin/python3"));
    let run = sandbox.run(["check", "--timeout", "1s"]);
    assert_answer(&run, 3, &["2 clones: 1 UNKNOWN, 1 OK", "did not answer within 1 s"]);
    assert!(run.out.contains(&format!("[OK] {}: completed", sandbox.destination.display())), "{run}");
    drop(stopped);
    assert!(wait_until(|| processes(&fuse.path(), "look").is_empty()));
    // And when it is dead, every access fails at once.
    for id in processes(&fuse.path(), "/usr/bin/python3") {
        kill(id, Signal::SIGKILL).unwrap();
    }
    assert!(wait_until(|| fs::metadata(fuse.path()).is_err()));
    let run = check_at(&sandbox, &fuse.path(), &[]);
    assert_answer(
        &run,
        3,
        &["completed 1 h", "the destination cannot be examined (Transport endpoint is not connected)"],
    );
}

#[test]
fn a_disk_that_broke_is_unknown() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let disk = LoopDisk::new("ext4", 16, &[], "");
    let path = disk.path().to_str().unwrap();
    sandbox.run(["-s", sandbox.source.to_str().unwrap(), "-d", path]).assert_code(0);
    assert_answer(&check_at(&sandbox, disk.path(), &[]), 0, &["completed "]);
    disk.shutdown();
    let run = check_at(&sandbox, disk.path(), &[]);
    assert_answer(&run, 3, &["completed ", "Input/output error"]);
    assert!(first(&run).contains("cannot be "), "{run}");
}
