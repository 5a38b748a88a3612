//! `PostgreSQL`: dumped, restored into an empty cluster, and compared.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::server_linux::servers::{Postgres, dump, machine, succeed, unpack_to, unpacked};
use crate::support::sandbox::{Sandbox, write_script};

const NAMES: [&str; 3] = ["plain", "it's a db", "quo\"ted"];

fn fill(cluster: &Postgres) {
    cluster.sql("postgres", "CREATE ROLE \"a role\" LOGIN PASSWORD 'x'");
    for name in NAMES {
        cluster
            .sql("postgres", &format!("CREATE DATABASE \"{}\" OWNER \"a role\"", name.replace('"', "\"\"")));
        cluster.sql(
            &format!("dbname='{}'", name.replace('\'', "\\'")),
            "CREATE TABLE t AS SELECT n, repeat(md5(n::text), 3) || E'\\n\\\\connect no' AS text FROM generate_series(1, 500) n",
        );
    }
}

fn checksum(cluster: &Postgres, superuser: &str, name: &str) -> String {
    let query = "SELECT count(*), sum(hashtext(t::text)::bigint) FROM t";
    let database = format!("dbname='{}'", name.replace('\'', "\\'"));
    succeed(cluster.psql(superuser, &database).args(["-c", query]))
}

fn restore(sandbox: &Sandbox, name: &str, port: u16) -> Postgres {
    let empty = Postgres::start_for(sandbox, "empty", port, "postgres", "admin");
    let text = sandbox.path().join(format!("restore-{port}.sql"));
    unpack_to(&dump(sandbox, name), &text);
    succeed(empty.psql("admin", "postgres").arg("-f").arg(text));
    empty
}

#[test]
fn two_clusters_of_one_name_come_back_with_every_database() {
    let sandbox = machine();
    let (one, two) = (Postgres::start(&sandbox, "main", 5501), Postgres::start(&sandbox, "main", 5502));
    fill(&one);
    two.sql("postgres", "CREATE TABLE t AS SELECT 42 AS n");
    let finished = sandbox.clone(&["-b", "x"]);
    finished
        .assert_code(0)
        .assert_err("")
        .assert_log("OpenLDAP is skipped")
        .assert_log("No MariaDB or MySQL");
    for name in NAMES {
        finished.assert_log(&format!("Dumping the database {name}."));
    }
    finished.assert_no_log("database no.");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    let version = fs::read_to_string(one.data.join("PG_VERSION")).unwrap();
    let file = |port| format!("Postgres-{}-main-{port}.bz2", version.trim());
    for port in [5501, 5502] {
        let mode = fs::metadata(dump(&sandbox, &file(port))).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }
    let backup = fs::metadata(sandbox.host().join("backup")).unwrap().permissions().mode();
    assert_eq!(backup & 0o7777, 0o700);

    let back = restore(&sandbox, &file(5501), 5503);
    for name in NAMES {
        assert_eq!(checksum(&one, "postgres", name), checksum(&back, "admin", name), "{name}");
    }
    let back = restore(&sandbox, &file(5502), 5504);
    assert_eq!(checksum(&two, "postgres", "postgres"), checksum(&back, "admin", "postgres"));
}

/// The most memory that a running process has had, in KiB.
fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[test]
fn a_gigabyte_is_dumped_in_bounded_memory_and_comes_back() {
    let sandbox = machine();
    let cluster = Postgres::start(&sandbox, "big", 5511);
    cluster.sql(
        "postgres",
        "CREATE UNLOGGED TABLE t AS SELECT n, md5(n::text) || repeat('x', 1000) AS text FROM generate_series(1, 1050000) n",
    );
    let size: u64 = cluster.sql("postgres", "SELECT pg_database_size('postgres')").trim().parse().unwrap();
    assert!(size > 1 << 30, "{size}");
    let mut child = sandbox.start(&["-b", "x"]);
    let out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || std::io::read_to_string(out).unwrap());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_memory(child.id()).unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", reader.join().unwrap());
    assert!(peak > 0 && peak < 300 * 1024, "{peak} KiB");
    let version = fs::read_to_string(cluster.data.join("PG_VERSION")).unwrap();
    let back = restore(&sandbox, &format!("Postgres-{}-big.bz2", version.trim()), 5512);
    assert_eq!(checksum(&cluster, "postgres", "postgres"), checksum(&back, "admin", "postgres"));
}

#[test]
fn an_ordinary_users_cluster_is_skipped() {
    let sandbox = machine();
    // The number is enough: no account of that user is needed.
    let dir = sandbox.path().join("theirs");
    fs::create_dir(&dir).unwrap();
    let path = dir.join(".s.PGSQL.5521");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    succeed(Command::new("chown").arg("4242").arg(&path));
    sandbox
        .clone(&["-b", "x"])
        .assert_code(93)
        .assert_log(".s.PGSQL.5521 is skipped: no PostgreSQL of this system listens there.");
    assert!(!sandbox.host().join("backup").exists());
    let _cluster = Postgres::start(&sandbox, "main", 5522);
    sandbox.clone(&["-b", "x"]).assert_code(0);
}

#[test]
fn a_cluster_without_a_dumper_is_told() {
    let sandbox = machine();
    let _cluster = Postgres::start(&sandbox, "main", 5531);
    fs::remove_file(sandbox.host().join("usr")).unwrap();
    fs::create_dir_all(sandbox.host().join("usr/bin")).unwrap();
    sandbox.clone(&["-b", "x"]).assert_code(95);
    assert_eq!(sandbox.markers(), ["error"]);
    // One that is older than the server is as good as none.
    write_script(&sandbox.host().join("usr/bin/pg_dumpall"), "echo 'pg_dumpall (PostgreSQL) 9.6.1'");
    sandbox.clone(&["-b", "x"]).assert_code(95);
}

#[test]
fn a_refusal_is_told_in_its_own_words_and_leaves_the_earlier_dump() {
    let sandbox = machine();
    let cluster = Postgres::start(&sandbox, "main", 5541);
    sandbox.clone(&["-b", "x"]).assert_code(0);
    let version = fs::read_to_string(cluster.data.join("PG_VERSION")).unwrap();
    let path = dump(&sandbox, &format!("Postgres-{}-main.bz2", version.trim()));
    let before = unpacked(&path);
    fs::write(cluster.data.join("pg_hba.conf"), "local all all reject\n").unwrap();
    cluster.control("reload");
    std::thread::sleep(std::time::Duration::from_millis(500));
    sandbox.write("later", "");
    let finished = sandbox.clone(&["-b", "x"]);
    finished.assert_code(96);
    assert!(finished.err.contains("pg_hba.conf rejects connection"), "{finished}");
    assert_eq!(unpacked(&path), before);
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    assert!(!sandbox.destination.join("later").exists(), "rsync was not run");
    assert!(sandbox.read_marker("error").contains("pg_hba.conf"));
    assert_eq!(crate::support::sandbox::names_of(&sandbox.host().join("backup")).len(), 1);

    // Stopped, there is nothing to dump, and what was dumped stays.
    cluster.control("stop");
    sandbox.clone(&["-b", "x"]).assert_code(93);
    assert_eq!(unpacked(&path), before);
}
