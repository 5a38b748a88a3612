//! What a server backup would save.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use crate::patient::{ask, ask_for, assert_foretold, healthy};
use crate::sandbox::{Sandbox, write_script};

const PASSWORD: &str = "password";

/// The socket of a cluster of `PostgreSQL` 15, for as long as the value lives.
fn postgres(sandbox: &Sandbox) -> UnixListener {
    let folder = sandbox.path().join("postgres");
    fs::create_dir_all(folder.join("main")).unwrap();
    fs::write(folder.join("main/PG_VERSION"), "15\n").unwrap();
    fs::write(folder.join(".s.PGSQL.5432.lock"), format!("1\n{}\n", folder.join("main").display())).unwrap();
    UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap()
}

fn program(sandbox: &Sandbox, name: &str, body: &str) -> PathBuf {
    let path = sandbox.host().join("usr/bin").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_script(&path, body);
    path
}

#[test]
fn nothing_to_save_is_what_a_clone_meets() {
    let sandbox = healthy();
    assert_foretold(&sandbox, &["-b", PASSWORD], 93).assert(
        "server backup",
        &[
            "FAIL  server backup: A server backup is not supported here: no PostgreSQL, OpenLDAP, MariaDB or MySQL server \
             was found on this machine. (93)",
            "      To do: leave out `-b` or `-B`: nothing was found here that it could back up",
        ],
    );
}

#[test]
fn what_runs_is_told_and_what_its_dump_would_lack() {
    let sandbox = healthy();
    let _listener = postgres(&sandbox);
    let found = "        PostgreSQL 15 at @/postgres/.s.PGSQL.5432";
    ask(&sandbox, &[]).assert_code(0).assert(
        "server backup",
        &["OK    server backup: none was asked for; it would save what is named below.", found],
    );
    let told = assert_foretold(&sandbox, &["-b", PASSWORD], 95);
    assert!(
        told.of_topic("server backup")[0]
            .starts_with("FAIL  server backup: pg_dumpall was not found (searched: ")
    );
    fs::remove_dir_all(sandbox.host().join("backup")).unwrap();
    program(&sandbox, "pg_dumpall", "echo 'pg_dumpall (PostgreSQL) 15.3'");
    ask(&sandbox, &["-b", PASSWORD]).assert_code(0).assert(
        "server backup",
        &[
            "OK    server backup: it would save what is named below.",
            found,
            "        OpenLDAP is skipped: there is no @/host/tools/slapcat.",
            "        No MariaDB or MySQL server runs here.",
        ],
    );
    assert!(!sandbox.host().join("backup").exists());
    // Without a destination nothing is counted.
    ask_for(&sandbox, ["-s", "/"]).assert_code(0).assert(
        "server backup",
        &[
            "WARN  server backup: PostgreSQL 15 at @/postgres/.s.PGSQL.5432 is not dumped; files of a server that runs are \
             not consistent in a copy.",
            "      To do: Store a password with counterpart setpass and give -B, or dump it in a pre-clone script.",
        ],
    );
    let script = sandbox.script("dump", "");
    let told = ask_for(&sandbox, ["-s", "/", "-p", script.to_str().unwrap()]);
    assert!(told.of_topic("server backup")[0].starts_with("OK  "), "{told:?}");
}

#[test]
fn a_server_that_does_not_let_us_in_is_what_a_clone_meets() {
    let sandbox = healthy();
    let folder = sandbox.path().join("mysql");
    fs::create_dir(&folder).unwrap();
    let _listener = UnixListener::bind(folder.join("mysqld.sock")).unwrap();
    program(&sandbox, "mariadb-dump", "exit 0");
    let told = assert_foretold(&sandbox, &["-b", PASSWORD], 96);
    assert!(
        told.of_topic("server backup")[0].contains("MariaDB or MySQL at @/mysql/mysqld.sock"),
        "{told:?}"
    );
    program(&sandbox, "mariadb", "echo 'ERROR 1045 (28000): Access denied' >&2; exit 1");
    let told = assert_foretold(&sandbox, &["-b", PASSWORD], 96);
    assert!(told.of_topic("server backup")[0].contains("Access denied"), "{told:?}");
    program(&sandbox, "mariadb", "printf 'mysql\\nshop\\n'");
    ask(&sandbox, &["-b", PASSWORD]).assert_code(0);
}

#[test]
fn a_cluster_that_cannot_be_told_is_what_a_clone_meets() {
    let sandbox = healthy();
    let _listener = postgres(&sandbox);
    fs::remove_file(sandbox.path().join("postgres/main/PG_VERSION")).unwrap();
    assert_foretold(&sandbox, &["-b", PASSWORD], 96);
    let told = ask(&sandbox, &[]);
    told.assert_code(0);
    assert!(
        told.of_topic("server backup")[0]
            .starts_with("WARN  server backup: none was asked for, and it would end with 96: ")
    );
}

#[test]
fn a_backup_folder_of_somebody_else_is_what_a_clone_meets() {
    let sandbox = healthy();
    let _listener = postgres(&sandbox);
    program(&sandbox, "pg_dumpall", "echo 'pg_dumpall (PostgreSQL) 15.3'");
    let folder = sandbox.path().join("backups");
    fs::create_dir(&folder).unwrap();
    let more = ["-b", PASSWORD, "--backup-dir", folder.to_str().unwrap()];
    ask(&sandbox, &more).assert_code(0);
    crate::nobody::give(&folder);
    assert_foretold(&sandbox, &more, 98);
}
