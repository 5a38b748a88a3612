//! A database that is written to all the time starts from its clone, without having been dumped.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::server_linux::servers::Postgres;
use crate::snapshot::scene::REQUIRED;
use crate::support::disk::LoopDisk;
use crate::support::sandbox::{Sandbox, wait_until};

const PORT: u16 = 5591;

#[test]
fn a_cluster_under_load_starts_from_its_clone() {
    let mut sandbox = Sandbox::new();
    let base = sandbox.path().join(format!("postgres {PORT}"));
    let disk = LoopDisk::new("btrfs", 1024, &[], "");
    std::fs::create_dir(&base).unwrap();
    let bound = crate::support::mounted::Mounted::bind(disk.path(), &base);
    disk.path().clone_into(&mut sandbox.source);
    let cluster = Postgres::start(&sandbox, "main", PORT);
    cluster.sql(
        "postgres",
        "CREATE TABLE t AS SELECT n, 0 AS value, repeat('x', 500) AS text FROM generate_series(1, 4000) n",
    );
    let (stops, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stops.load(Ordering::Relaxed) {
                // Whatever is seen of this, the sum is 0.
                let text = "BEGIN; UPDATE t SET value = value + 1, text = md5(random()::text) || text WHERE n % 2 = 0; \
                            UPDATE t SET value = value - 1 WHERE n % 2 = 1; COMMIT; CHECKPOINT; \
                            UPDATE t SET text = repeat('y', 500)";
                cluster.sql("postgres", text);
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        assert!(wait_until(|| rounds.load(Ordering::Relaxed) > 1), "the database does nothing");
        let run = sandbox.clone(&REQUIRED);
        let during = rounds.load(Ordering::Relaxed);
        // It went on meanwhile and goes on.
        assert!(wait_until(|| rounds.load(Ordering::Relaxed) > during), "the database has stopped");
        stops.store(true, Ordering::Relaxed);
        run.assert_code(0).assert_err("").assert_no_warning();
    });
    cluster.control("stop");
    let clone = cluster.of_copy(sandbox.destination.join("main"));
    assert_eq!(clone.sql("postgres", "SELECT count(*), sum(value) FROM t").trim(), "4000|0");
    assert_ne!(clone.sql("postgres", "SELECT max(value) FROM t").trim(), "0");
    let check = "SELECT count(*) FROM t WHERE length(text) < 500";
    assert_eq!(clone.sql("postgres", check).trim(), "0");
    drop(clone);
    drop(cluster);
    drop(bound);
    assert!(Command::new("ls").arg(disk.path()).output().unwrap().stdout.starts_with(b"main"));
}
