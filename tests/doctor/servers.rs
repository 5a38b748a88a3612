//! What a server backup would save.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::doctor::patient::{ask, ask_for, assert_foretold, healthy, healthy_server};
use crate::support::killed::Killed;
use crate::support::sandbox::{Sandbox, wait_until, write_script};

const PASSWORD: &str = "password";

/// What looks like a server to the kernel: a program of its name that runs as its account and listens. It notes who comes.
struct Server {
    _process: Killed,
    dir: PathBuf,
}

const LISTEN: &str = "import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(8)
while True:
    peer = listener.accept()[0]
    open(sys.argv[1] + '.visited', 'w').close()
    peer.close()
";

impl Server {
    fn start(sandbox: &Sandbox, name: &str, user: &str, socket: &str) -> Self {
        let (dir, program) = (sandbox.path().join(user), sandbox.path().join("bin").join(name));
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::create_dir_all(dir.join("main")).unwrap();
        fs::write(dir.join("main/PG_VERSION"), "15\n").unwrap();
        assert!(
            Command::new("chown").arg("-R").arg(format!("{user}:")).arg(&dir).status().unwrap().success()
        );
        fs::copy(fs::canonicalize("/usr/bin/python3").unwrap(), &program).unwrap();
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()]);
        command.arg(program).args(["-S", "-c", LISTEN]).arg(dir.join(socket));
        command.env("PYTHONHOME", "/usr").current_dir(dir.join("main")).stdin(Stdio::null());
        let process = command.spawn().unwrap();
        let server = Self { _process: Killed(process), dir };
        assert!(wait_until(|| listens(&server.dir.join(socket))));
        server
    }

    #[track_caller]
    fn assert_not_visited(&self) {
        let names = crate::support::sandbox::names_of(&self.dir);
        assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".visited")), "{names:?}");
    }
}

fn listens(path: &Path) -> bool {
    let table = fs::read_to_string("/proc/thread-self/net/unix").unwrap();
    table.lines().any(|line| line.contains(" 00010000 ") && line.ends_with(path.to_str().unwrap()))
}

/// The socket of a cluster of `PostgreSQL` 15, for as long as the value lives.
fn postgres(sandbox: &Sandbox) -> Server {
    Server::start(sandbox, "postgres", "postgres", ".s.PGSQL.5432")
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
    let sandbox = healthy_server();
    let server = postgres(&sandbox);
    let found = "        PostgreSQL 15 at @/postgres/.s.PGSQL.5432";
    ask(&sandbox, &[]).assert_code(0).assert(
        "server backup",
        &["OK    server backup: none was requested; it would save what is listed below.", found],
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
            "OK    server backup: it would save what is listed below.",
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
            "WARN  server backup: PostgreSQL 15 at @/postgres/.s.PGSQL.5432 is not dumped; a copy of a running server's files is not consistent.",
            "      To do: Store a password with counterpart setpass and give -B, or dump it in a pre-clone script.",
        ],
    );
    server.assert_not_visited();
    let script = sandbox.script("dump", "");
    let told = ask_for(&sandbox, ["-s", "/", "-p", script.to_str().unwrap()]);
    assert!(told.of_topic("server backup")[0].starts_with("OK  "), "{told:?}");
}

#[test]
fn a_server_without_its_programs_is_what_a_clone_meets() {
    let sandbox = healthy_server();
    let server = Server::start(&sandbox, "mysqld", "mysql", "mysqld.sock");
    let asked = sandbox.path().join("asked");
    let note = format!("echo >>'{}'; exit 1", asked.display());
    for (name, missing) in
        [("mariadb-dump", "no mariadb or mysql in "), ("mariadb", "no mariadb-dump or mysqldump in ")]
    {
        program(&sandbox, name, &note);
        let told = assert_foretold(&sandbox, &["-b", PASSWORD], 96);
        let found = told.of_topic("server backup")[0];
        assert!(
            found.contains("MariaDB or MySQL at @/mysql/mysqld.sock") && found.contains(missing),
            "{told:?}"
        );
        fs::remove_file(sandbox.host().join("usr/bin").join(name)).unwrap();
    }
    for name in ["mariadb", "mariadb-dump"] {
        program(&sandbox, name, &note);
    }
    // Whether the server lets us in is not asked.
    ask(&sandbox, &["-b", PASSWORD]).assert_code(0);
    server.assert_not_visited();
    assert!(!asked.exists());
}

#[test]
fn a_socket_of_somebody_else_is_told_and_left_alone() {
    let sandbox = healthy_server();
    let server = Server::start(&sandbox, "mysqld", "www-data", "mysqld.sock");
    let told = assert_foretold(&sandbox, &["-b", PASSWORD], 93);
    let lines = told.of_topic("server backup").join("\n");
    assert!(
        lines.contains("it runs as the user www-data, which is not an account of MariaDB or MySQL"),
        "{lines}"
    );
    server.assert_not_visited();
}

#[test]
fn a_cluster_that_cannot_be_told_is_what_a_clone_meets() {
    let sandbox = healthy_server();
    let _listener = postgres(&sandbox);
    fs::remove_file(sandbox.path().join("postgres/main/PG_VERSION")).unwrap();
    assert_foretold(&sandbox, &["-b", PASSWORD], 96);
    let told = ask(&sandbox, &[]);
    told.assert_code(0);
    assert!(
        told.of_topic("server backup")[0]
            .starts_with("WARN  server backup: none was requested, and it would exit with 96: ")
    );
}

#[test]
fn a_backup_directory_of_somebody_else_is_what_a_clone_meets() {
    let sandbox = healthy_server();
    let _listener = postgres(&sandbox);
    program(&sandbox, "pg_dumpall", "echo 'pg_dumpall (PostgreSQL) 15.3'");
    let dir = sandbox.path().join("backups");
    fs::create_dir(&dir).unwrap();
    let more = ["-b", PASSWORD, "--backup-dir", dir.to_str().unwrap()];
    ask(&sandbox, &more).assert_code(0);
    crate::support::nobody::give(&dir);
    assert_foretold(&sandbox, &more, 98);
}
