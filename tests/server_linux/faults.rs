//! Failures halfway: the earlier dump is kept, and no clone is made.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::server_linux::servers::{Postgres, dump, machine, succeed, unpacked};
use crate::support::sandbox::{Finished, Sandbox, names_of, wait_until};

/// A machine with a dump of a small cluster, whose next one is some hundred megabytes.
fn machine_with_a_dump(port: u16) -> (Sandbox, Postgres, std::path::PathBuf) {
    let sandbox = machine();
    let cluster = Postgres::start(&sandbox, "main", port);
    sandbox.clone(&["-b", "x"]).assert_code(0);
    let version = fs::read_to_string(cluster.data.join("PG_VERSION")).unwrap();
    let path = dump(&sandbox, &format!("Postgres-{}-main.bz2", version.trim()));
    cluster.sql(
        "postgres",
        "CREATE UNLOGGED TABLE t AS SELECT repeat(md5(n::text), 30) AS text FROM generate_series(1, 300000) n",
    );
    sandbox.write("later", "");
    (sandbox, cluster, path)
}

fn assert_untouched(sandbox: &Sandbox, path: &Path, before: &[u8]) {
    assert!(unpacked(path) == before, "the earlier dump is another");
    assert_eq!(names_of(path.parent().unwrap()).len(), 1, "no temporary is left");
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    assert!(!sandbox.destination.join("later").exists(), "rsync was not run");
}

/// The processes called `pg_dump` in this test's network.
fn dumpers() -> Vec<i32> {
    let ours = fs::read_link("/proc/thread-self/ns/net").unwrap();
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let is_one = |path: &std::path::PathBuf| {
        fs::read_to_string(path.join("comm")).is_ok_and(|name| name == "pg_dump\n")
            && fs::read_link(path.join("ns/net")).is_ok_and(|network| network == ours)
    };
    processes.filter(is_one).filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect()
}

fn has_begun(dir: &Path) -> bool {
    let is_long = |entry: fs::DirEntry| {
        entry.file_name().to_string_lossy().contains(".tmp-")
            && entry.metadata().is_ok_and(|data| data.len() > 0)
    };
    fs::read_dir(dir).unwrap().flatten().any(is_long)
}

#[test]
fn a_dumper_that_is_killed_fails_the_run() {
    let (sandbox, _cluster, path) = machine_with_a_dump(5601);
    let before = unpacked(&path);
    let child = sandbox.start(&["-b", "x"]);
    assert!(wait_until(|| has_begun(path.parent().unwrap())));
    for process in dumpers() {
        let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
    }
    let finished = Finished::from(child.wait_with_output().unwrap());
    finished.assert_code(96);
    assert!(finished.err.contains("pg_dump"), "{finished}");
    assert_untouched(&sandbox, &path, &before);
}

#[test]
fn a_signal_in_the_middle_ends_as_interrupted() {
    let (sandbox, _cluster, path) = machine_with_a_dump(5611);
    let before = unpacked(&path);
    let child = sandbox.start(&["-b", "x"]);
    assert!(wait_until(|| has_begun(path.parent().unwrap())));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    Finished::from(child.wait_with_output().unwrap()).assert_code(20);
    assert_untouched(&sandbox, &path, &before);
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next() {
    let (sandbox, cluster, path) = machine_with_a_dump(5621);
    let mut child = sandbox.start(&["-b", "x"]);
    assert!(wait_until(|| has_begun(path.parent().unwrap())));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(names_of(path.parent().unwrap()).len(), 2);
    assert!(wait_until(|| dumpers().is_empty()));
    cluster.sql("postgres", "DROP TABLE t");
    sandbox.clone(&["-b", "x"]).assert_code(0);
    assert_eq!(names_of(path.parent().unwrap()).len(), 1);
}

/// A small filesystem of its own, unmounted at the end.
struct SmallDisk<'a>(&'a Path);

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).output();
    }
}

#[test]
fn a_full_disk_is_told_and_the_earlier_dump_stays() {
    let sandbox = machine();
    let dir = sandbox.host().join("backup");
    fs::create_dir(&dir).unwrap();
    succeed(Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&dir));
    let _disk = SmallDisk(&dir);
    let cluster = Postgres::start(&sandbox, "main", 5631);
    sandbox.clone(&["-b", "x"]).assert_code(0);
    let path = dir.join(names_of(&dir).pop().unwrap());
    let before = unpacked(&path);
    cluster.sql(
        "postgres",
        "CREATE UNLOGGED TABLE t AS SELECT repeat(md5(n::text), 30) AS text FROM generate_series(1, 300000) n",
    );
    sandbox.write("later", "");
    let finished = sandbox.clone(&["-b", "x"]);
    finished.assert_code(96);
    assert!(finished.err.contains("No space left on device"), "{finished}");
    assert_untouched(&sandbox, &path, &before);
}

#[test]
fn a_test_run_and_earlier_failures_leave_the_backup_directory_alone() {
    let sandbox = machine();
    let _cluster = Postgres::start(&sandbox, "main", 5641);
    sandbox.clone(&["-b", "x", "-t"]).assert_code(70);
    sandbox.clone(&["-b", "x", "-p", "/nonexistent"]).assert_code(68);
    sandbox.clone(&["-B"]).assert_code(92);
    assert!(!sandbox.host().join("backup").exists());
}
